//! Every change to the state.

mod parts;

use std::collections::BTreeSet;

use photondb_proto::{DatabaseId, Epoch, IndexId, MemberId, NodeId, ShardId, TableId};

use crate::joining::Attempt;
use crate::membership::{Address, Incarnation, Liveness, Service};
use crate::schema::{Compression, Durability, WriteAcks};
use crate::shard::{Generation, Placement, Reached, Role};
use crate::users::{Credentials, Scope};
use photondb_proto::ClusterId;

pub use parts::{Change, NewCut, NewShard, PermissionChange, Reshaped, ShardRepair, TableSettings};

/// A change to the state. One that was applied and is sent again, because its answer was lost, is answered as done where
/// it carries an id of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// The first of every cluster: its id.
    Found {
        /// Chosen by who founds it.
        cluster: ClusterId,
    },
    /// `r.dbCreate`.
    CreateDatabase {
        /// Fresh.
        id: DatabaseId,
        /// See [`Database`](crate::Database).
        name: String,
    },
    /// `r.dbDrop`; its tables go with it.
    DropDatabase {
        /// Which.
        id: DatabaseId,
    },
    /// A new name for a database.
    RenameDatabase {
        /// Which.
        id: DatabaseId,
        /// The new one.
        name: String,
    },
    /// `tableCreate`.
    CreateTable {
        /// Fresh.
        id: TableId,
        /// Where.
        database: DatabaseId,
        /// See [`Table`](crate::Table).
        name: String,
        /// See [`Table`](crate::Table).
        primary_key: String,
        /// See [`Durability`].
        durability: Durability,
        /// See [`WriteAcks`].
        write_acks: WriteAcks,
        /// Ascending, covering every key once.
        shards: Vec<NewShard>,
        /// See [`Compression`].
        compression: Compression,
    },
    /// `tableDrop`.
    DropTable {
        /// Which.
        id: TableId,
    },
    /// A new name for a table.
    RenameTable {
        /// Which.
        id: TableId,
        /// The new one.
        name: String,
    },
    /// Another database for a table, and at once another name, or the same.
    MoveTable {
        /// Which.
        id: TableId,
        /// Where to.
        database: DatabaseId,
        /// What it is called there.
        name: String,
    },
    /// A change of a table's settings.
    SetTableConfig {
        /// Which.
        id: TableId,
        /// What to.
        settings: TableSettings,
    },
    /// `indexCreate`.
    CreateIndex {
        /// Of which table.
        table: TableId,
        /// Unique in the table.
        name: String,
        /// See [`Index`](crate::Index).
        definition: Vec<u8>,
        /// See [`Index`](crate::Index).
        multi: bool,
        /// See [`Index`](crate::Index).
        geo: bool,
    },
    /// `indexDrop`.
    DropIndex {
        /// Of which table.
        table: TableId,
        /// Which.
        name: String,
    },
    /// `indexRename`.
    RenameIndex {
        /// Of which table.
        table: TableId,
        /// Which.
        from: String,
        /// The new name.
        to: String,
        /// Whether an index that has the new name gives way.
        overwrite: bool,
    },
    /// `setWriteHook`.
    SetWriteHook {
        /// Of which table.
        table: TableId,
        /// `None` removes it.
        hook: Option<Vec<u8>>,
    },
    /// A new user, or new credentials for one.
    SetUser {
        /// Who.
        name: String,
        /// `None`: no password.
        credentials: Option<Credentials>,
    },
    /// Removes a user and what was said about it.
    DropUser {
        /// Who.
        name: String,
    },
    /// `grant`.
    Grant {
        /// Who.
        user: String,
        /// About what.
        scope: Scope,
        /// What changes.
        change: PermissionChange,
    },
    /// A node has opened its directory and asks to take part.
    RegisterNode {
        /// Its id.
        id: NodeId,
        /// The name it asks for; a node that is known keeps the name it has.
        name: String,
        /// The tags it asks for; a node that is known keeps those it has.
        tags: BTreeSet<String>,
        /// Where it listens.
        addresses: Vec<Address>,
        /// Its boot counter.
        boots: u64,
        /// The process that asks.
        incarnation: Incarnation,
    },
    /// A change of a node's settings by an administrator.
    SetNodeConfig {
        /// Which.
        id: NodeId,
        /// A new name, if it changes.
        name: Option<String>,
        /// New tags, if they change.
        tags: Option<BTreeSet<String>>,
        /// A new cache budget, if it changes; `Some(None)` lets the node decide.
        cache_size_mb: Option<Option<u64>>,
    },
    /// The one setting of `cluster_config`.
    SetHeartbeatTimeout {
        /// In seconds.
        seconds: u64,
    },
    /// Numbers below these are given to no shard and no member any more: they were, in a part of this history that was lost
    /// to damage, and what had them has left its traces on disks.
    SkipIds {
        /// The next shard has at least this one.
        next_shard: u64,
        /// The next member has at least this one.
        next_member: u64,
    },
    /// Other places for the replicas of a table. The planner takes the members there, a step at a time. Its shards are not
    /// wanted to be joined any more. Tests alone propose it today, for `Reshape` says more; it stands in logs, and must be read and
    /// applied as ever.
    Place {
        /// Which table.
        table: TableId,
        /// One for each of its shards, in their order.
        shards: Vec<Placement>,
    },
    /// The same for one shard, and for those that are to be joined to it. Where the same nodes are named in the same roles, and only
    /// another one is to lead, a wish stands.
    PlaceShard {
        /// Which shard.
        shard: ShardId,
        /// Its new placement.
        placement: Placement,
    },
    /// A table's name, settings and shards, all of it at once or nothing of it (K13): what `reconfigure`, `rebalance` and a write to
    /// `table_config` ask for.
    Reshape {
        /// Which table.
        table: TableId,
        /// Where it goes and what it is called there; `None`: it stays.
        named: Option<(DatabaseId, String)>,
        /// See `SetTableConfig`.
        settings: TableSettings,
        /// What becomes of each of its shards, in their order; none: all of them stay as they are.
        shards: Vec<Reshaped>,
    },
    /// Shards are to be cut off from one, all of whose members are as they were told to be. Its own replicas are wanted where
    /// they were.
    CutShard {
        /// From which shard.
        shard: ShardId,
        /// The one that this was planned for; under another one nothing happens.
        generation: Generation,
        /// What, in the order of keys.
        cuts: Vec<NewCut>,
    },
    /// What a group's leader reports: it has applied the last of its shard's cuts. The shard that was cut off begins.
    ShardCut {
        /// From which shard.
        shard: ShardId,
        /// Which shard was cut off.
        child: ShardId,
    },
    /// Shards that have lost the majority of their replicas for good get other groups, all of these or none (K11). What only the
    /// lost ones had is given up.
    RepairTable {
        /// Which table.
        table: TableId,
        /// Which of its shards, and how.
        shards: Vec<ShardRepair>,
    },
    /// Shards are wanted to be joined to their left neighbours, all of these or none (K12). Their replicas are wanted where those
    /// of the neighbours are until a wish is taken back: by `Place` and `Reshape`, and by `PlaceShard` for one of these shards.
    JoinShards {
        /// Of which table.
        table: TableId,
        /// Which, with the generations that this was planned for; under another one the whole command does nothing.
        shards: Vec<(ShardId, Generation)>,
    },
    /// The joining of a shard begins: its members are where those of its left neighbour are, in the same roles.
    BeginJoin {
        /// The right one.
        shard: ShardId,
        /// The one that this was planned for; under another one nothing happens.
        generation: Generation,
        /// The left one.
        left: ShardId,
        /// See `generation`.
        left_generation: Generation,
    },
    /// What a group's leader reports: every member has the freeze of this attempt in its log. There is no way back. Nothing when
    /// the attempt was given up, or a member of either shard has failed.
    ShardFrozen {
        /// The right one.
        shard: ShardId,
        /// Which attempt.
        attempt: Attempt,
        /// Where the freeze stands.
        at: Reached,
    },
    /// An attempt is given up in which not every member has the freeze yet.
    UndoJoin {
        /// The right one.
        shard: ShardId,
        /// Which attempt.
        attempt: Attempt,
    },
    /// What a group's leader reports: it has applied the thaw of this attempt. The wish stands.
    ShardThawed {
        /// The right one.
        shard: ShardId,
        /// Which attempt.
        attempt: Attempt,
        /// The shard's epoch from there on, which freeze and thaw may have raised.
        epoch: Epoch,
    },
    /// What the left group's leader reports: it has the keys of the right one, and no log begins before it has.
    ShardJoined {
        /// The right one.
        shard: ShardId,
        /// The left one.
        into: ShardId,
        /// Which attempt.
        attempt: Attempt,
        /// The left one's epoch from there on, above those of both.
        epoch: Epoch,
    },
    /// What the leader of a shard that was joined reports: nobody needs its changes any more. It is forgotten, and its members
    /// are erased.
    ShardRetired {
        /// Which.
        shard: ShardId,
    },
    /// Another node instead of one that is lost, in the placement of a shard. Nothing when the placement has changed since, or is
    /// that of the shard's left neighbour.
    Substitute {
        /// Of which shard.
        shard: ShardId,
        /// The one that is lost.
        lost: NodeId,
        /// The one that takes its place.
        by: NodeId,
    },
    /// A new member of a shard's group, numbered by the state.
    AddMember {
        /// Of which shard.
        shard: ShardId,
        /// The one that this was planned for; under another one nothing happens.
        generation: Generation,
        /// Where.
        node: NodeId,
        /// Whether it will vote.
        votes: bool,
        /// Who leaves in the same change.
        replaces: Option<MemberId>,
    },
    /// A member leaves.
    RetireMember {
        /// Of which shard.
        shard: ShardId,
        /// See `AddMember`.
        generation: Generation,
        /// Who.
        member: MemberId,
        /// Who was to leave for it, and stays instead.
        restores: Option<MemberId>,
    },
    /// A member is to be something else: [`Role::Joining`] or [`Role::Nonvoting`].
    SetRole {
        /// Of which shard.
        shard: ShardId,
        /// See `AddMember`.
        generation: Generation,
        /// Who.
        member: MemberId,
        /// What.
        role: Role,
    },
    /// What a group's leader reports: the committed membership of the group. One that is older than the last reported is not
    /// taken, nor one by a leader that did not know what the members are told to be now.
    MembersReached {
        /// Of which shard.
        shard: ShardId,
        /// What the leader went by.
        generation: Generation,
        /// Where it stands.
        at: Reached,
        /// Who votes.
        voters: BTreeSet<MemberId>,
        /// Who is in the group and does not.
        learners: BTreeSet<MemberId>,
    },
    /// What a node reports of a member that it cannot run: its log or state is lost or in doubt.
    MemberFailed {
        /// Of which shard.
        shard: ShardId,
        /// Who.
        member: MemberId,
    },
    /// What the leader of this state has seen of a node, or of its silence.
    SetLiveness {
        /// Which.
        id: NodeId,
        /// Of which opening of its directory; nothing happens when it has registered with a later one.
        boots: u64,
        /// See [`Liveness`].
        liveness: Liveness,
    },
    /// What an administrator wants of a node. Refused when it has gone for good.
    SetService {
        /// Which.
        id: NodeId,
        /// [`Service::Full`], [`Service::Drained`] or [`Service::Leaving`].
        service: Service,
    },
    /// A node that is leaving holds nothing any more: it has gone.
    NodeGone {
        /// Which.
        id: NodeId,
    },
    /// Another member of the group that holds this state, for a node whose own one cannot go on.
    RenewMember {
        /// Which.
        id: NodeId,
        /// The member that cannot; nothing happens when the node has another one already.
        failed: MemberId,
    },
}

/// What a command that took effect has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// Nothing.
    Done,
    /// The index has this id.
    Index(IndexId),
    /// These tables went.
    Tables(Vec<TableId>),
    /// The node's member of the group that holds this state.
    Member(MemberId),
}
