//! What is written in which order, and every tag. Version 8, and what earlier versions had of it.

use photondb_proto::{DatabaseId, Epoch, IndexId, KeyRange, MemberId, NodeId, SchemaVersion, ShardId, TableId};

use super::codec::{FormatError, Input, Stored, enums, ids, lists, put_count, structs};
use crate::command::{
    Change, Command, NewCut, NewShard, PermissionChange, Reshaped, Response, ShardRepair, TableSettings,
};
use crate::error::{NameKind, StateError};
use crate::joining::{Attempt, Stage};
use crate::limits::CHANGE_LOG_BYTES_DEFAULT;
use crate::membership::{Address, Incarnation, Liveness, Node, Service};
use crate::schema::{Compression, Database, Durability, Index, Table, WriteAcks};
use crate::shard::{Cut, Founder, Generation, Member, Placement, Reached, Rescue, Role, Shard};
use crate::state::{ClusterState, META_FOUNDER};
use crate::users::{Credentials, Permissions, Scope, User};
use photondb_proto::ClusterId;

ids!(Attempt, ClusterId, DatabaseId, Epoch, Generation, IndexId, MemberId, NodeId, SchemaVersion, ShardId, TableId);

lists!(
    (ShardId, Generation),
    Address,
    Cut,
    Founder,
    Member,
    NewCut,
    NewShard,
    NodeId,
    Placement,
    Reshaped,
    Shard,
    ShardRepair,
    TableId
);

structs! {
    Address { host, port }
    Cut { at, shard, members, placement }
    Credentials { salt, iterations, salted_password }
    Database { id, name }
    Index { id, definition, multi, geo }
    Founder { id, node }
    NewCut { at, placement }
    PermissionChange { read, write, config, connect }
    Permissions { read, write, config, connect }
    Placement { voters, nonvoting }
    Reached { term, index }
    Rescue { founder, from, epoch, empty }
    Reshaped { shard, epoch, cuts, placement }
    ShardRepair { shard, generation, from, placement }
    User { name, credentials }
}

enums! {
    Durability { 0 => Hard, 1 => Soft }
    WriteAcks { 0 => Majority, 1 => Single }
    Change { 0 => Keep, 1 => Unset, 2 => Set(value) }
    Scope { 0 => Global, 1 => Database(database), 2 => Table(database, table) }
    Liveness { 0 => Up, 1 => Down, 2 => Lost }
    Service { 0 => Full, 1 => Drained, 2 => Leaving, 3 => Gone }
    Role { 0 => Voter, 1 => Joining, 2 => Nonvoting, 3 => Leaving, 4 => Failed, 5 => Discarded }
    Stage { 0 => Wanted, 1 => Freezing, 2 => Thawing, 3 => Frozen { at }, 4 => Joined { at, into, epoch } }
    NameKind { 0 => Database, 1 => Table, 2 => Index, 3 => User, 4 => Node }

    Command {
        0 => Found { cluster },
        1 => CreateDatabase { id, name },
        2 => DropDatabase { id },
        3 => RenameDatabase { id, name },
        4 => CreateTable { id, database, name, primary_key, durability, write_acks, shards, compression },
        5 => DropTable { id },
        6 => RenameTable { id, name },
        7 => SetTableConfig { id, settings },
        8 => CreateIndex { table, name, definition, multi, geo },
        9 => DropIndex { table, name },
        10 => RenameIndex { table, from, to, overwrite },
        11 => SetWriteHook { table, hook },
        12 => SetUser { name, credentials },
        13 => DropUser { name },
        14 => Grant { user, scope, change },
        15 => RegisterNode { id, name, tags, addresses, boots, incarnation },
        16 => SetNodeConfig { id, name, tags, cache_size_mb },
        17 => SetHeartbeatTimeout { seconds },
        18 => SkipIds { next_shard, next_member },
        19 => MoveTable { id, database, name },
        20 => Place { table, shards },
        21 => Substitute { shard, lost, by },
        22 => AddMember { shard, generation, node, votes, replaces },
        23 => RetireMember { shard, generation, member, restores },
        24 => SetRole { shard, generation, member, role },
        25 => MembersReached { shard, generation, at, voters, learners },
        26 => MemberFailed { shard, member },
        27 => SetLiveness { id, boots, liveness },
        28 => RenewMember { id, failed },
        29 => SetService { id, service },
        30 => NodeGone { id },
        31 => CutShard { shard, generation, cuts },
        32 => ShardCut { shard, child },
        33 => PlaceShard { shard, placement },
        34 => RepairTable { table, shards },
        35 => JoinShards { table, shards },
        36 => BeginJoin { shard, generation, left, left_generation },
        37 => ShardFrozen { shard, attempt, at },
        38 => UndoJoin { shard, attempt },
        39 => ShardThawed { shard, attempt, epoch },
        40 => ShardJoined { shard, into, attempt, epoch },
        41 => ShardRetired { shard },
        42 => Reshape { table, named, settings, shards },
    }

    Response { 0 => Done, 1 => Index(index), 2 => Tables(tables), 3 => Member(member) }

    StateError {
        0 => InvalidName { kind, name },
        1 => DatabaseExists { name },
        2 => DatabaseNotFound { id },
        3 => TableExists { database, table },
        4 => TableNotFound { id },
        5 => ShardsInvalid { table },
        6 => IndexExists { database, table, index },
        7 => IndexNotFound { database, table, index },
        8 => IndexIsPrimaryKey { index },
        9 => UserNotFound { name },
        10 => AdminStays,
        11 => AdminPermissions,
        12 => ConnectScope,
        13 => NodeNotFound { id },
        14 => NodeNameTaken { name },
        15 => StaleBoot { id, registered, asked },
        16 => OtherCluster { is, asked },
        17 => DefinitionTooLarge { bytes, max },
        18 => OutOfRange { what, found },
        19 => ShardNotFound { id },
        20 => MemberUnsuitable { shard, member },
        21 => OtherGeneration { shard, is, asked },
        22 => StaleReport { shard },
        23 => NodeGone { name },
        24 => NowhereToGo { name, table, replicas, others },
        25 => NodeNotEmpty { name },
        26 => ShardBusy { shard },
        27 => TooManyIndexes { table, max },
        28 => ShardJoining { shard },
        29 => NoLeftNeighbour { shard },
        30 => ShardsChanged { table },
        31 => NodeNameHeld { name },
    }
}

/// Version 1 had none: its tables were made with what is the default today.
impl Stored for Compression {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(match self {
            Compression::None => 0,
            Compression::Lz4 => 1,
            Compression::Zstd => 2,
        });
    }

    fn get(input: &mut Input<'_>) -> Result<Self, FormatError> {
        if input.version() < 2 {
            return Ok(Compression::default());
        }
        match u8::get(input)? {
            0 => Ok(Compression::None),
            1 => Ok(Compression::Lz4),
            2 => Ok(Compression::Zstd),
            _ => Err(input.impossible("compression")),
        }
    }
}

/// Before version 8 all of its replicas voted.
impl Stored for NewShard {
    fn put(&self, out: &mut Vec<u8>) {
        self.range.put(out);
        self.placement.put(out);
    }

    fn get(input: &mut Input<'_>) -> Result<Self, FormatError> {
        let range = Stored::get(input)?;
        if input.version() < 8 {
            return Ok(NewShard::voting(range, Stored::get(input)?));
        }
        Ok(NewShard { range, placement: Stored::get(input)? })
    }
}

/// Version 1 knew no compression, and before version 8 nobody chose how much of changes is kept.
impl Stored for TableSettings {
    fn put(&self, out: &mut Vec<u8>) {
        self.durability.put(out);
        self.write_acks.put(out);
        self.flush_interval_ms.put(out);
        self.compression.put(out);
        self.change_log_bytes.put(out);
    }

    fn get(input: &mut Input<'_>) -> Result<Self, FormatError> {
        Ok(TableSettings {
            durability: Stored::get(input)?,
            write_acks: Stored::get(input)?,
            flush_interval_ms: Stored::get(input)?,
            compression: if input.version() < 2 { None } else { Stored::get(input)? },
            change_log_bytes: if input.version() < 8 { None } else { Stored::get(input)? },
        })
    }
}

/// Before version 3 nobody said it.
impl Stored for Incarnation {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
    }

    fn get(input: &mut Input<'_>) -> Result<Self, FormatError> {
        if input.version() < 3 {
            return Ok(Incarnation::default());
        }
        Stored::get(input).map(Incarnation)
    }
}

/// Before version 3 every member was the only one of its shard, and voted.
impl Stored for Member {
    fn put(&self, out: &mut Vec<u8>) {
        self.id.put(out);
        self.node.put(out);
        self.role.put(out);
    }

    fn get(input: &mut Input<'_>) -> Result<Self, FormatError> {
        let (id, node) = (Stored::get(input)?, Stored::get(input)?);
        let role = if input.version() < 3 { Role::Voter } else { Stored::get(input)? };
        Ok(Member { id, node, role })
    }
}

/// Before version 3 members did not change: they were the founders, and where they were was where they were wanted. Before version
/// 5 no shard was cut off from another, before version 6 none was given another group, and before version 7 none was joined.
impl Stored for Shard {
    fn put(&self, out: &mut Vec<u8>) {
        self.id.put(out);
        self.range.put(out);
        self.epoch.put(out);
        self.members.put(out);
        self.generation.put(out);
        self.founders.put(out);
        self.placement.put(out);
        self.reached.put(out);
        self.parent.put(out);
        self.cuts.put(out);
        self.rescue.put(out);
        self.joining.put(out);
        self.attempt.put(out);
    }

    fn get(input: &mut Input<'_>) -> Result<Self, FormatError> {
        let (id, range, epoch) = (Stored::get(input)?, Stored::get(input)?, Stored::get(input)?);
        let members: Vec<Member> = Stored::get(input)?;
        if input.version() < 3 {
            let founders = members.iter().map(|member| Founder { id: member.id, node: member.node }).collect();
            let voters = members.iter().map(|member| member.node).collect();
            let placement = Placement { voters, nonvoting: Default::default() };
            let (generation, reached) = (Generation(1), None);
            let (parent, cuts, rescue, joining, attempt) = (None, Vec::new(), None, None, Attempt(0));
            return Ok(Shard {
                id,
                range,
                epoch,
                generation,
                founders,
                members,
                placement,
                reached,
                parent,
                cuts,
                rescue,
                joining,
                attempt,
            });
        }
        let version = input.version();
        Ok(Shard {
            id,
            range,
            epoch,
            members,
            generation: Stored::get(input)?,
            founders: Stored::get(input)?,
            placement: Stored::get(input)?,
            reached: Stored::get(input)?,
            parent: if version < 5 { None } else { Stored::get(input)? },
            cuts: if version < 5 { Vec::new() } else { Stored::get(input)? },
            rescue: if version < 6 { None } else { Stored::get(input)? },
            joining: if version < 7 { None } else { Stored::get(input)? },
            attempt: if version < 7 { Attempt(0) } else { Stored::get(input)? },
        })
    }
}

/// Before version 7 no shard was joined to another, and before version 8 nobody chose how much of changes is kept.
impl Stored for Table {
    fn put(&self, out: &mut Vec<u8>) {
        self.id.put(out);
        self.database.put(out);
        self.name.put(out);
        self.primary_key.put(out);
        self.durability.put(out);
        self.write_acks.put(out);
        self.flush_interval_ms.put(out);
        self.shards.put(out);
        self.indexes.put(out);
        self.write_hook.put(out);
        self.schema.put(out);
        self.compression.put(out);
        self.joined.put(out);
        self.change_log_bytes.put(out);
    }

    fn get(input: &mut Input<'_>) -> Result<Self, FormatError> {
        Ok(Table {
            id: Stored::get(input)?,
            database: Stored::get(input)?,
            name: Stored::get(input)?,
            primary_key: Stored::get(input)?,
            durability: Stored::get(input)?,
            write_acks: Stored::get(input)?,
            flush_interval_ms: Stored::get(input)?,
            shards: Stored::get(input)?,
            indexes: Stored::get(input)?,
            write_hook: Stored::get(input)?,
            schema: Stored::get(input)?,
            compression: Stored::get(input)?,
            joined: if input.version() < 7 { Vec::new() } else { Stored::get(input)? },
            change_log_bytes: if input.version() < 8 { CHANGE_LOG_BYTES_DEFAULT } else { Stored::get(input)? },
        })
    }
}

/// Before version 3 there was one node: the founder.
impl Stored for Node {
    fn put(&self, out: &mut Vec<u8>) {
        self.id.put(out);
        self.name.put(out);
        self.tags.put(out);
        self.addresses.put(out);
        self.boots.put(out);
        self.cache_size_mb.put(out);
        self.meta.put(out);
        self.incarnation.put(out);
        self.liveness.put(out);
        self.service.put(out);
    }

    fn get(input: &mut Input<'_>) -> Result<Self, FormatError> {
        let old = input.version() < 3;
        Ok(Node {
            id: Stored::get(input)?,
            name: Stored::get(input)?,
            tags: Stored::get(input)?,
            addresses: Stored::get(input)?,
            boots: Stored::get(input)?,
            cache_size_mb: Stored::get(input)?,
            meta: if old { META_FOUNDER } else { Stored::get(input)? },
            incarnation: Stored::get(input)?,
            liveness: if old { Liveness::Up } else { Stored::get(input)? },
            service: if input.version() < 4 { Service::Full } else { Stored::get(input)? },
        })
    }
}

impl Stored for KeyRange {
    fn put(&self, out: &mut Vec<u8>) {
        put_count(out, self.start().len());
        out.extend_from_slice(self.start());
        self.end().map(<[u8]>::to_vec).put(out);
    }

    fn get(input: &mut Input<'_>) -> Result<Self, FormatError> {
        let start = Stored::get(input)?;
        let end = Stored::get(input)?;
        KeyRange::new(start, end).ok_or_else(|| input.impossible("key range"))
    }
}

/// 0: the answer; 1: why there is none.
impl Stored for Result<Response, StateError> {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Ok(response) => {
                out.push(0);
                response.put(out);
            }
            Err(error) => {
                out.push(1);
                error.put(out);
            }
        }
    }

    fn get(input: &mut Input<'_>) -> Result<Self, FormatError> {
        match u8::get(input)? {
            0 => Response::get(input).map(Ok),
            1 => StateError::get(input).map(Err),
            _ => Err(input.impossible("outcome")),
        }
    }
}

/// The lookup tables by name are not stored; the decoder's caller rebuilds them.
impl Stored for ClusterState {
    fn put(&self, out: &mut Vec<u8>) {
        self.cluster.put(out);
        self.heartbeat_timeout_secs.put(out);
        self.databases.put(out);
        self.tables.put(out);
        self.users.put(out);
        self.permissions.put(out);
        self.nodes.put(out);
        self.next_shard.put(out);
        self.next_member.put(out);
        self.next_index.put(out);
    }

    fn get(input: &mut Input<'_>) -> Result<Self, FormatError> {
        Ok(ClusterState {
            cluster: Stored::get(input)?,
            heartbeat_timeout_secs: Stored::get(input)?,
            databases: Stored::get(input)?,
            tables: Stored::get(input)?,
            users: Stored::get(input)?,
            permissions: Stored::get(input)?,
            nodes: Stored::get(input)?,
            next_shard: Stored::get(input)?,
            next_member: Stored::get(input)?,
            next_index: Stored::get(input)?,
            database_names: Default::default(),
            table_names: Default::default(),
        })
    }
}
