//! Determinism: the same commands give the same bytes, and names always find what has them.

#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

use photondb_cluster_state::*;
use photondb_proto::{DatabaseId, Epoch, KeyRange, NodeId, TableId};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Do(Command),
    /// One of the shards is to be joined to its left neighbour.
    Wish(usize),
    /// The first table gets another name, and those of its shards that do not stay are to be joined to their left neighbours.
    Reshape(String, Vec<bool>),
    /// What is planned first.
    Plan,
    /// What the leader of one of the shards has to report.
    Report(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let number = 0usize..6;
    prop_oneof![
        6 => command().prop_map(Step::Do),
        1 => number.clone().prop_map(Step::Wish),
        1 => (name(), prop::collection::vec(any::<bool>(), 3))
            .prop_map(|(name, stay)| Step::Reshape(name, stay)),
        2 => Just(Step::Plan),
        4 => number.prop_map(Step::Report),
    ]
}

impl Step {
    fn command(&self, state: &ClusterState) -> Option<Command> {
        let shards = || state.tables().flat_map(|table| table.with_members().map(move |shard| (table, shard)));
        match self {
            Step::Do(command) => Some(command.clone()),
            Step::Plan => plan::plan(state, &plan::Burdens::new()).into_iter().next(),
            Step::Wish(number) => shards().nth(*number).map(|(table, shard)| Command::JoinShards {
                table: table.id,
                shards: vec![(shard.id, shard.generation)],
            }),
            Step::Reshape(name, stay) => state.tables().next().map(|table| reshape(table, name, stay)),
            Step::Report(number) => shards().nth(*number).map(|(table, shard)| due(table, shard)),
        }
    }
}

fn reshape(table: &Table, name: &str, stay: &[bool]) -> Command {
    let reshaped = |(shard, stays): (&Shard, &bool)| Reshaped {
        shard: shard.id,
        epoch: shard.epoch,
        cuts: Vec::new(),
        placement: stays.then(|| shard.placement.clone()),
    };
    let settings = TableSettings { flush_interval_ms: Some(Some(5)), ..TableSettings::default() };
    let shards = table.shards.iter().zip(stay).map(reshaped).collect();
    Command::Reshape { table: table.id, named: Some((table.database, name.to_owned())), settings, shards }
}

fn name() -> impl Strategy<Value = String> + Clone {
    prop::sample::select(vec!["a", "b", "c", "bad name"]).prop_map(str::to_owned)
}

fn due(table: &Table, shard: &Shard) -> Command {
    let (id, attempt, at) = (shard.id, shard.attempt, Reached { term: 1, index: 1 });
    let epoch = Epoch(shard.epoch.0 + 2);
    match (shard.joining, table.left_of(id)) {
        (Some(Stage::Freezing), _) => Command::ShardFrozen { shard: id, attempt, at },
        (Some(Stage::Thawing), _) => Command::ShardThawed { shard: id, attempt, epoch },
        (Some(Stage::Frozen { .. }), Some(left)) => {
            let epoch = epoch.max(Epoch(left.epoch.0 + 1));
            Command::ShardJoined { shard: id, into: left.id, attempt, epoch }
        }
        (Some(Stage::Joined { .. }), _) => Command::ShardRetired { shard: id },
        _ => {
            let (generation, voters, learners) = (shard.generation, shard.wanted_voters(), Default::default());
            Command::MembersReached { shard: id, generation, at, voters, learners }
        }
    }
}

fn command() -> impl Strategy<Value = Command> {
    let name = name();
    let database = (1u128..4).prop_map(DatabaseId);
    let table = (1u128..5).prop_map(TableId);
    let user = prop::sample::select(vec!["u", "v", "admin"]).prop_map(str::to_owned);
    prop_oneof![
        (database.clone(), name.clone()).prop_map(|(id, name)| Command::CreateDatabase { id, name }),
        database.clone().prop_map(|id| Command::DropDatabase { id }),
        (database.clone(), name.clone()).prop_map(|(id, name)| Command::RenameDatabase { id, name }),
        (table.clone(), database.clone(), name.clone()).prop_map(|(id, database, name)| Command::CreateTable {
            id,
            database,
            name,
            primary_key: "id".into(),
            durability: Durability::Hard,
            write_acks: WriteAcks::Majority,
            shards: shards(),
            compression: Compression::Lz4,
        }),
        table.clone().prop_map(|id| Command::DropTable { id }),
        (table.clone(), name.clone()).prop_map(|(id, name)| Command::RenameTable { id, name }),
        (table.clone(), database.clone(), name.clone()).prop_map(|(id, database, name)| Command::MoveTable {
            id,
            database,
            name
        }),
        (table.clone(), name.clone()).prop_map(|(table, name)| Command::CreateIndex {
            table,
            name,
            definition: vec![1],
            multi: false,
            geo: false
        }),
        (table.clone(), name.clone(), name, any::<bool>())
            .prop_map(|(table, from, to, overwrite)| Command::RenameIndex { table, from, to, overwrite }),
        user.clone().prop_map(|name| Command::SetUser { name, credentials: None }),
        user.clone().prop_map(|name| Command::DropUser { name }),
        (user, database, table, any::<bool>()).prop_map(|(user, database, table, read)| Command::Grant {
            user,
            scope: Scope::Table(database, table),
            change: PermissionChange { read: Change::Set(read), ..Default::default() },
        }),
    ]
}

fn shards() -> Vec<NewShard> {
    let [left, rest] = KeyRange::all().cut(b"g").unwrap();
    let [middle, right] = rest.cut(b"t").unwrap();
    [left, middle, right].into_iter().map(|range| NewShard::voting(range, vec![NodeId(1)])).collect()
}

fn check(state: &ClusterState) {
    for database in state.databases() {
        assert_eq!(state.database_named(&database.name).map(|found| found.id), Some(database.id));
        for table in state.tables_of(database.id) {
            assert_eq!(state.table_named(database.id, &table.name).map(|found| found.id), Some(table.id));
        }
    }
    let listed: usize = state.databases().map(|database| state.tables_of(database.id).count()).sum();
    assert_eq!(listed, state.tables().count(), "every table is in a database that exists");
    for (user, scope, permissions) in state.permissions() {
        assert!(state.user(user).is_some() && !permissions.is_unset());
        if let Scope::Table(database, table) = scope {
            assert_eq!(state.table(table).map(|found| found.database), Some(database));
        }
    }
}

proptest! {
    #[test]
    fn any_history_is_deterministic_and_keeps_the_names_straight(steps in prop::collection::vec(step(), 0..90)) {
        let node = Command::RegisterNode {
            id: NodeId(1), name: "n".into(), tags: Default::default(), addresses: vec![], boots: 1, incarnation: Incarnation(0),
        };
        let mut left = ClusterState::at_birth();
        let mut right = ClusterState::at_birth();
        apply(&mut left, &node).unwrap();
        apply(&mut right, &node).unwrap();
        for step in &steps {
            let Some(command) = &step.command(&left) else { continue };
            let before = left.clone();
            let answer = apply(&mut left, command);
            if answer.is_err() {
                prop_assert_eq!(&left, &before);
            }
            // The other one lives through its bytes, as a restarted node does.
            right = ClusterState::decode(&right.encode()).unwrap();
            prop_assert_eq!(apply(&mut right, command), answer);
            prop_assert_eq!(left.encode(), right.encode());
            check(&left);
        }
    }
}
