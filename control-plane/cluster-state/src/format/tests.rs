//! Commands and states as bytes: golden ones, round trips, and what is refused.

use photondb_proto::{DatabaseId, Epoch, KeyRange, MemberId, NodeId, ShardId, TableId};

use super::FormatError;
use crate::command::{
    Change, Command, NewCut, NewShard, PermissionChange, Reshaped, Response, ShardRepair, TableSettings,
};
use crate::error::StateError;
use crate::joining::{Attempt, Stage};
use crate::membership::{Address, Incarnation, Liveness, Service};
use crate::schema::{Compression, Durability, WriteAcks};
use crate::shard::{Generation, Placement, Reached, Role};
use crate::state::ClusterState;
use crate::users::{Credentials, Scope};
use photondb_proto::ClusterId;

fn range(start: &str, end: Option<&str>) -> KeyRange {
    KeyRange::new(start.into(), end.map(Into::into)).unwrap()
}

/// One of each, in the order of their tags.
fn every_command() -> Vec<Command> {
    let (table, shard, generation) = (TableId(7), ShardId(4), Generation(5));
    let shards = vec![
        NewShard::voting(range("", Some("m")), vec![NodeId(1)]),
        NewShard::voting(range("m", None), vec![NodeId(1)]),
    ];
    let address = Address { host: "h".into(), port: 29015 };
    vec![
        Command::Found { cluster: ClusterId(9) },
        Command::CreateDatabase { id: DatabaseId(5), name: "d".into() },
        Command::DropDatabase { id: DatabaseId(5) },
        Command::RenameDatabase { id: DatabaseId(5), name: "e".into() },
        Command::CreateTable {
            id: table,
            database: DatabaseId(5),
            name: "t".into(),
            primary_key: "id".into(),
            durability: Durability::Soft,
            write_acks: WriteAcks::Single,
            shards,
            compression: Compression::Zstd,
        },
        Command::DropTable { id: table },
        Command::RenameTable { id: table, name: "u".into() },
        Command::SetTableConfig {
            id: table,
            settings: TableSettings {
                durability: Some(Durability::Hard),
                write_acks: None,
                flush_interval_ms: Some(None),
                compression: Some(Compression::None),
                change_log_bytes: Some(0x0102),
            },
        },
        Command::CreateIndex { table, name: "i".into(), definition: vec![1, 2], multi: true, geo: false },
        Command::DropIndex { table, name: "i".into() },
        Command::RenameIndex { table, from: "i".into(), to: "j".into(), overwrite: true },
        Command::SetWriteHook { table, hook: Some(vec![3]) },
        Command::SetUser {
            name: "bob".into(),
            credentials: Some(Credentials { salt: vec![1], iterations: 4096, salted_password: vec![2] }),
        },
        Command::DropUser { name: "bob".into() },
        Command::Grant {
            user: "bob".into(),
            scope: Scope::Table(DatabaseId(5), table),
            change: PermissionChange { read: Change::Set(true), write: Change::Unset, ..PermissionChange::default() },
        },
        Command::RegisterNode {
            id: NodeId(1),
            name: "n".into(),
            tags: ["a".to_owned()].into(),
            addresses: vec![address],
            boots: 3,
            incarnation: Incarnation(8),
        },
        Command::SetNodeConfig {
            id: NodeId(1),
            name: None,
            tags: Some(["b".to_owned()].into()),
            cache_size_mb: Some(Some(100)),
        },
        Command::SetHeartbeatTimeout { seconds: 11 },
        Command::SkipIds { next_shard: 3, next_member: 258 },
        Command::MoveTable { id: table, database: DatabaseId(6), name: "u".into() },
        Command::Place { table, shards: vec![Placement { voters: vec![NodeId(1)], nonvoting: [NodeId(2)].into() }] },
        Command::Substitute { shard, lost: NodeId(1), by: NodeId(2) },
        Command::AddMember { shard, generation, node: NodeId(2), votes: true, replaces: Some(MemberId(3)) },
        Command::RetireMember { shard, generation, member: MemberId(3), restores: None },
        Command::SetRole { shard, generation, member: MemberId(3), role: Role::Nonvoting },
        Command::MembersReached {
            shard,
            generation,
            at: Reached { term: 2, index: 9 },
            voters: [MemberId(3)].into(),
            learners: [MemberId(4)].into(),
        },
        Command::MemberFailed { shard, member: MemberId(3) },
        Command::SetLiveness { id: NodeId(1), boots: 3, liveness: Liveness::Lost },
        Command::RenewMember { id: NodeId(1), failed: MemberId(3) },
        Command::SetService { id: NodeId(1), service: Service::Leaving },
        Command::NodeGone { id: NodeId(1) },
        Command::CutShard {
            shard,
            generation,
            cuts: vec![NewCut {
                at: b"m".to_vec(),
                placement: Placement { voters: vec![NodeId(1)], nonvoting: [NodeId(2)].into() },
            }],
        },
        Command::ShardCut { shard, child: ShardId(6) },
        Command::PlaceShard { shard, placement: Placement { voters: vec![NodeId(1)], nonvoting: [NodeId(2)].into() } },
        Command::RepairTable {
            table,
            shards: vec![ShardRepair {
                shard,
                generation,
                from: Some(MemberId(3)),
                placement: Placement { voters: vec![NodeId(1)], nonvoting: [NodeId(2)].into() },
            }],
        },
        Command::JoinShards { table, shards: vec![(shard, generation)] },
        Command::BeginJoin { shard, generation, left: ShardId(6), left_generation: Generation(2) },
        Command::ShardFrozen { shard, attempt: Attempt(3), at: Reached { term: 2, index: 9 } },
        Command::UndoJoin { shard, attempt: Attempt(3) },
        Command::ShardThawed { shard, attempt: Attempt(3), epoch: Epoch(8) },
        Command::ShardJoined { shard, into: ShardId(6), attempt: Attempt(3), epoch: Epoch(8) },
        Command::ShardRetired { shard },
        Command::Reshape {
            table,
            named: Some((DatabaseId(6), "u".into())),
            settings: TableSettings { durability: Some(Durability::Hard), ..TableSettings::default() },
            shards: vec![
                Reshaped {
                    shard,
                    epoch: Epoch(2),
                    cuts: vec![NewCut { at: b"m".to_vec(), placement: with_one_that_does_not_vote() }],
                    placement: Some(with_one_that_does_not_vote()),
                },
                Reshaped { shard: ShardId(6), epoch: Epoch(3), cuts: vec![], placement: None },
            ],
        },
    ]
}

fn with_one_that_does_not_vote() -> Placement {
    Placement { voters: vec![NodeId(1)], nonvoting: [NodeId(2)].into() }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn every_command_reads_back_and_has_its_tag() {
    for (tag, command) in every_command().into_iter().enumerate() {
        let bytes = command.encode();
        assert_eq!(bytes[..2], [8, tag as u8], "{command:?}");
        assert_eq!(Command::decode(&bytes), Ok(command));
    }
}

#[test]
fn the_bytes_of_version_7_are_read_and_where_nothing_is_new_those_of_version_8() {
    let mut commands = every_command();
    let Command::SetTableConfig { settings, .. } = &mut commands[7] else { panic!("the eighth changes a table") };
    settings.change_log_bytes = None;
    let id5 = "05".to_owned() + &"00".repeat(15);
    let id7 = "07".to_owned() + &"00".repeat(15);
    let id1 = "01".to_owned() + &"00".repeat(15);
    let id2 = "02".to_owned() + &"00".repeat(15);
    let (shard, generation, incarnation) = ("0400000000000000", "0500000000000000", "0800000000000000");
    let create_table = format!(
        "0704{id7}{id5}010000007402000000696401010200000000000000\
         01010000006d01000000{id1}010000006d0001000000{id1}02"
    );
    for (found, expected) in [
        (&commands[1], format!("0701{id5}0100000064")),
        (&commands[4], create_table),
        (&commands[7], format!("0707{id7}01000001000100")),
        (&commands[10], format!("070a{id7}0100000069010000006a01")),
        (&commands[12], "070c03000000626f620101000000010010000001000000".to_owned() + "02"),
        (&commands[14], format!("070e03000000626f6202{id5}{id7}0201010000")),
        (&commands[18], "071203000000000000000201000000000000".to_owned()),
        (&commands[19], format!("0713{id7}06{}0100000075", "00".repeat(15))),
        (
            &commands[15],
            format!("070f{id1}010000006e01000000010000006101000000010000006857710300000000000000{incarnation}"),
        ),
        (&commands[20], format!("0714{id7}0100000001000000{id1}01000000{id2}")),
        (&commands[21], format!("0715{shard}{id1}{id2}")),
        (&commands[22], format!("0716{shard}{generation}{id2}01010300000000000000")),
        (&commands[23], format!("0717{shard}{generation}030000000000000000")),
        (&commands[24], format!("0718{shard}{generation}030000000000000002")),
        (
            &commands[25],
            format!(
                "0719{shard}{generation}020000000000000009000000000000000100000003000000000000000100000004{}",
                "00".repeat(7)
            ),
        ),
        (&commands[26], format!("071a{shard}0300000000000000")),
        (&commands[27], format!("071b{id1}030000000000000002")),
        (&commands[28], format!("071c{id1}0300000000000000")),
        (&commands[29], format!("071d{id1}02")),
        (&commands[30], format!("071e{id1}")),
        (&commands[31], format!("071f{shard}{generation}01000000010000006d01000000{id1}01000000{id2}")),
        (&commands[32], format!("0720{shard}0600000000000000")),
        (&commands[33], format!("0721{shard}01000000{id1}01000000{id2}")),
        (&commands[34], format!("0722{id7}01000000{shard}{generation}01030000000000000001000000{id1}01000000{id2}")),
        (&commands[35], format!("0723{id7}01000000{shard}{generation}")),
        (&commands[36], format!("0724{shard}{generation}06000000000000000200000000000000")),
        (&commands[37], format!("0725{shard}0300000002000000000000000900000000000000")),
        (&commands[38], format!("0726{shard}03000000")),
        (&commands[39], format!("0727{shard}030000000800000000000000")),
        (&commands[40], format!("0728{shard}0600000000000000030000000800000000000000")),
        (&commands[41], format!("0729{shard}")),
    ] {
        assert_eq!(Command::decode(&bytes(&expected)).as_ref(), Ok(found), "{expected}");
        if !matches!(found, Command::CreateTable { .. } | Command::SetTableConfig { .. }) {
            assert_eq!(hex(&found.encode()), "08".to_owned() + &expected[2..], "{found:?}");
        }
    }
}

#[test]
fn what_version_8_says_of_whole_tables_has_these_bytes() {
    let [id1, id2, id5, id6, id7] = [1, 2, 5, 6, 7].map(|id| format!("{id:02x}{}", "00".repeat(15)));
    let mut commands = every_command();
    let Command::CreateTable { shards, .. } = &mut commands[4] else { panic!("the fifth makes a table") };
    shards[1].placement = with_one_that_does_not_vote();
    let create_table = format!(
        "0804{id7}{id5}010000007402000000696401010200000000000000\
         01010000006d01000000{id1}00000000010000006d0001000000{id1}01000000{id2}02"
    );
    assert_eq!(hex(&commands[4].encode()), create_table);
    let placement = format!("01000000{id1}01000000{id2}");
    let reshape = format!(
        "082a{id7}01{id6}010000007501000000000002000000\
         0400000000000000020000000000000001000000010000006d{placement}01{placement}\
         060000000000000003000000000000000000000000"
    );
    assert_eq!(hex(&commands[42].encode()), reshape);
    let settings = format!("0807{id7}01000001000100010201000000000000");
    assert_eq!(hex(&commands[7].encode()), settings);
    for stored in [create_table, reshape, settings] {
        assert_eq!(Command::decode(&bytes(&stored)).map(|command| hex(&command.encode())), Ok(stored));
    }
}

#[test]
fn what_version_1_wrote_is_read() {
    let id5 = "05".to_owned() + &"00".repeat(15);
    let id7 = "07".to_owned() + &"00".repeat(15);
    let id1 = "01".to_owned() + &"00".repeat(15);
    let create_table = format!(
        "0104{id7}{id5}010000007402000000696401010200000000000000\
         01010000006d01000000{id1}010000006d0001000000{id1}"
    );
    let mut expected = every_command();
    let Command::CreateTable { compression, .. } = &mut expected[4] else { panic!("the fifth makes a table") };
    *compression = Compression::Lz4;
    let Command::SetTableConfig { settings, .. } = &mut expected[7] else { panic!("the eighth changes a table") };
    (settings.compression, settings.change_log_bytes) = (None, None);
    for (stored, expected) in [
        (format!("0101{id5}0100000064"), &expected[1]),
        (create_table, &expected[4]),
        (format!("0107{id7}0100000100"), &expected[7]),
    ] {
        assert_eq!(Command::decode(&bytes(&stored)).as_ref(), Ok(expected), "{stored}");
    }
    // A state with one table: the one of today, without the compression at the table's end.
    let mut state = ClusterState::at_birth();
    let database = state.database_named("test").unwrap().id;
    let Command::CreateTable { id, .. } = expected[4] else { unreachable!() };
    crate::apply(&mut state, &every_command()[15]).unwrap();
    let Command::CreateTable { primary_key, durability, write_acks, shards, .. } = expected[4].clone() else {
        unreachable!()
    };
    let create = Command::CreateTable {
        id,
        database,
        name: "last".into(),
        primary_key,
        durability,
        write_acks,
        shards,
        compression: Compression::Lz4,
    };
    crate::apply(&mut state, &create).unwrap();
    // What such a state is told of its node is what is said today of a lone founder.
    let register = Command::RegisterNode {
        id: NodeId(1),
        name: "n".into(),
        tags: Default::default(),
        addresses: vec![],
        boots: 3,
        incarnation: Incarnation(0),
    };
    let mut at_its_second_start = state.clone();
    crate::apply(&mut at_its_second_start, &register).unwrap_err();
    let before = hex(&state.encode());
    let node_of_today = "030000000000000000010000000000000008000000000000000000";
    let node_of_old = "030000000000000000";
    assert_eq!(before.matches(node_of_today).count(), 1, "{before}");
    // Version 7 said nothing of how much of changes is kept: so much.
    let end_of_table = "0000000000010000000000000001";
    let end_of_table_7 = end_of_table.to_owned() + "00000000";
    let version_7 = before.replace(&(end_of_table_7.clone() + "0000000100000000"), &end_of_table_7);
    assert_eq!(version_7.len() + 16, before.len(), "{before}");
    assert_eq!(ClusterState::decode(&bytes(&("07".to_owned() + &version_7[2..]))), Ok(state.clone()));
    // Version 6 joined no shards: neither did it say how far that is, nor which were.
    let joining_of_today = "00 00000000".replace(' ', "");
    let end_of_shard = format!("01000000{id1}000000000000 00000000 00").replace(' ', "");
    let version_6 = version_7
        .replace(&(end_of_shard.clone() + &joining_of_today), &end_of_shard)
        .replace(&end_of_table_7, end_of_table);
    assert_eq!(version_6.len() + 2 * 10 + 8, version_7.len(), "{version_7}");
    assert_eq!(ClusterState::decode(&bytes(&("06".to_owned() + &version_6[2..]))), Ok(state.clone()));
    // Version 5 gave no shard another group.
    let group_of_today = end_of_shard;
    let version_5 = version_6.replace(&group_of_today, &group_of_today[..group_of_today.len() - 2]);
    assert_eq!(version_5.len() + 4, version_6.len(), "{version_6}");
    assert_eq!(ClusterState::decode(&bytes(&("05".to_owned() + &version_5[2..]))), Ok(state.clone()));
    // Version 4 knew no parents and no cuts of shards.
    let cut_of_old = &group_of_today[..group_of_today.len() - 2];
    let version_4 = version_5.replace(cut_of_old, &cut_of_old[..cut_of_old.len() - 10]);
    assert_eq!(ClusterState::decode(&bytes(&("04".to_owned() + &version_4[2..]))), Ok(state.clone()));
    // Version 3 knew no service of nodes.
    let version_3 = version_4.replace(node_of_today, &node_of_today[..node_of_today.len() - 2]);
    assert_eq!(ClusterState::decode(&bytes(&("03".to_owned() + &version_3[2..]))), Ok(state.clone()));
    let shards_of_today = |first: u64| {
        let [member, next] = [first, first + 1].map(|number| format!("{number:02x}{}", "00".repeat(7)));
        let tail = |id: &str| {
            format!("0100000000000000 01000000 {id}{id1} 01000000 {id1} 00000000 00 00 00000000 00").replace(' ', "")
        };
        (format!("{member}{id1}00{}", tail(&member)), format!("{next}{id1}00{}", tail(&next)))
    };
    let (left, right) = shards_of_today(2);
    let old_left = format!("02{}{id1}", "00".repeat(7));
    let old_right = format!("03{}{id1}", "00".repeat(7));
    assert_eq!((version_6.matches(&left).count(), version_6.matches(&right).count()), (1, 1), "{version_6}");
    let version_2 = version_6.replace(node_of_today, node_of_old).replace(&left, &old_left).replace(&right, &old_right);
    let version_2 = "02".to_owned() + &version_2[2..];
    let mut expected = state;
    let node = expected.nodes.get_mut(&NodeId(1)).map(std::sync::Arc::make_mut).unwrap();
    node.incarnation = Incarnation(0);
    assert_eq!(ClusterState::decode(&bytes(&version_2)), Ok(expected.clone()));

    // And version 1 had no compression at the table's end.
    let found = version_2.match_indices(end_of_table).map(|(at, _)| at).collect::<Vec<_>>();
    let at = found.iter().copied().find(|at| at % 2 == 0).unwrap_or_else(|| panic!("{version_2}"));
    let end = at + end_of_table.len();
    let version_1 = "01".to_owned() + &version_2[2..end - 2] + &version_2[end..];
    assert_eq!(ClusterState::decode(&bytes(&version_1)), Ok(expected));
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn the_state_at_birth_has_these_bytes() {
    let expected = "08\
        00\
        0a00000000000000\
        01000000\
        010000000000008000400000000 0577e"
        .replace(' ', "");
    let found = hex(&ClusterState::at_birth().encode());
    assert!(found.starts_with(&expected), "{found}");
    assert_eq!(ClusterState::decode(&ClusterState::at_birth().encode()), Ok(ClusterState::at_birth()));
}

#[test]
fn a_state_that_has_seen_everything_reads_back() {
    let mut state = ClusterState::at_birth();
    let mut commands = every_command();
    commands.rotate_right(14);
    for command in commands {
        // Some drop what others made; that is as good a history as any.
        let _ = crate::apply(&mut state, &command);
        let bytes = state.encode();
        assert_eq!(ClusterState::decode(&bytes), Ok(state.clone()));
    }
}

#[test]
fn how_far_a_join_is_has_these_bytes() {
    let (at, into) = (Reached { term: 2, index: 9 }, ShardId(6));
    let (entry, end) = ("02000000000000000900000000000000", "06000000000000000800000000000000");
    for (stage, expected) in [
        (Stage::Wanted, "0800".to_owned()),
        (Stage::Freezing, "0801".to_owned()),
        (Stage::Thawing, "0802".to_owned()),
        (Stage::Frozen { at }, format!("0803{entry}")),
        (Stage::Joined { at, into, epoch: Epoch(8) }, format!("0804{entry}{end}")),
    ] {
        let stored = super::encode(&stage);
        assert_eq!(hex(&stored), expected, "{stage:?}");
        assert_eq!(super::decode(&stored), Ok(stage));
    }
}

#[test]
fn outcomes_read_back() {
    let outcomes = [
        Ok(Response::Done),
        Ok(Response::Tables(vec![TableId(1), TableId(2)])),
        Err(StateError::AdminStays),
        Err(StateError::StaleBoot { id: NodeId(1), registered: 5, asked: 5 }),
        Err(StateError::ShardJoining { shard: ShardId(4) }),
        Err(StateError::NoLeftNeighbour { shard: ShardId(4) }),
        Err(StateError::ShardsChanged { table: "t".into() }),
        Err(StateError::NodeNameHeld { name: "n".into() }),
    ];
    for outcome in outcomes {
        assert_eq!(Response::decode_outcome(&Response::encode_outcome(&outcome)), Ok(outcome));
    }
}

#[test]
fn damage_is_an_error_wherever_it_is() {
    for command in every_command() {
        let bytes = command.encode();
        for length in 0..bytes.len() {
            assert!(Command::decode(&bytes[..length]).is_err(), "cut to {length}: {command:?}");
        }
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0xff;
            // Anything but a panic; some changes are another valid command.
            let _ = Command::decode(&damaged);
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert_eq!(Command::decode(&longer), Err(FormatError::Long { extra: 1 }));
    }
    assert_eq!(Command::decode(&[9, 0]), Err(FormatError::Version { found: 9, newest: 8 }));
    assert_eq!(Command::decode(&[0, 0]), Err(FormatError::Version { found: 0, newest: 8 }));
}
