//! Determinism: the same commands give the same bytes, and names always find what has them.

#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

use photondb_cluster_state::*;
use photondb_proto::{DatabaseId, KeyRange, NodeId, TableId};
use proptest::prelude::*;

fn command() -> impl Strategy<Value = Command> {
    let name = prop::sample::select(vec!["a", "b", "c", "bad name"]).prop_map(str::to_owned);
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
            shards: vec![NewShard { range: KeyRange::all(), nodes: vec![NodeId(1)] }],
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
    fn any_history_is_deterministic_and_keeps_the_names_straight(commands in prop::collection::vec(command(), 0..60)) {
        let node = Command::RegisterNode {
            id: NodeId(1), name: "n".into(), tags: Default::default(), addresses: vec![], boots: 1, incarnation: Incarnation(0),
        };
        let mut left = ClusterState::at_birth();
        let mut right = ClusterState::at_birth();
        apply(&mut left, &node).unwrap();
        apply(&mut right, &node).unwrap();
        for command in &commands {
            let before = left.clone();
            let answer = apply(&mut left, command);
            if answer.is_err() {
                prop_assert_eq!(&left, &before);
            }
            // The other one lives through its bytes, as a restarted node does.
            right = ClusterState::decode(&right.encode()).unwrap();
            prop_assert_eq!(apply(&mut right, command), answer);
            check(&left);
        }
        prop_assert_eq!(left.encode(), right.encode());
    }
}
