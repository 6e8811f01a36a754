//! The bytes of versions 1 and 2, as another program computed them from `docs/storage-format.md`.

use super::*;
use crate::wal::reader::{Found, Reader, SliceBlocks};

const HEADER: SegmentHeader = SegmentHeader {
    version: 1,
    incarnation: 0x1122_3344_5566_7788,
    sequence: 2,
    start: Lsn::new(0x10000),
    length: 0x10000,
};

const GOLDEN_HEADER: &str =
    "50686f746f6e574c010000003c1b2bbf8877665544332211020000000000000000000100000000000000010000000000";
const GOLDEN_END: &str = "da4b9de900000500";

fn of(link: u64, moved_from: Option<Lsn>, content: Content) -> LogRecord {
    LogRecord { stream: StreamId(7), link: Lsn::new(0x8000 + 8 * link), moved_from, content }
}

fn golden_records() -> Vec<(&'static str, LogRecord)> {
    vec![
        (
            "082173d120000101ffffffffffffffff000000000000000000010100000000000080000000000000",
            LogRecord {
                stream: StreamId::LOG,
                link: Lsn::ZERO,
                moved_from: None,
                content: Content::Batch { durable: Lsn::new(0x10100), start: Lsn::new(0x8000) },
            },
        ),
        (
            "90541e092700010207000000000000000880000000000000050000000000000003000000000000007061796c6f616400",
            of(1, None, Content::Entry { index: 5, term: 3, payload: Bytes::from_static(b"payload") }),
        ),
        (
            "f5bc128b11000103070000000000000010800000000000007600000000000000",
            of(2, None, Content::Vote(Bytes::from_static(b"v"))),
        ),
        (
            "af33197d12000104070000000000000018800000000000006363000000000000",
            of(3, None, Content::Committed(Bytes::from_static(b"cc"))),
        ),
        (
            "4cdddb5118000105070000000000000020800000000000000900000000000000",
            of(4, None, Content::Truncate { from: 9 }),
        ),
        (
            "4b22eec01e0001060700000000000000288000000000000004000000000000006c6f672069640000",
            of(5, None, Content::Purge { upto: 4, payload: Bytes::from_static(b"log id") }),
        ),
        (
            "48b1637d15000107070000000000000030800000000000006368696c64000000",
            of(6, None, Content::Born(Bytes::from_static(b"child"))),
        ),
        ("8c5c134c1000010807000000000000003880000000000000", of(7, None, Content::Erased)),
        (
            "5dbe6067200001090700000000000000408000000000000001000000000000008813000000000000",
            of(8, None, Content::Suspect { segment: 1, offset: 5000 }),
        ),
        (
            "5914cbc63500010a0700000000000000488000000000000000900000000000000200000000000000050000000000000003000000000000006d6f766564000000",
            of(9, Some(Lsn::new(0x9000)), Content::Entry { index: 5, term: 3, payload: Bytes::from_static(b"moved") }),
        ),
        (
            "9f0520c41800010bffffffffffffffff00000000000000000c00000000000000",
            LogRecord {
                stream: StreamId::LOG,
                link: Lsn::ZERO,
                moved_from: None,
                content: Content::Checkpoint { generation: 12 },
            },
        ),
        (
            "1681f3671000010cffffffffffffffff0000000000000000",
            LogRecord { stream: StreamId::LOG, link: Lsn::ZERO, moved_from: None, content: Content::CleanShutdown },
        ),
        (
            "e6aa36552000010d0700000000000000508000000000000005000000000000000900000000000000",
            of(10, None, Content::LossAccepted { from: 5, end: 9 }),
        ),
    ]
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn read_all(bytes: &[u8], header: SegmentHeader) -> (Vec<LogRecord>, Found) {
    let mut reader = Reader::new(SliceBlocks(bytes), header);
    let mut records = Vec::new();
    loop {
        match reader.next().unwrap() {
            Found::Record { record, .. } => records.push(record),
            other => return (records, other),
        }
    }
}

#[test]
fn a_segment_header_has_these_bytes_twice() {
    let bytes = HEADER.encode();
    assert_eq!(bytes.len(), 4096);
    assert_eq!(hexadecimal(&bytes[..48]), GOLDEN_HEADER);
    assert_eq!(bytes[..48], bytes[2048..2096]);
    assert_eq!(SegmentHeader::decode(&bytes), HeaderFound::Valid(HEADER));
    let mut newer = bytes.clone();
    newer[8] = 3;
    newer[2048 + 8] = 3;
    assert_eq!(SegmentHeader::decode(&newer), HeaderFound::Newer(3));
    // A segment that may hold every kind of record differs in its version alone.
    let second = SegmentHeader { version: 2, ..HEADER };
    let mut expected = bytes.clone();
    (expected[8], expected[2048 + 8]) = (2, 2);
    assert_eq!(second.encode(), expected);
    assert_eq!(SegmentHeader::decode(&expected), HeaderFound::Valid(second));
    newer[2048 + 20] ^= 1;
    assert_eq!(SegmentHeader::decode(&newer[2048..]), HeaderFound::Invalid);
}

#[test]
fn each_kind_of_record_has_these_bytes() {
    let mut buffer = Vec::new();
    let mut encoder = Encoder::new(&mut buffer, SEGMENT_HEADER_BYTES, HEADER);
    let mut ends = Vec::new();
    for (_, record) in golden_records() {
        let position = encoder.append(&record);
        ends.push((position, encoder.offset() - SEGMENT_HEADER_BYTES));
    }
    encoder.end();
    let mut begin = 0;
    for ((golden, record), (position, end)) in golden_records().into_iter().zip(ends) {
        assert_eq!(position.get(), 0x10000 + SEGMENT_HEADER_BYTES + begin, "{record:?}");
        assert_eq!(hexadecimal(&buffer[begin as usize..end as usize]), golden, "{record:?}");
        assert!(end - begin <= room_bytes_max(record.data_bytes()));
        begin = end;
    }
    assert_eq!(hexadecimal(&buffer[begin as usize..]), GOLDEN_END);
    let mut segment = HEADER.encode();
    segment.append(&mut buffer);
    let (records, found) = read_all(&segment, HEADER);
    assert_eq!(records, golden_records().into_iter().map(|(_, record)| record).collect::<Vec<_>>());
    assert_eq!(found, Found::End);
}

#[test]
fn records_of_every_length_are_read_back_wherever_a_block_ends() {
    // Around a block's end each length gives another way to cut: a header alone, one byte more, whole blocks between.
    let header = SegmentHeader { length: 1 << 20, ..HEADER };
    for before in (28_560..28_680).step_by(8) {
        for length in [0usize, 1, 7, 8, 9, 40, 100, 32_759, 32_760, 32_761, 70_000] {
            let mut buffer = Vec::new();
            let mut encoder = Encoder::new(&mut buffer, SEGMENT_HEADER_BYTES, header);
            let entry =
                |index, length| Content::Entry { index, term: 1, payload: Bytes::from(vec![index as u8; length]) };
            let batch = Content::Batch { durable: Lsn::new(8), start: Lsn::ZERO };
            let own = |content| LogRecord { stream: StreamId::LOG, link: Lsn::ZERO, moved_from: None, content };
            let records = [
                of(0, None, entry(1, before - 40)),
                own(batch),
                of(1, None, entry(2, length)),
                of(2, None, Content::Erased),
            ];
            for record in &records {
                let from = encoder.offset();
                assert!(encoder.fits(record.data_bytes()));
                encoder.append(record);
                assert!(encoder.offset() - from <= room_bytes_max(record.data_bytes()), "{before} {length}");
            }
            encoder.end();
            let mut segment = header.encode();
            segment.append(&mut buffer);
            assert_eq!(read_all(&segment, header), (records.to_vec(), Found::End), "{before} {length}");
            let mut reader = Reader::new(SliceBlocks(&segment), header);
            let evidence = reader.durable_evidence(0).unwrap();
            assert_eq!(evidence.map(|(durable, _)| durable), Some(Lsn::new(8)), "a batch is found by its look");
        }
    }
}

#[test]
fn the_same_bytes_of_another_incarnation_or_elsewhere_are_refused() {
    let mut buffer = Vec::new();
    Encoder::new(&mut buffer, SEGMENT_HEADER_BYTES, HEADER).append(&of(1, None, Content::Erased));
    let mut segment = HEADER.encode();
    segment.append(&mut buffer);
    assert_eq!(read_all(&segment, HEADER).0.len(), 1);
    for other in [
        SegmentHeader { incarnation: HEADER.incarnation + 1, ..HEADER },
        SegmentHeader { start: Lsn::new(0x20000), ..HEADER },
    ] {
        let (records, found) = read_all(&segment, other);
        assert!(records.is_empty() && matches!(found, Found::Bad { .. }));
    }
}
