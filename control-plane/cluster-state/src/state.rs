//! The state, and how to look things up in it.

use std::collections::BTreeMap;
use std::sync::Arc;

use photondb_proto::{ClusterId, DatabaseId, MemberId, NodeId, ShardId, TableId};

use crate::membership::Node;
use crate::schema::{Database, Table};
use crate::shard::{Cut, Shard};
use crate::users::{ADMIN, Permission, Permissions, Scope, User};

/// The founder's member of the group that holds this state. Every other member id comes from the state's own counter.
pub const META_FOUNDER: MemberId = MemberId(1);

/// RethinkDB's default.
const HEARTBEAT_TIMEOUT_SECS: u64 = 10;

/// Everything the cluster agrees about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterState {
    pub(crate) cluster: Option<ClusterId>,
    pub(crate) heartbeat_timeout_secs: u64,
    pub(crate) databases: BTreeMap<DatabaseId, Arc<Database>>,
    pub(crate) tables: BTreeMap<TableId, Arc<Table>>,
    pub(crate) users: BTreeMap<String, Arc<User>>,
    pub(crate) permissions: BTreeMap<(String, Scope), Permissions>,
    pub(crate) nodes: BTreeMap<NodeId, Arc<Node>>,
    pub(crate) next_shard: u64,
    pub(crate) next_member: u64,
    pub(crate) next_index: u64,

    // Follow from the above; not stored.
    pub(crate) database_names: BTreeMap<String, DatabaseId>,
    pub(crate) table_names: BTreeMap<DatabaseId, BTreeMap<String, TableId>>,
}

impl Default for ClusterState {
    fn default() -> ClusterState {
        ClusterState::at_birth()
    }
}

impl ClusterState {
    /// A cluster that has just begun: the database `test` and the user `admin`, without a password.
    ///
    /// The id of `test` is fixed, so that every node that is born alone begins with the same state.
    pub fn at_birth() -> ClusterState {
        let test = Database { id: DatabaseId(0x7e57_0000_0000_4000_8000_0000_0000_0001), name: "test".to_owned() };
        let admin = User { name: ADMIN.to_owned(), credentials: None };
        let mut state = ClusterState {
            cluster: None,
            heartbeat_timeout_secs: HEARTBEAT_TIMEOUT_SECS,
            databases: BTreeMap::from([(test.id, Arc::new(test))]),
            tables: BTreeMap::new(),
            users: BTreeMap::from([(admin.name.clone(), Arc::new(admin))]),
            permissions: BTreeMap::new(),
            nodes: BTreeMap::new(),
            next_shard: 1,
            next_member: META_FOUNDER.0 + 1,
            next_index: 1,
            database_names: BTreeMap::new(),
            table_names: BTreeMap::new(),
        };
        state.index_names();
        state
    }

    /// The cluster's id, once it is founded.
    pub fn cluster(&self) -> Option<ClusterId> {
        self.cluster
    }

    /// `cluster_config`'s one setting, in seconds.
    pub fn heartbeat_timeout_secs(&self) -> u64 {
        self.heartbeat_timeout_secs
    }

    /// The number that the next shard gets; all below it were given, or never will be.
    pub fn next_shard(&self) -> u64 {
        self.next_shard
    }

    /// The number that the next member gets; all below it were given, or never will be.
    pub fn next_member(&self) -> u64 {
        self.next_member
    }

    /// All databases, by name.
    pub fn databases(&self) -> impl Iterator<Item = &Arc<Database>> {
        self.database_names.values().map(|id| &self.databases[id])
    }

    /// A database.
    pub fn database(&self, id: DatabaseId) -> Option<&Arc<Database>> {
        self.databases.get(&id)
    }

    /// A database.
    pub fn database_named(&self, name: &str) -> Option<&Arc<Database>> {
        self.databases.get(self.database_names.get(name)?)
    }

    /// All tables, by id.
    pub fn tables(&self) -> impl Iterator<Item = &Arc<Table>> {
        self.tables.values()
    }

    /// A database's tables, by name.
    pub fn tables_of(&self, database: DatabaseId) -> impl Iterator<Item = &Arc<Table>> {
        self.table_names.get(&database).into_iter().flat_map(BTreeMap::values).map(|id| &self.tables[id])
    }

    /// A table.
    pub fn table(&self, id: TableId) -> Option<&Arc<Table>> {
        self.tables.get(&id)
    }

    /// A table.
    pub fn table_named(&self, database: DatabaseId, name: &str) -> Option<&Arc<Table>> {
        self.tables.get(self.table_names.get(&database)?.get(name)?)
    }

    /// A shard and its table; also one whose keys another has by now.
    pub fn shard(&self, id: ShardId) -> Option<(&Arc<Table>, &Shard)> {
        let mut tables = self.tables.values();
        tables.find_map(|table| Some((table, table.with_members().find(|shard| shard.id == id)?)))
    }

    /// Whether a node has a member of any shard, or a place in one.
    pub(crate) fn has_shards_on(&self, node: NodeId) -> bool {
        let to_come = |cut: &Cut| cut.placement.contains(node) || cut.members.iter().any(|member| member.node == node);
        let has_member = |shard: &Shard| shard.members.iter().any(|member| member.node == node);
        // Nothing goes any more to a place in a shard that was joined.
        let has_place = |shard: &Shard| shard.placement.contains(node) || shard.cuts.iter().any(to_come);
        let mut tables = self.tables();
        tables.any(|table| table.with_members().any(has_member) || table.shards.iter().any(has_place))
    }

    /// All users, by name.
    pub fn users(&self) -> impl Iterator<Item = &Arc<User>> {
        self.users.values()
    }

    /// A user.
    pub fn user(&self, name: &str) -> Option<&Arc<User>> {
        self.users.get(name)
    }

    /// Everything said about permissions, by user and scope. Nothing is said about `admin`.
    pub fn permissions(&self) -> impl Iterator<Item = (&str, Scope, Permissions)> {
        self.permissions.iter().map(|((user, scope), permissions)| (user.as_str(), *scope, *permissions))
    }

    /// What is said about a user at exactly this scope.
    pub fn permissions_at(&self, user: &str, scope: Scope) -> Permissions {
        self.permissions.get(&(user.to_owned(), scope)).copied().unwrap_or_default()
    }

    /// Whether `user` may: the narrowest scope that says something decides, and silence is no.
    pub fn may(&self, user: &str, permission: Permission, scope: Scope) -> bool {
        if user == ADMIN {
            return true;
        }
        let wider = match scope {
            Scope::Global => [None, None, Some(Scope::Global)],
            Scope::Database(_) => [None, Some(scope), Some(Scope::Global)],
            Scope::Table(database, _) => [Some(scope), Some(Scope::Database(database)), Some(Scope::Global)],
        };
        let mut said = wider.into_iter().flatten().map(|scope| self.permissions_at(user, scope).get(permission));
        said.find_map(|said| said).unwrap_or(false)
    }

    /// All nodes, by id.
    pub fn nodes(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.nodes.values()
    }

    /// A node.
    pub fn node(&self, id: NodeId) -> Option<&Arc<Node>> {
        self.nodes.get(&id)
    }

    /// A node.
    pub fn node_named(&self, name: &str) -> Option<&Arc<Node>> {
        self.nodes.values().find(|node| node.name == name)
    }

    /// Rebuilds what follows from the rest.
    pub(crate) fn index_names(&mut self) {
        self.database_names = self.databases.values().map(|database| (database.name.clone(), database.id)).collect();
        self.table_names.clear();
        for table in self.tables.values() {
            self.table_names.entry(table.database).or_default().insert(table.name.clone(), table.id);
        }
    }
}
