//! Why a command did not take effect. Each variant carries the names that an answer to the user needs.

use std::fmt;

use photondb_proto::{DatabaseId, MemberId, NodeId, ShardId, TableId};

use photondb_proto::ClusterId;

/// What a name was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameKind {
    /// A database.
    Database,
    /// A table.
    Table,
    /// An index.
    Index,
    /// A user.
    User,
    /// A node.
    Node,
}

impl fmt::Display for NameKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NameKind::Database => "Database",
            NameKind::Table => "Table",
            NameKind::Index => "Index",
            NameKind::User => "User",
            NameKind::Node => "Server",
        })
    }
}

/// Why a command did not take effect; the state is as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// Not letters, digits, `_`, `-`; or empty, or too long.
    #[error("{kind} name `{name}` invalid (Use A-Z, a-z, 0-9, _ and - only)")]
    InvalidName {
        /// For what.
        kind: NameKind,
        /// The name.
        name: String,
    },
    /// There is a database of that name.
    #[error("Database `{name}` already exists")]
    DatabaseExists {
        /// The name.
        name: String,
    },
    /// There is no such database.
    #[error("Database {id} does not exist")]
    DatabaseNotFound {
        /// Its id.
        id: DatabaseId,
    },
    /// There is a table of that name in the database.
    #[error("Table `{database}.{table}` already exists")]
    TableExists {
        /// The database's name.
        database: String,
        /// The table's.
        table: String,
    },
    /// There is no such table.
    #[error("Table {id} does not exist")]
    TableNotFound {
        /// Its id.
        id: TableId,
    },
    /// The shards of a new table do not cover every key once, or one has no replica, or there are too many.
    #[error("the shards of table `{table}` do not cover every key exactly once, each with a replica")]
    ShardsInvalid {
        /// The table's name.
        table: String,
    },
    /// The table has an index of that name.
    #[error("Index `{index}` already exists on table `{database}.{table}`")]
    IndexExists {
        /// The database's name.
        database: String,
        /// The table's.
        table: String,
        /// The index's.
        index: String,
    },
    /// The table has no index of that name.
    #[error("Index `{index}` was not found on table `{database}.{table}`")]
    IndexNotFound {
        /// The database's name.
        database: String,
        /// The table's.
        table: String,
        /// The index's.
        index: String,
    },
    /// The name of the primary key is not free for an index.
    #[error("Index name conflict: `{index}` is the name of the primary key")]
    IndexIsPrimaryKey {
        /// The name.
        index: String,
    },
    /// There is no such user.
    #[error("User `{name}` not found")]
    UserNotFound {
        /// The name.
        name: String,
    },
    /// `admin` stays.
    #[error("The user `admin` can't be deleted")]
    AdminStays,
    /// What `admin` may do is not up for change.
    #[error("The permissions of the user `admin` can't be modified")]
    AdminPermissions,
    /// `connect` is said at the global scope alone.
    #[error("The `connect` permission is only valid at the global scope")]
    ConnectScope,
    /// There is no such node.
    #[error("Server {id} is not known")]
    NodeNotFound {
        /// Its id.
        id: NodeId,
    },
    /// Another node has that name.
    #[error("Server name `{name}` is already taken")]
    NodeNameTaken {
        /// The name.
        name: String,
    },
    /// A node asks for the name of one that has not been heard for a while, and that listened elsewhere. It may be that one's machine
    /// with another disk and another address, or somebody else.
    #[error(
        "server name `{name}` is that of a server that is down, and that had another address; if this one takes its place, it is let in \
         when the other is given up as lost, or has left (photonctl node decommission {name}, where enough others are there for its \
         replicas); otherwise give this one another name, and have it take the places of the other with photonctl node replace {name} OTHER"
    )]
    NodeNameHeld {
        /// The name.
        name: String,
    },
    /// The node has registered with a counter at least as high: its directory was copied or set back.
    #[error(
        "server {id} has registered with boot {registered} already; boot {asked} is of a copied or older directory"
    )]
    StaleBoot {
        /// The node.
        id: NodeId,
        /// The highest known.
        registered: u64,
        /// The one it came with.
        asked: u64,
    },
    /// The node has gone for good: it was decommissioned.
    #[error("server `{name}` was decommissioned; to bring the machine back, start it with an empty directory")]
    NodeGone {
        /// Its name.
        name: String,
    },
    /// A node cannot leave: nobody could take the place of a replica that it has.
    #[error(
        "server `{name}` cannot leave: table `{table}` has replicas on {replicas} servers, and {others} others can hold them; \
         add a server, or lower the number of the table's replicas"
    )]
    NowhereToGo {
        /// The node's name.
        name: String,
        /// The table.
        table: String,
        /// On how many nodes each shard of the table wants a replica.
        replicas: u64,
        /// How many nodes there are that may hold one.
        others: u64,
    },
    /// It holds replicas still.
    #[error("server `{name}` still holds replicas")]
    NodeNotEmpty {
        /// Its name.
        name: String,
    },
    /// The cluster has another id.
    #[error("this is cluster {is}, not {asked}")]
    OtherCluster {
        /// The id it has.
        is: ClusterId,
        /// The id that was named.
        asked: ClusterId,
    },
    /// An index definition or hook is larger than may be stored.
    #[error("a definition of {bytes} bytes is larger than {max}")]
    DefinitionTooLarge {
        /// Its size.
        bytes: u64,
        /// The maximum.
        max: u64,
    },
    /// The table has as many indexes as a table may have.
    #[error("Table `{table}` has {max} indexes, which is the most a table may have; drop one first")]
    TooManyIndexes {
        /// The table.
        table: String,
        /// The maximum.
        max: u64,
    },
    /// A number outside of what it may be.
    #[error("`{what}` cannot be {found}")]
    OutOfRange {
        /// Which.
        what: String,
        /// The number.
        found: u64,
    },
    /// There is no such shard.
    #[error("Shard {id} does not exist")]
    ShardNotFound {
        /// Its id.
        id: ShardId,
    },
    /// The shard has no such member, or it cannot become that.
    #[error("member {member} of shard {shard} cannot be changed so")]
    MemberUnsuitable {
        /// The shard.
        shard: ShardId,
        /// The member.
        member: MemberId,
    },
    /// The members have changed since this was planned.
    #[error("the members of shard {shard} have changed {is} times; this was planned after {asked}")]
    OtherGeneration {
        /// The shard.
        shard: ShardId,
        /// Its generation.
        is: u64,
        /// The one that was named.
        asked: u64,
    },
    /// A report of a membership that has been overruled.
    #[error("shard {shard} has reported a later membership already")]
    StaleReport {
        /// The shard.
        shard: ShardId,
    },
    /// The shard's members are not all as they were told to be, or it is being cut already.
    #[error("shard {shard} is being changed; try again when that is done")]
    ShardBusy {
        /// The shard.
        shard: ShardId,
    },
    /// The shard, or its right neighbour, is being joined with its left one, or was (K12).
    #[error("shard {shard} is being joined with a neighbour; try again when that is done")]
    ShardJoining {
        /// The shard.
        shard: ShardId,
    },
    /// The table has other shards, or they have other keys, than when this was planned.
    #[error("the shards of table `{table}` have changed since this was planned; try again")]
    ShardsChanged {
        /// The table's name.
        table: String,
    },
    /// It begins with the table's first key.
    #[error("shard {shard} is the first one of its table: there is none to its left that it could be joined to")]
    NoLeftNeighbour {
        /// The shard.
        shard: ShardId,
    },
}
