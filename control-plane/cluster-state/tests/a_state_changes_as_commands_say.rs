//! What each command does to the state, and what it refuses.

#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

use photondb_cluster_state::limits::{CHANGE_LOG_BYTES_MAX, CHANGE_LOG_BYTES_MIN, INDEXES_PER_TABLE_MAX};
use photondb_cluster_state::*;
use photondb_proto::{DatabaseId, Epoch, KeyRange, MemberId, NodeId, SchemaVersion, ShardId, TableId};

const NODE: NodeId = NodeId(1);
const DB: DatabaseId = DatabaseId(100);
const TABLE: TableId = TableId(200);

fn founded() -> ClusterState {
    let mut state = ClusterState::at_birth();
    run(&mut state, Command::Found { cluster: ClusterId(1) });
    run(&mut state, register(NODE, "n1", 1));
    run(&mut state, Command::CreateDatabase { id: DB, name: "db".into() });
    run(&mut state, create_table(TABLE, "t"));
    state
}

fn register(id: NodeId, name: &str, boots: u64) -> Command {
    Command::RegisterNode {
        id,
        name: name.into(),
        tags: Default::default(),
        addresses: vec![],
        boots,
        incarnation: Incarnation(0),
    }
}

fn create_table(id: TableId, name: &str) -> Command {
    Command::CreateTable {
        id,
        database: DB,
        name: name.into(),
        primary_key: "id".into(),
        durability: Durability::Hard,
        write_acks: WriteAcks::Majority,
        shards: vec![NewShard::voting(KeyRange::all(), vec![NODE])],
        compression: Compression::Lz4,
    }
}

fn create_index(name: &str) -> Command {
    Command::CreateIndex { table: TABLE, name: name.into(), definition: vec![1], multi: false, geo: false }
}

#[track_caller]
fn run(state: &mut ClusterState, command: Command) -> Response {
    apply(state, &command).unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

#[track_caller]
fn refused(state: &mut ClusterState, command: Command, error: StateError) {
    let before = state.clone();
    assert_eq!(apply(state, &command), Err(error));
    assert_eq!(*state, before, "a refused command changes nothing");
}

#[test]
fn a_cluster_is_born_with_test_and_admin() {
    let state = ClusterState::at_birth();
    assert_eq!(state.databases().map(|db| db.name.as_str()).collect::<Vec<_>>(), ["test"]);
    assert_eq!(state.users().map(|user| user.name.as_str()).collect::<Vec<_>>(), [ADMIN]);
    assert!(state.may(ADMIN, Permission::Config, Scope::Global));
}

#[test]
fn names_of_databases_are_unique_and_rethinkdb_is_taken() {
    let mut state = founded();
    for taken in ["db", "test", "rethinkdb"] {
        let error = StateError::DatabaseExists { name: taken.into() };
        refused(&mut state, Command::CreateDatabase { id: DatabaseId(9), name: taken.into() }, error.clone());
        if taken != "db" {
            refused(&mut state, Command::RenameDatabase { id: DB, name: taken.into() }, error);
        }
    }
    let invalid = StateError::InvalidName { kind: NameKind::Database, name: "a b".into() };
    refused(&mut state, Command::CreateDatabase { id: DatabaseId(9), name: "a b".into() }, invalid);
}

#[test]
fn a_renamed_database_is_found_by_its_new_name_alone() {
    let mut state = founded();
    run(&mut state, Command::RenameDatabase { id: DB, name: "other".into() });
    assert!(state.database_named("db").is_none());
    assert_eq!(state.database_named("other").unwrap().id, DB);
    assert_eq!(state.tables_of(DB).count(), 1);
}

#[test]
fn a_dropped_database_takes_its_tables_along_and_leaves_what_was_said_about_itself() {
    let mut state = founded();
    run(&mut state, Command::SetUser { name: "bob".into(), credentials: None });
    let change = PermissionChange { read: Change::Set(true), ..Default::default() };
    for scope in [Scope::Global, Scope::Database(DB), Scope::Table(DB, TABLE)] {
        run(&mut state, Command::Grant { user: "bob".into(), scope, change });
    }
    assert_eq!(run(&mut state, Command::DropDatabase { id: DB }), Response::Tables(vec![TABLE]));
    assert!(state.table(TABLE).is_none() && state.table_named(DB, "t").is_none());
    // What a client sees of RethinkDB: a row of `__deleted_database__`, none of its tables.
    let left = state.permissions().map(|(_, scope, _)| scope).collect::<Vec<_>>();
    assert_eq!(left, [Scope::Global, Scope::Database(DB)]);
    refused(&mut state, Command::DropDatabase { id: DB }, StateError::DatabaseNotFound { id: DB });
}

#[test]
fn a_repeated_creation_is_answered_as_the_first_was() {
    let mut state = founded();
    let before = state.clone();
    run(&mut state, Command::CreateDatabase { id: DB, name: "db".into() });
    run(&mut state, create_table(TABLE, "t"));
    assert_eq!(state, before);
    let error = StateError::TableExists { database: "db".into(), table: "t".into() };
    refused(&mut state, create_table(TableId(201), "t"), error);
}

#[test]
fn shards_and_members_are_numbered_once() {
    let mut state = founded();
    let first = state.table(TABLE).unwrap().shards[0].clone();
    assert_eq!((first.id, first.members[0].id), (ShardId(1), MemberId(META_FOUNDER.0 + 1)));
    run(&mut state, Command::DropTable { id: TABLE });
    run(&mut state, create_table(TABLE, "t"));
    let second = state.table(TABLE).unwrap().shards[0].clone();
    assert!(second.id > first.id && second.members[0].id > first.members[0].id);
}

#[test]
fn shards_must_cover_every_key_once() {
    let mut state = founded();
    let range = |start: &str, end: Option<&str>| KeyRange::new(start.into(), end.map(Into::into)).unwrap();
    let halves = |at: &str, from: &str| vec![range("", Some(at)), range(from, None)];
    let cases = [vec![], halves("k", "m"), halves("m", "k"), vec![range("", Some("k"))], vec![range("a", None)]];
    for ranges in cases {
        let Command::CreateTable { id, database, name, primary_key, durability, write_acks, compression, .. } =
            create_table(TableId(9), "s")
        else {
            unreachable!()
        };
        let shards = ranges.into_iter().map(|range| NewShard::voting(range, vec![NODE])).collect();
        let command =
            Command::CreateTable { id, database, name, primary_key, durability, write_acks, shards, compression };
        refused(&mut state, command, StateError::ShardsInvalid { table: "s".into() });
    }
}

#[test]
fn a_key_belongs_to_the_shard_of_its_range() {
    let mut state = founded();
    let range = |start: &str, end: Option<&str>| KeyRange::new(start.into(), end.map(Into::into)).unwrap();
    let shards = vec![
        NewShard::voting(range("", Some("k")), vec![NODE]),
        NewShard::voting(range("k", Some("p")), vec![NODE]),
        NewShard::voting(range("p", None), vec![NODE]),
    ];
    run(
        &mut state,
        Command::CreateTable {
            id: TableId(9),
            database: DB,
            name: "s".into(),
            primary_key: "id".into(),
            durability: Durability::Hard,
            write_acks: WriteAcks::Majority,
            shards,
            compression: Compression::Lz4,
        },
    );
    let table = state.table(TableId(9)).unwrap();
    for key in ["", "a", "k", "o", "p", "zz"] {
        assert!(table.shard_of(key.as_bytes()).range.contains(key.as_bytes()), "{key}");
    }
}

#[test]
fn a_table_has_so_many_indexes_at_most() {
    let mut state = founded();
    for number in 0..INDEXES_PER_TABLE_MAX {
        run(&mut state, create_index(&format!("i{number}")));
    }
    let too_many = StateError::TooManyIndexes { table: "t".into(), max: INDEXES_PER_TABLE_MAX as u64 };
    refused(&mut state, create_index("more"), too_many);
    run(&mut state, Command::DropIndex { table: TABLE, name: "i7".into() });
    run(&mut state, create_index("more"));
}

#[test]
fn a_table_keeps_neither_too_little_nor_too_much_of_its_changes() {
    let mut state = founded();
    let settings = |bytes| TableSettings {
        durability: Some(Durability::Soft),
        change_log_bytes: Some(bytes),
        ..TableSettings::default()
    };
    for found in [0, CHANGE_LOG_BYTES_MIN - 1, CHANGE_LOG_BYTES_MAX + 1, u64::MAX] {
        let error = StateError::OutOfRange { what: "change_log_bytes".into(), found };
        refused(&mut state, Command::SetTableConfig { id: TABLE, settings: settings(found) }, error.clone());
        let reshape = Command::Reshape { table: TABLE, named: None, settings: settings(found), shards: Vec::new() };
        refused(&mut state, reshape, error);
    }
    for bytes in [CHANGE_LOG_BYTES_MIN, CHANGE_LOG_BYTES_MAX] {
        run(&mut state, Command::SetTableConfig { id: TABLE, settings: settings(bytes) });
        assert_eq!(state.table(TABLE).map(|table| table.change_log_bytes), Some(bytes));
    }
}

#[test]
fn an_index_change_raises_the_schema_version() {
    let mut state = founded();
    let Response::Index(first) = run(&mut state, create_index("i")) else { panic!("no id") };
    assert_eq!(state.table(TABLE).unwrap().schema, SchemaVersion(2));
    let exists =
        |index: &str| StateError::IndexExists { database: "db".into(), table: "t".into(), index: index.into() };
    refused(&mut state, create_index("i"), exists("i"));
    refused(&mut state, create_index("id"), StateError::IndexIsPrimaryKey { index: "id".into() });
    let Response::Index(second) = run(&mut state, create_index("j")) else { panic!("no id") };
    assert!(second > first);

    let rename = |overwrite| Command::RenameIndex { table: TABLE, from: "i".into(), to: "j".into(), overwrite };
    refused(&mut state, rename(false), exists("j"));
    run(&mut state, rename(true));
    let table = state.table(TABLE).unwrap();
    assert_eq!((table.indexes.len(), table.index("j").unwrap().id), (1, first));

    run(&mut state, Command::DropIndex { table: TABLE, name: "j".into() });
    let gone = StateError::IndexNotFound { database: "db".into(), table: "t".into(), index: "j".into() };
    refused(&mut state, Command::DropIndex { table: TABLE, name: "j".into() }, gone);
}

#[test]
fn the_narrowest_scope_that_says_something_decides() {
    let mut state = founded();
    run(&mut state, Command::SetUser { name: "bob".into(), credentials: None });
    let table = Scope::Table(DB, TABLE);
    let grant = |scope, read| Command::Grant {
        user: "bob".into(),
        scope,
        change: PermissionChange { read, ..Default::default() },
    };
    let may = |state: &ClusterState| state.may("bob", Permission::Read, table);
    assert!(!may(&state));
    run(&mut state, grant(Scope::Global, Change::Set(true)));
    assert!(may(&state));
    run(&mut state, grant(Scope::Database(DB), Change::Set(false)));
    assert!(!may(&state));
    run(&mut state, grant(table, Change::Set(true)));
    assert!(may(&state));
    run(&mut state, grant(table, Change::Unset));
    assert!(!may(&state));
    assert_eq!(state.permissions().count(), 2, "a scope where nothing is said is not kept");
}

#[test]
fn admin_can_neither_go_nor_be_curbed() {
    let mut state = founded();
    refused(&mut state, Command::DropUser { name: ADMIN.into() }, StateError::AdminStays);
    let change = PermissionChange { read: Change::Set(false), ..Default::default() };
    let grant = Command::Grant { user: ADMIN.into(), scope: Scope::Global, change };
    refused(&mut state, grant, StateError::AdminPermissions);
    let credentials = Some(Credentials { salt: vec![1], iterations: 1, salted_password: vec![2] });
    run(&mut state, Command::SetUser { name: ADMIN.into(), credentials: credentials.clone() });
    assert_eq!(state.user(ADMIN).unwrap().credentials, credentials);
}

#[test]
fn a_dropped_user_comes_back_without_its_permissions() {
    let mut state = founded();
    run(&mut state, Command::SetUser { name: "bob".into(), credentials: None });
    let change = PermissionChange { connect: Change::Set(true), ..Default::default() };
    let grant = |scope| Command::Grant { user: "bob".into(), scope, change };
    refused(&mut state, grant(Scope::Database(DB)), StateError::ConnectScope);
    run(&mut state, grant(Scope::Global));
    run(&mut state, Command::DropUser { name: "bob".into() });
    refused(&mut state, grant(Scope::Global), StateError::UserNotFound { name: "bob".into() });
    run(&mut state, Command::SetUser { name: "bob".into(), credentials: None });
    assert!(!state.may("bob", Permission::Connect, Scope::Global));
}

#[test]
fn a_copied_directory_is_refused() {
    let mut state = founded();
    run(&mut state, register(NODE, "ignored", 2));
    assert_eq!(state.node(NODE).unwrap().name, "n1", "a known node keeps its name");
    for asked in [0, 1, 2] {
        let error = StateError::StaleBoot { id: NODE, registered: 2, asked };
        refused(&mut state, register(NODE, "n1", asked), error);
    }
    refused(&mut state, register(NodeId(2), "n1", 1), StateError::NodeNameTaken { name: "n1".into() });
}

#[test]
fn a_machine_in_the_place_of_another_gets_its_name_wherever_it_is_once_that_one_is_lost() {
    let at = |id: u128, host: &str| {
        let Command::RegisterNode { id, name, tags, boots, incarnation, .. } = register(NodeId(id), "n1", 1) else {
            unreachable!()
        };
        let addresses = vec![Address { host: host.into(), port: 29015 }];
        Command::RegisterNode { id, name, tags, addresses, boots, incarnation }
    };
    let mut state = ClusterState::at_birth();
    run(&mut state, at(7, "old"));
    let heard = |liveness| Command::SetLiveness { id: NodeId(7), boots: 1, liveness };
    refused(&mut state, at(8, "new"), StateError::NodeNameTaken { name: "n1".into() });
    // It may come back; only what has its address too is known to be it.
    run(&mut state, heard(Liveness::Down));
    let held = StateError::NodeNameHeld { name: "n1".into() };
    refused(&mut state, at(8, "new"), held.clone());
    for way in ["photonctl node decommission n1, where enough others are there", "photonctl node replace n1"] {
        assert!(held.to_string().contains(way), "it says what to do: {held}");
    }
    let mut wiped = state.clone();
    run(&mut wiped, at(8, "old"));
    assert_eq!(wiped.node_named("n1").map(|node| node.id), Some(NodeId(8)));

    run(&mut state, heard(Liveness::Lost));
    run(&mut state, at(8, "new"));
    assert_eq!(state.node_named("n1").map(|node| node.id), Some(NodeId(8)));
    let former = state.node(NodeId(7)).unwrap();
    assert!(former.is_lost() && former.name.starts_with("n1_lost_"), "{former:?}");
}

#[test]
fn a_cluster_has_one_id() {
    let mut state = founded();
    run(&mut state, Command::Found { cluster: ClusterId(1) });
    let error = StateError::OtherCluster { is: ClusterId(1), asked: ClusterId(2) };
    refused(&mut state, Command::Found { cluster: ClusterId(2) }, error);
}

#[test]
fn numbers_that_a_lost_history_gave_are_not_given_again() {
    let mut state = founded();
    let (shard, member) = (state.next_shard(), state.next_member());
    run(&mut state, Command::SkipIds { next_shard: shard + 5, next_member: member + 9 });
    run(&mut state, Command::SkipIds { next_shard: 0, next_member: 0 });
    assert_eq!((state.next_shard(), state.next_member()), (shard + 5, member + 9));
}

#[test]
fn a_table_moves_with_its_permissions_to_a_database_that_has_room_for_its_name() {
    let mut state = founded();
    let (other, second) = (DatabaseId(101), TableId(201));
    run(&mut state, Command::CreateDatabase { id: other, name: "other".into() });
    run(&mut state, Command::SetUser { name: "bob".into(), credentials: None });
    let change = PermissionChange { read: Change::Set(true), ..PermissionChange::default() };
    run(&mut state, Command::Grant { user: "bob".into(), scope: Scope::Table(DB, TABLE), change });
    run(&mut state, Command::MoveTable { id: TABLE, database: other, name: "u".into() });
    assert_eq!(state.table_named(other, "u").map(|table| (table.id, table.database)), Some((TABLE, other)));
    assert_eq!((state.table_named(DB, "t"), state.tables_of(DB).count()), (None, 0));
    assert_eq!(state.permissions_at("bob", Scope::Table(other, TABLE)).read, Some(true));
    assert_eq!(state.permissions().count(), 1);

    run(&mut state, create_table(second, "u"));
    let taken = StateError::TableExists { database: "other".into(), table: "u".into() };
    refused(&mut state, Command::MoveTable { id: second, database: other, name: "u".into() }, taken);
    let nowhere = DatabaseId(9);
    let gone = StateError::DatabaseNotFound { id: nowhere };
    refused(&mut state, Command::MoveTable { id: second, database: nowhere, name: "u".into() }, gone);
}

#[test]
fn an_index_may_have_the_empty_name() {
    let mut state = founded();
    run(&mut state, create_index(""));
    run(&mut state, Command::RenameIndex { table: TABLE, from: "".into(), to: "i".into(), overwrite: false });
    run(&mut state, Command::RenameIndex { table: TABLE, from: "i".into(), to: "".into(), overwrite: false });
    assert!(state.table(TABLE).is_some_and(|table| table.index("").is_some()));
}

#[test]
fn a_node_leaves_when_others_can_hold_what_it_has_and_its_name_is_free_then() {
    let mut state = founded();
    let (second, third) = (NodeId(0xb), NodeId(0xc));
    let leaves = |id| Command::SetService { id, service: Service::Leaving };
    let nowhere = StateError::NowhereToGo { name: "n1".into(), table: "t".into(), replicas: 1, others: 0 };
    refused(&mut state, leaves(NODE), nowhere);
    run(&mut state, register(second, "n2", 1));
    run(&mut state, leaves(NODE));
    // Who stops it meanwhile does not keep it.
    run(&mut state, Command::SetService { id: NODE, service: Service::Drained });
    assert!(state.node(NODE).is_some_and(|node| node.service == Service::Leaving));
    // It holds the table still.
    refused(&mut state, Command::NodeGone { id: NODE }, StateError::NodeNotEmpty { name: "n1".into() });
    run(&mut state, Command::DropTable { id: TABLE });
    run(&mut state, Command::NodeGone { id: NODE });
    run(&mut state, Command::NodeGone { id: NODE });

    let gone = StateError::NodeGone { name: "n1".into() };
    refused(&mut state, register(NODE, "n1", 2), gone.clone());
    refused(&mut state, Command::SetService { id: NODE, service: Service::Full }, gone);
    run(&mut state, Command::SetLiveness { id: NODE, boots: 1, liveness: Liveness::Up });
    assert!(state.node(NODE).is_some_and(|node| node.is_lost()));
    // The machine comes back with an empty directory.
    run(&mut state, register(third, "n1", 1));
    assert_eq!(state.node_named("n1").map(|node| node.id), Some(third));
}

#[test]
fn a_node_is_drained_until_it_registers_anew() {
    let mut state = founded();
    run(&mut state, Command::SetService { id: NODE, service: Service::Drained });
    run(&mut state, Command::SetLiveness { id: NODE, boots: 1, liveness: Liveness::Down });
    let service = |state: &ClusterState| state.node(NODE).map(|node| node.service);
    assert_eq!(service(&state), Some(Service::Drained));
    run(&mut state, register(NODE, "n1", 2));
    assert_eq!(service(&state), Some(Service::Full));
}

#[test]
fn a_shard_is_cut_from_its_end_and_changes_nothing_else_meanwhile() {
    let mut state = founded();
    run(&mut state, register(NodeId(2), "two", 1));
    run(&mut state, create_table(TABLE, "t"));
    let shard = state.tables().next().unwrap().shards[0].clone();
    let placement = |node| Placement { voters: vec![node], nonvoting: Default::default() };
    let cut = |at: &str, node| NewCut { at: at.into(), placement: placement(node) };
    let cuts = |state: &ClusterState, cuts: Vec<NewCut>| {
        let (_, shard) = state.shard(shard.id).unwrap();
        Command::CutShard { shard: shard.id, generation: shard.generation, cuts }
    };
    let busy = StateError::ShardBusy { shard: shard.id };
    let command = cuts(&state, vec![cut("f", NODE)]);
    refused(&mut state, command, busy.clone());
    let reached = |shard: &Shard| Command::MembersReached {
        shard: shard.id,
        generation: shard.generation,
        at: Reached { term: 1, index: 1 },
        voters: shard.wanted_voters(),
        learners: Default::default(),
    };
    run(&mut state, reached(&shard));
    let invalid = StateError::ShardsInvalid { table: "t".into() };
    for wrong in [vec![], vec![cut("", NODE)], vec![cut("m", NODE), cut("f", NODE)], vec![cut("f", NODE); 2]] {
        let command = cuts(&state, wrong);
        refused(&mut state, command, invalid.clone());
    }
    let command = cuts(&state, vec![cut("f", NODE), cut("m", NodeId(2))]);
    run(&mut state, command.clone());
    assert!(apply(&mut state, &command).is_err(), "what was planned before does nothing");
    let place = Command::Place { table: TABLE, shards: vec![placement(NodeId(2))] };
    run(&mut state, place);
    assert_eq!(plan::plan(&state, &plan::Burdens::new()), [], "K10: members stay while the shard is cut");

    // The last cut goes first, and each shard that was cut off begins before the next change.
    let children: Vec<ShardId> = state.shard(shard.id).unwrap().1.cuts.iter().map(|cut| cut.shard).collect();
    let done = |child| Command::ShardCut { shard: shard.id, child };
    refused(&mut state, done(children[0]), StateError::StaleReport { shard: shard.id });
    run(&mut state, done(children[1]));
    run(&mut state, done(children[1]));
    run(&mut state, done(children[0]));
    let table = state.table(TABLE).unwrap().clone();
    let ranges: Vec<_> = table.shards.iter().map(|shard| (shard.range.start().to_vec(), shard.epoch.0)).collect();
    assert_eq!(ranges, [(b"".to_vec(), 3), (b"f".to_vec(), 3), (b"m".to_vec(), 2)]);
    assert_eq!(table.shards.iter().map(|shard| shard.id).collect::<Vec<_>>(), [shard.id, children[0], children[1]]);
    let ids: std::collections::BTreeSet<MemberId> = table.shards.iter().map(|shard| shard.members[0].id).collect();
    assert_eq!(ids.len(), 3, "K1");
    for child in &table.shards[1..] {
        assert_eq!(
            (child.parent, child.members[0].node, child.is_founder(child.members[0].id)),
            (Some(shard.id), NODE, true)
        );
    }
    assert_eq!(plan::plan(&state, &plan::Burdens::new()), [], "K10: the parent bears its children first");
    run(&mut state, reached(&table.shards[1]));
    run(&mut state, reached(&table.shards[2]));
    // Now the parent and the second child go where they are wanted.
    let moved = plan::plan(&state, &plan::Burdens::new()).into_iter().map(|command| match command {
        Command::AddMember { shard, node, .. } => (shard, node),
        other => panic!("{other:?}"),
    });
    assert_eq!(moved.collect::<Vec<_>>(), [(shard.id, NodeId(2)), (children[1], NodeId(2))]);
}

/// Five nodes, and a table on the first three of them.
fn spread() -> (ClusterState, Shard) {
    let mut state = founded();
    for number in 2..=5 {
        run(&mut state, register(NodeId(number), &format!("n{number}"), 1));
    }
    let Command::CreateTable { database, name, primary_key, durability, write_acks, compression, .. } =
        create_table(TABLE, "spread")
    else {
        unreachable!()
    };
    let (id, nodes) = (TableId(201), [1, 2, 3].map(NodeId).into());
    let shards = vec![NewShard::voting(KeyRange::all(), nodes)];
    run(
        &mut state,
        Command::CreateTable { id, database, name, primary_key, durability, write_acks, shards, compression },
    );
    let shard = state.table(id).unwrap().shards[0].clone();
    (state, shard)
}

#[test]
fn where_nobody_is_to_spare_a_machine_takes_the_place_of_a_node_that_is_down_under_another_name() {
    let (mut state, shard) = spread();
    for number in 4..=5 {
        run(&mut state, Command::SetService { id: NodeId(number), service: Service::Leaving });
        run(&mut state, Command::NodeGone { id: NodeId(number) });
    }
    let (down, new) = (NodeId(3), NodeId(6));
    run(&mut state, Command::SetLiveness { id: down, boots: 1, liveness: Liveness::Down });
    refused(&mut state, register(new, "n3", 1), StateError::NodeNameHeld { name: "n3".into() });
    let leaves = Command::SetService { id: down, service: Service::Leaving };
    let nowhere = StateError::NowhereToGo { name: "n3".into(), table: "spread".into(), replicas: 3, others: 2 };
    refused(&mut state, leaves.clone(), nowhere);
    run(&mut state, register(new, "n6", 1));
    // As `photonctl node replace` does it.
    run(&mut state, Command::Substitute { shard: shard.id, lost: down, by: new });
    run(&mut state, leaves);
    let placement = &state.shard(shard.id).unwrap().1.placement;
    assert!(placement.contains(new) && !placement.contains(down), "{placement:?}");
}

fn repair(shard: &Shard, from: Option<MemberId>, voters: &[u128]) -> ShardRepair {
    let placement = Placement { voters: voters.iter().copied().map(NodeId).collect(), nonvoting: Default::default() };
    ShardRepair { shard: shard.id, generation: shard.generation, from, placement }
}

#[test]
fn a_repaired_shard_has_one_new_member_and_nothing_of_the_old_group() {
    let (mut state, before) = spread();
    let (table, last) = (TableId(201), before.members[2]);
    let next = state.next_member();
    let shards = vec![repair(&before, Some(last.id), &[3, 4, 5])];
    run(&mut state, Command::RepairTable { table, shards });
    let shard = &state.table(table).unwrap().shards[0];
    let founder = MemberId(next);
    assert_eq!(shard.members, [Member { id: founder, node: NodeId(3), role: Role::Voter }]);
    assert_eq!(shard.founders, [Founder { id: founder, node: NodeId(3) }]);
    assert_eq!((shard.id, &shard.range), (before.id, &before.range));
    assert_eq!((shard.epoch.0, shard.generation.0), (before.epoch.0 + 1, before.generation.0 + 1));
    assert_eq!((shard.reached, shard.parent), (None, None));
    assert_eq!(shard.rescue, Some(Rescue { founder, from: Some(last.id), epoch: shard.epoch, empty: before.epoch }));
    assert_eq!(shard.taken_over(founder), Some(last.id));
    assert_eq!(shard.taken_over(last.id), None);
    // What was planned for the old group, or reported of it, does nothing.
    let (id, generation) = (before.id, before.generation);
    let other = StateError::OtherGeneration { shard: id, is: generation.0 + 1, asked: generation.0 };
    let at = Reached { term: 99, index: 99 };
    let voters = before.wanted_voters();
    let report = Command::MembersReached { shard: id, generation, at, voters, learners: Default::default() };
    refused(&mut state, report, other.clone());
    let again = vec![repair(&before, Some(last.id), &[3, 4, 5])];
    refused(&mut state, Command::RepairTable { table, shards: again }, other);
}

#[test]
fn a_shard_of_which_nothing_is_left_begins_empty_where_it_is_told_to() {
    let (mut state, before) = spread();
    let table = TableId(201);
    run(&mut state, Command::RepairTable { table, shards: vec![repair(&before, None, &[5, 4])] });
    let shard = &state.table(table).unwrap().shards[0];
    let founder = shard.members[0].id;
    assert_eq!((shard.members.len(), shard.members[0].node), (1, NodeId(5)));
    assert_eq!(shard.rescue, Some(Rescue { founder, from: None, epoch: shard.epoch, empty: shard.epoch }));
    assert_eq!((shard.taken_over(founder), shard.began_empty(founder)), (None, true));
    // Whoever takes over from its members reads logs that began so.
    let began = shard.clone();
    run(&mut state, Command::RepairTable { table, shards: vec![repair(&began, Some(founder), &[5, 4])] });
    let shard = &state.table(table).unwrap().shards[0];
    assert_eq!((shard.epoch_of_empty(), shard.epoch.0), (began.epoch, began.epoch.0 + 1));
    assert!(!shard.began_empty(shard.members[0].id));
}

#[test]
fn a_repair_that_does_not_fit_changes_nothing() {
    let (mut state, before) = spread();
    let (table, shard) = (TableId(201), before.id);
    let [first, _, last] = [0, 1, 2].map(|number: usize| before.members[number].id);
    let one = |from, voters: &[u128]| vec![repair(&before, from, voters)];
    let unsuitable = |member| StateError::MemberUnsuitable { shard, member };
    for (table, shards, error) in [
        (TableId(7), one(Some(last), &[3]), StateError::TableNotFound { id: TableId(7) }),
        (TABLE, one(Some(last), &[3]), StateError::ShardNotFound { id: shard }),
        // It is taken over where it lies, and only what is a member is.
        (table, one(Some(last), &[1, 3]), unsuitable(last)),
        (table, one(Some(MemberId(77)), &[3]), unsuitable(MemberId(77))),
        (table, one(None, &[]), StateError::ShardsInvalid { table: "spread".into() }),
        (table, one(None, &[9]), StateError::NodeNotFound { id: NodeId(9) }),
        (table, [one(Some(last), &[3]), one(Some(first), &[1])].concat(), StateError::ShardNotFound { id: shard }),
    ] {
        refused(&mut state, Command::RepairTable { table, shards }, error);
    }
}

#[test]
fn a_cut_that_may_have_been_applied_goes_on_in_the_new_group() {
    let (mut state, before) = spread();
    let (table, shard, generation) = (TableId(201), before.id, before.generation);
    let (at, voters) = (Reached { term: 1, index: 1 }, before.wanted_voters());
    run(&mut state, Command::MembersReached { shard, generation, at, voters, learners: Default::default() });
    let cuts = vec![NewCut { at: b"m".to_vec(), placement: before.placement.clone() }];
    run(&mut state, Command::CutShard { shard, generation, cuts });
    let cutting = state.table(table).unwrap().shards[0].clone();
    let survivor = cutting.members[1];
    run(&mut state, Command::RepairTable { table, shards: vec![repair(&cutting, Some(survivor.id), &[2, 1])] });
    let repaired = state.table(table).unwrap().shards[0].clone();
    let cut = repaired.next_cut().unwrap();
    assert_eq!(cut.shard, cutting.next_cut().unwrap().shard);
    assert_eq!((cut.members.len(), cut.members[0].node), (1, NodeId(2)));
    assert!(cut.members[0].id > repaired.members[0].id, "nobody had that number before");
    run(&mut state, Command::ShardCut { shard, child: cut.shard });
    let [left, right] = &state.table(table).unwrap().shards[..] else { panic!("two shards") };
    assert_eq!((left.epoch, right.epoch), (right.epoch, Epoch(repaired.epoch.0 + 1)));
    assert_eq!(right.rescue, None);
    // Of one that begins empty nothing is cut off.
    let shards = vec![repair(&left.clone(), None, &[1])];
    run(&mut state, Command::RepairTable { table, shards });
    assert!(state.table(table).unwrap().shards[0].cuts.is_empty());
}
