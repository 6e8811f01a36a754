//! Every maximum of a replica.

use std::time::Duration;

/// Entries of one shard that may be proposed and not yet answered. More than one, so that the next entry is on its way
/// while one is synced; few, so that what arrives meanwhile is gathered into one entry.
pub const ENTRIES_IN_FLIGHT_MAX: usize = 2;

/// Bytes of effects waiting for the next entry of one shard; past it writers wait.
pub const PENDING_BYTES_MAX: usize = 4 << 20;

/// Bytes of effects in one entry, unless one alone is larger. Several writers may be let in before any of them hands in
/// what it has evaluated, so that what waits can be more than [`PENDING_BYTES_MAX`].
pub const ENTRY_EFFECTS_BYTES_MAX: usize = 24 << 20;

/// Keys of one shard whose writes have been let in and are not settled; past it writers wait. A change of a few bytes may
/// take a page in each tree, so it is their number, not their bytes, that says what apply will take of memory.
pub const WRITES_UNDER_WAY_MAX: usize = 4096;

/// How long a new shard may take to lead, and an index to be built, before the waiting request is told so.
pub const LEADER_WAIT_MAX: Duration = Duration::from_secs(10);

/// How long all of a node waits until a change of schema is decided in the group of one shard; after that its leader alone does.
pub const SCHEMA_WAIT: Duration = Duration::from_millis(500);

/// How long a leader waits until what it has proposed itself is decided, before it looks anew whether it should.
pub const CHANGE_WAIT: Duration = Duration::from_secs(10);

/// How often the leader of a shard looks whether something is to be done, when nothing tells it.
pub const LOOK_PERIOD: Duration = Duration::from_secs(1);

/// The same while something is on its way that nobody tells of: a member catches up, an index is built elsewhere.
pub const LOOK_PERIOD_BUSY: Duration = Duration::from_millis(50);

/// How long a member leads before it gives way to the one that should.
pub const PREFER_AFTER: Duration = Duration::from_secs(2);

/// How long the disk of a node must have had space before its members should lead again.
pub const SPACE_LASTS_AFTER: Duration = Duration::from_secs(10);

/// How often the leader of a shard looks how large it has become, and how busy it is.
pub const GROWTH_LOOK_PERIOD: Duration = Duration::from_secs(10);

/// How long too much of a shard must have been read or written before it is cut.
pub const BUSY_FOR: Duration = Duration::from_secs(60);

/// Documents whose size tells that of all in a shard.
pub const SIZE_SAMPLES: usize = 32;

/// Of what was read or written lately so large a part must be on each side of a cut, one in so many.
pub const BUSY_SIDE_SHARE: usize = 4;

/// What a node does is told as it was on the average of about so long.
pub const BURDEN_AVERAGED_OVER: Duration = Duration::from_secs(30);

/// Shards are not cut by themselves on nodes that have replicas of so many: each costs something when it is idle, too.
pub const GROUPS_PER_NODE_MAX: usize = 64;

/// How long a member that is not heard of is waited for before shards are joined of which it has not adopted its part: as long as a node
/// takes to start again.
pub const ADOPTION_WAIT: Duration = Duration::from_secs(3);

/// How long a shard that was joined to another one is kept for those who still read its changes.
pub const JOINED_KEPT_FOR: Duration = Duration::from_secs(60);

/// The same where a simulator wants it to be short.
pub const JOINED_KEPT_FOR_BUGGIFIED: Duration = Duration::from_secs(2);

/// In the simulator small shards are cut as well, until a table has so many.
pub const PARTS_OF_BUGGIFIED_MAX: usize = 5;

/// How long the replicas of another node may take to say how they are.
pub const STATUS_TIME_MAX: Duration = Duration::from_secs(2);

/// A member that lacks so many entries at most has caught up: it may vote.
pub const CAUGHT_UP_ENTRIES: u64 = 256;

/// Documents indexed in one turn of an index builder.
pub const BUILD_STEP_DOCUMENTS: usize = 128;

/// Between looks of an index builder at whether there is space on the disk again.
pub const BUILD_RETRY_PERIOD: Duration = Duration::from_secs(1);

/// Index entries that are looked at at once where those that begin alike are put in order.
pub const ALIKE_ENTRIES_AT_ONCE: usize = 1_000;

/// Of those that come behind a batch as many are remembered as take so many bytes, for the batches that follow.
pub const ALIKE_AHEAD_BYTES: usize = 8 << 20;

/// How often a write that was not applied, because its shard changed under it, is evaluated again.
pub const ATTEMPTS_MAX: usize = 32;

const _: () = assert!(
    PENDING_BYTES_MAX + photondb_shard::limits::DOCUMENT_BYTES_MAX < photondb_consensus::limits::COMMAND_BYTES_MAX,
    "what waits, and one more document, must fit into one command"
);
// An effect takes more than 16 bytes beside its key and document; an entry less, and some 64 bytes more.
const _: () = assert!(
    ENTRY_EFFECTS_BYTES_MAX + 4096 < photondb_consensus::limits::COMMAND_BYTES_MAX
        && PENDING_BYTES_MAX + photondb_shard::limits::DOCUMENT_BYTES_MAX < ENTRY_EFFECTS_BYTES_MAX,
    "an entry must fit into one command"
);

/// Looks of a scan that find nothing, one behind the other, before other queries have their turn.
pub const LOOKS_BETWEEN_YIELDS: u32 = 64;

/// How long somebody who leads a shard is looked for, before the query is told that there is nobody: longer than an election
/// takes.
pub const ROUTE_TIME_MAX: Duration = Duration::from_secs(10);

/// After all members of a shard were asked in vain, the time until they are asked again; it doubles each time,
pub const ROUTE_PAUSE_MIN: Duration = Duration::from_millis(10);

/// up to this.
pub const ROUTE_PAUSE_MAX: Duration = Duration::from_millis(200);

/// How long a resume token may be ahead of what a shard's leader has applied: another member, which gave it, may apply sooner.
pub const TOKEN_AHEAD_TIME_MAX: Duration = Duration::from_secs(5);

/// How long another node may take to answer a read, before others are asked.
pub const READ_TIME_MAX: Duration = Duration::from_secs(5);

/// How long another node may take to answer a write, before the query is told that its fate is not known.
pub const WRITE_TIME_MAX: Duration = Duration::from_secs(10);

/// How often a request is sent that was meant for another life of its receiver.
pub const BOOT_ATTEMPTS_MAX: usize = 3;

/// Numbers of requests of one sender that are remembered, counted back from the newest one.
pub const SERIALS_REMEMBERED: u64 = 1 << 16;

/// Senders of which numbers are remembered.
pub const SENDERS_MAX: usize = 1024;

/// Requests of other nodes that are being carried out; more are refused.
pub const REQUESTS_UNDER_WAY_MAX: usize = 4096;

/// Subscriptions of other nodes; more are refused.
pub const REMOTE_FEEDS_MAX: usize = 4096;

/// Bytes of changes in one message to another node, and one change more.
pub const FEED_MESSAGE_BYTES: usize = 1 << 20;

/// Changes in one message to another node.
pub const FEED_MESSAGE_CHANGES_MAX: usize = 4096;

/// How often a subscription of another node is looked at when nothing happens: whether its member leads still.
pub const FEED_LOOK_PERIOD: Duration = Duration::from_secs(1);

/// Rows that a merged scan reads of a shard at once, if it wants no fewer.
pub const MERGE_ROWS_MIN: usize = 16;

/// Rows that another node may ask for at once; it is given fewer when they are large.
pub const LOOK_ROWS_MAX: usize = 16_384;

/// How deep a write hook may be evaluated for another node.
pub const HOOK_DEPTH: usize = 256;

/// Changes that a subscription takes at once, unless one entry has more; the rest waits where it comes from.
pub const FEED_CHANGES_AT_ONCE: usize = 4096;

/// What is late because a simulator wants it to be is late by this, or by a few times this.
pub const BUGGIFIED_PAUSE: Duration = Duration::from_millis(20);

const _: () = assert!(
    photondb_cluster_state::limits::INDEXES_PER_TABLE_MAX <= photondb_shard::limits::INDEXES_MAX,
    "what the cluster state takes is built"
);

const _: () = assert!(
    photondb_cluster_state::limits::CUT_BYTES_MAX <= photondb_storage::limits::KEY_BYTES_MAX,
    "a tree can be cut where the cluster state says"
);

const _: () = assert!(
    photondb_cluster_state::limits::CHANGE_LOG_BYTES_DEFAULT == photondb_shard::limits::CHANGE_LOG_BYTES_DEFAULT,
    "a shard that was told nothing keeps what its table says"
);
