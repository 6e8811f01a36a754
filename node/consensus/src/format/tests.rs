//! Entries, votes and state as bytes: golden ones, round trips, and what is refused.

use super::*;

fn at(term: u64, index: u64) -> LogPosition {
    LogPosition { term: Term(term), index }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn vote(term: u64, member: u64, committed: bool) -> Vote {
    Vote::from_leader_id(LeaderId { term, voted_for: MemberId(member) }, committed)
}

/// In the middle of a change from members 1 and 2 to members 2 and 3; member 4 learns.
fn joint() -> Membership {
    let configurations = vec![[MemberId(1), MemberId(2)].into(), [MemberId(2), MemberId(3)].into()];
    let nodes: BTreeMap<_, _> = (1..=4).map(|member| (MemberId(member), NodeId(u128::from(member) << 64))).collect();
    Membership::new(configurations, nodes).unwrap()
}

fn payloads() -> [EntryPayload<Command, MemberId, NodeId>; 3] {
    [EntryPayload::Blank, EntryPayload::Normal(Command(Bytes::from_static(b"put"))), EntryPayload::Membership(joint())]
}

const JOINT: &str = "02000000\
    0200000001000000000000000200000000000000\
    0200000002000000000000000300000000000000\
    04000000\
    010000000000000000000000000000000100000000000000\
    020000000000000000000000000000000200000000000000\
    030000000000000000000000000000000300000000000000\
    040000000000000000000000000000000400000000000000";

#[test]
fn the_bytes_of_version_1_stay_what_they_are() {
    let [blank, command, membership] = payloads();
    assert_eq!(hex(&encode_payload(&blank)), "0100");
    assert_eq!(hex(&encode_payload(&command)), "0101707574");
    assert_eq!(hex(&encode_payload(&membership)), format!("0102{JOINT}"));
    assert_eq!(hex(&encode_log_id(&log_id(at(3, 258)))), "0103000000000000000201000000000000");
    assert_eq!(hex(&encode_vote(&vote(5, 9, true))), "010105000000000000000900000000000000");

    let stored = StoredMembership::new(Some(log_id(at(1, 2))), joint());
    let expected =
        format!("01010300000000000000040000000000000001010000000000000002000000 00000000{JOINT}").replace(' ', "");
    assert_eq!(hex(&encode_applied(Some(&log_id(at(3, 4))), &stored)), expected);
}

#[test]
fn everything_reads_back() {
    for payload in payloads() {
        let entry = decode_entry(at(7, 8), encode_payload(&payload)).unwrap();
        assert_eq!(position(&entry.log_id), at(7, 8));
        assert_eq!(format!("{:?}", entry.payload), format!("{payload:?}"));
    }
    for vote in [vote(0, 0, false), vote(u64::MAX, u64::MAX, true)] {
        assert_eq!(decode_vote(encode_vote(&vote)), Ok(vote));
    }
    let id = log_id(at(u64::MAX, 0));
    assert_eq!(decode_log_id(encode_log_id(&id)), Ok(id));
    let stored = StoredMembership::new(Some(log_id(at(1, 2))), joint());
    let encoded = encode_applied(Some(&log_id(at(3, 4))), &stored);
    assert_eq!(decode_applied(&encoded), Ok((Some(log_id(at(3, 4))), stored)));
    assert_eq!(applied_position(&encoded), Ok(Some(at(3, 4))));
}

#[test]
fn a_state_machine_that_has_nothing_has_no_bytes() {
    assert_eq!(decode_applied(&Bytes::new()), Ok((None, StoredMembership::default())));
    let empty = encode_applied(None, &StoredMembership::default());
    assert_eq!(decode_applied(&empty), Ok((None, StoredMembership::default())));
}

#[test]
fn a_command_shares_the_bytes_of_the_log() {
    let payload = encode_payload(&EntryPayload::Normal(Command(Bytes::from_static(b"abcdef"))));
    let entry = decode_entry(at(1, 1), payload.clone()).unwrap();
    let EntryPayload::Normal(Command(command)) = entry.payload else { panic!("a command") };
    assert_eq!(command.as_ptr(), payload[2..].as_ptr());
}

#[test]
fn damage_is_an_error_wherever_it_is() {
    let whole = encode_payload(&EntryPayload::Membership(joint()));
    for length in 0..whole.len() {
        assert!(decode_entry(at(1, 1), whole.slice(..length)).is_err(), "cut to {length}");
    }
    for byte in 0..whole.len() {
        let mut damaged = whole.to_vec();
        damaged[byte] ^= 0xff;
        // Anything but a panic: the log's own checksum is what finds it.
        let _ = decode_entry(at(1, 1), damaged.into());
    }
    let newer = Bytes::from_static(&[2, 0]);
    assert_eq!(decode_entry(at(1, 1), newer), Err(FormatError::Version { what: "log entry", found: 2 }));
    let longer = Bytes::from_static(&[1, 0, 0]);
    assert_eq!(decode_entry(at(1, 1), longer), Err(FormatError::Long { what: "log entry", extra: 1 }));
}
