//! The maxima of the program.

use std::time::Duration;

/// How long DDL waits between two looks at what leaders of shards do, which takes them some round trips and checkpoints.
pub const SHARDS_LOOK_PERIOD: Duration = Duration::from_millis(20);

/// The same, once it has lasted a while.
pub const SHARDS_LOOK_PERIOD_MAX: Duration = Duration::from_millis(500);

/// How long whoever asks for other shards or places waits for those that are being split, joined or moved, before it is refused. A split
/// of a large shard with many indexes may take longer: whoever asks again waits again.
pub const RESHAPE_TIME_MAX: Duration = Duration::from_secs(30);

/// What a client may take before it has logged in.
pub const LOGIN_TIME_MAX: Duration = Duration::from_secs(10);

/// How long a refused client may take to read why.
pub const REFUSAL_TIME_MAX: Duration = Duration::from_secs(2);

/// Bytes that are read from a connection in one call; an idle connection holds no buffer.
pub const READ_BYTES: usize = 16 * 1024;

/// How much room is made at once for the rest of a long frame, in bytes.
pub const INBOX_BYTES_GROWTH_MAX: usize = 1024 * 1024;

/// A client that has begun a frame is given up when, in a period of so long ...
pub const FRAME_PERIOD: Duration = Duration::from_secs(300);

/// ... fewer bytes arrive of it than these and it is not whole either: what arrived is taken from the memory for all queries.
pub const FRAME_BYTES_PER_PERIOD_MIN: usize = 1024 * 1024;

/// Messages of so many bytes are parsed on a fiber, so that the thread's other queries have their turn in between; shorter ones
/// at once.
pub const LONG_MESSAGE_BYTES: usize = 256 * 1024;

/// What is read ahead while the connection's queries are at their maximum, in bytes; it shows whether the client is gone.
pub const READ_AHEAD_BYTES_MAX: usize = 64 * 1024;

/// Queries of one connection that run at once; then reading stops.
pub const QUERIES_IN_FLIGHT_MAX: usize = 1_024;

/// Bytes of the messages of queries of one connection that run at once; then reading stops. A message takes several times
/// its bytes while it runs, and while writers wait for memory all that a client has sent ahead of its answers runs.
pub const QUERY_BYTES_IN_FLIGHT_MAX: usize = 4 * 1024 * 1024;

/// Results of one connection that are open at once.
pub const OPEN_CURSORS_MAX: usize = 16_384;

/// CONTINUEs that wait behind another of the same token.
pub const CONTINUES_WAITING_MAX: usize = 16;

/// Answers that wait for a slow reader, in bytes; then reading stops.
pub const OUTPUT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Output buffers larger than this are given back to the system once they are empty.
/// No more than is free for everybody: a client that waits must take nothing from others.
pub const OUTPUT_BYTES_KEPT: usize = photondb_query::limits::MEMORY_FREE_BYTES;

/// Connections of one node at once.
pub const CONNECTIONS_MAX: usize = 20_000;

/// Connections to the cluster port at once; more wait to be accepted.
pub const CLUSTER_CONNECTIONS_MAX: usize = 256;

/// How long one of them takes new requests; then the other side connects again.
pub const CLUSTER_CONNECTION_TIME_MAX: Duration = Duration::from_secs(600);

/// Between questions whether the other side of one is still there.
pub const CLUSTER_KEEPALIVE_PERIOD: Duration = Duration::from_secs(20);

/// Requests of one of them that run at once.
pub const RPCS_IN_FLIGHT_MAX: u32 = 64;

/// A request to the cluster port, in bytes.
pub const RPC_REQUEST_BYTES_MAX: usize = 64 * 1024;

/// Its metadata, in bytes.
pub const RPC_METADATA_BYTES_MAX: u32 = 16 * 1024;

/// How long it may take, whatever its own deadline.
pub const RPC_TIME_MAX: Duration = Duration::from_secs(30);

/// What may be under way between a query of photonctl and the session that runs it, in bytes in each direction.
pub const RPC_QUERY_PIPE_BYTES: usize = 64 * 1024;

/// The longest part of an answer that is sent at once, in bytes.
pub const RPC_QUERY_PART_BYTES_MAX: usize = 64 * 1024;

/// How long a node that stops, and leads nothing any more, goes on with what other nodes have asked it for.
pub const ANSWER_TIME_MAX: Duration = Duration::from_secs(1);

/// When nothing has come from them for so long, they know who leads instead.
pub const ANSWERS_REST: Duration = Duration::from_millis(50);

/// How long running queries may go on after a signal to stop.
pub const DRAIN_TIME_MAX: Duration = Duration::from_secs(5);

/// How long a node that stops waits until others lead what it led: they take milliseconds, unless they lag.
pub const HAND_OVER_TIME_MAX: Duration = Duration::from_secs(5);

/// Between attempts to bring replicas to what the cluster state says.
pub const RECONCILE_RETRY_PERIOD: Duration = Duration::from_secs(1);

/// The same, for members that only wait until another one here has applied what its leader has.
pub const BIRTH_RETRY_PERIOD: Duration = Duration::from_millis(20);

/// How long one Raft group may take to stop.
pub const STOP_GROUP_TIME_MAX: Duration = Duration::from_secs(5);

/// How long the log's queue must have been empty before its writer does housekeeping.
pub const LOG_IDLE_TIME: Duration = Duration::from_millis(20);

/// How long it must have been empty before the log takes as little room as it can.
pub const LOG_SHRINK_IDLE_TIME: Duration = Duration::from_secs(10);

/// Between looks at whether storage has something to do that nobody is told of, a checkpoint for one; and between attempts
/// to write when the disk is full.
pub const STORAGE_LOOK_PERIOD: Duration = Duration::from_secs(2);

/// The longest that changed pages wait for a checkpoint.
pub const CHECKPOINT_PERIOD_MAX: Duration = Duration::from_secs(60);

/// Between attempts to write changed pages when there are none that can be written.
pub const EVICTION_RETRY_PERIOD: Duration = Duration::from_millis(10);

/// Pages of dropped trees that are freed in one step. Writers of the shard wait for it.
pub const RECLAIM_PAGES_PER_STEP: usize = 64;

/// Slots that one step of compaction leaves behind. Writers of the shard wait for it.
pub const COMPACTION_SLOTS_PER_STEP: usize = 64;

/// Between two steps that nobody waits for.
pub const TIDY_PAUSE: Duration = Duration::from_millis(2);

/// What changed pages may take, in bytes, however large the cache is: as long as it takes to write them a checkpoint lasts.
pub const DIRTY_BYTES_MAX: usize = 256 * 1024 * 1024;

/// They may take this part of the cache.
pub const DIRTY_SHARE: usize = 2;

/// Recent log entries that are kept in memory may take as much as this part of the cache, beside it.
pub const LOG_CACHE_SHARE: usize = 8;

/// The smallest page cache, in bytes.
pub const CACHE_BYTES_MIN: u64 = 8 * 1024 * 1024;

/// The largest shard that is not cut in two by itself, in bytes of its documents, unless something else is chosen: with the 64 groups that a
/// node is made for, it holds half a tebibyte.
pub const SHARD_BYTES_MAX: u64 = 8 << 30;

/// The least that may be chosen: for trying it out.
pub const SHARD_BYTES_MAX_MIN: u64 = 64 << 10;

/// Documents of one shard that may be written in a second, for long, until it is cut in two by itself, unless something else is chosen.
pub const SHARD_WRITES_MAX: u64 = 10_000;

/// The same of documents that are read by key: less than half of what one core answers, so that a shard is cut before it keeps a core of
/// its node busy.
pub const SHARD_READS_MAX: u64 = 100_000;

/// How long whoever asks for the nodes waits for the newest cluster state, before what this node knows has to do.
pub const CONFIRM_TIME_MAX: Duration = Duration::from_secs(1);

/// What `--cache-size auto` leaves to the rest of the process before the halves are made, in bytes.
pub const MEMORY_RESERVE_BYTES: u64 = 128 * 1024 * 1024;

/// In a small limit the reserve is the limit divided by this.
pub const MEMORY_RESERVE_SHARE: u64 = 2;

/// Where nodes listen for each other, unless something else is said.
pub const CLUSTER_PORT: u16 = 29015;

/// The shortest secret that nodes know each other by, in bytes, and the longest.
pub const CLUSTER_SECRET_BYTES_MIN: usize = 16;
/// See [`CLUSTER_SECRET_BYTES_MIN`].
pub const CLUSTER_SECRET_BYTES_MAX: usize = 4096;

/// The longest file with certificates or a key, in bytes.
pub const TLS_FILE_BYTES_MAX: usize = 1 << 20;

/// How long a TLS handshake may take, on either side.
pub const TLS_HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(5);

/// How often files with certificates are looked at.
pub const TLS_LOOK_PERIOD: Duration = Duration::from_secs(2);

/// How long an answer of DNS is believed at most, whatever it says itself, and for how long that there is none.
pub const DISCOVERY_BELIEF_MAX: Duration = Duration::from_secs(10);
/// See [`DISCOVERY_BELIEF_MAX`].
pub const DISCOVERY_DISBELIEF_MAX: Duration = Duration::from_secs(1);

/// How long one server of DNS may take to answer.
pub const DISCOVERY_ANSWER_TIME_MAX: Duration = Duration::from_secs(1);

/// How long an answer of the Kubernetes API is believed, and for how long that there is none: every node that waits asks one
/// server, which the whole of Kubernetes needs.
pub const KUBERNETES_BELIEF_MAX: Duration = Duration::from_secs(2);
/// See [`KUBERNETES_BELIEF_MAX`].
pub const KUBERNETES_DISBELIEF_MAX: Duration = Duration::from_secs(1);

/// The most nodes that `join-at-least` may ask for.
pub const JOIN_AT_LEAST_MAX: usize = 1000;

/// The longest server name or tag, in bytes.
pub const SERVER_NAME_BYTES_MAX: usize = 127;

/// Queries that run scripts of `r.js` at once: each has a process, with its own limit of memory.
pub const SCRIPT_PROCESSES_MAX: usize = 32;

/// A user may take another of them while he holds less than so many times what is free: alone, three quarters.
pub const SCRIPT_PROCESSES_SHARE: usize = 3;

/// Addresses that such a process may have, in bytes: what it is made of, the engine's heap, and the longest messages, with
/// room for what allocators keep. The heap of scripts has a smaller limit of its own; this one holds when the engine does not.
pub const SCRIPT_ADDRESSES_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;

/// What the allocator of such a process asks the system for at once, in KiB. By default it is a gibibyte.
pub const SCRIPT_ALLOCATOR_STEP_KIB: u32 = 64 * 1024;

/// Processes that wait for the next such query; each takes a few megabytes.
pub const SCRIPT_PROCESSES_IDLE_MAX: usize = 4;

/// Requests of `http` that a node makes at once; more wait, within their time.
pub const HTTP_REQUESTS_MAX: usize = 64;

/// Names that a node looks up for `http` at once; each lookup has a thread, and goes on when nobody waits for it any more.
pub const HTTP_LOOKUPS_MAX: usize = 16;

/// A response of `http`, in bytes, as it comes and as it is when it is decoded.
pub const HTTP_BODY_BYTES_MAX: usize = 32 << 20;

/// Compressed bytes that are decoded before the thread's other queries have their turn.
pub const HTTP_DECODED_AT_ONCE: usize = 4 * 1024;

/// The header of a response, in bytes.
pub const HTTP_HEADER_BYTES_MAX: usize = 256 * 1024;

/// The header of a response, in lines.
pub const HTTP_HEADER_LINES_MAX: usize = 256;

/// Cookies of one query.
pub const HTTP_COOKIES_MAX: usize = 100;

/// One cookie with its attributes, in bytes.
pub const HTTP_COOKIE_BYTES_MAX: usize = 4 * 1024;

/// Threads that serve clients.
pub const WORKER_THREADS_MAX: usize = 1_024;

/// Streams of the log that the metrics show one by one: the largest.
pub const STREAMS_SHOWN_MAX: usize = 20;

/// Lines of the log that are kept in memory; the oldest go.
pub const LOG_LINES_MAX: usize = 1_000;

/// A line of the log that is kept in memory is cut at so many bytes.
pub const LOG_LINE_BYTES_MAX: usize = 4 * 1024;

/// Between two samples from which rates are told.
pub const ACTIVITY_SAMPLE_PERIOD: Duration = Duration::from_secs(1);

/// Samples that are kept.
pub const ACTIVITY_SAMPLES_MAX: usize = 4;

/// Texts of queries in one listing of `jobs`, in bytes: the queries listed after that are shown as `...`.
pub const JOBS_TEXT_BYTES_MAX: usize = 16 << 20;

/// Queries that a node shows in one listing of `jobs`.
pub const REPORT_QUERIES_MAX: usize = 50_000;

/// How long other nodes may take to tell what a system table shows of them.
pub const REPORT_TIME_MAX: Duration = Duration::from_secs(1);

/// Foreign clusters that a node remembers to have met; the one that was met longest ago goes.
pub const FOREIGN_CLUSTERS_MAX: usize = 16;

/// Nodes, and addresses, of each that are remembered.
pub const FOREIGN_NODES_MAX: usize = 8;

/// How long a foreign cluster is remembered after it was met last.
pub const FOREIGN_KEPT: Duration = Duration::from_secs(600);

/// In what steps it is told when it was met last: a feed on it need not change with each meeting.
pub const FOREIGN_TOLD_PERIOD: Duration = Duration::from_secs(60);

/// How long after a message has not reached a node that is told, when none is sent to it meanwhile.
pub const MISSED_TOLD: Duration = Duration::from_secs(3);

/// Nodes that are remembered not to have been reached.
pub const NODES_MISSED_MAX: usize = 1_024;

/// A file system is nearly full when less than one part of so many is free ...
pub const DISK_FREE_SHARE: u64 = 20;

/// ... and less than so many bytes are.
pub const DISK_FREE_BYTES: u64 = 20 << 30;

/// Memory of the process that the system may have put into swap space before that is told, in bytes.
pub const SWAPPED_BYTES_MAX: u64 = 32 << 20;

/// Between two looks of a feed on a system table that nobody tells of changes.
pub const SYSTEM_FEED_LOOK_PERIOD: Duration = Duration::from_secs(1);

/// What one query may hold on a small machine all the same, in bytes.
pub const QUERY_MEMORY_BYTES_MIN: u64 = 64 * 1024 * 1024;

/// One query may hold this part of the memory that storage leaves.
pub const QUERY_MEMORY_SHARE: u64 = 2;

/// What all queries together may hold on a small machine all the same, in bytes.
pub const ALL_QUERIES_MEMORY_BYTES_MIN: u64 = 2 * QUERY_MEMORY_BYTES_MIN;

/// They may hold the memory that storage leaves, but for one part of so many: stacks, connections, and what an allocator holds
/// back are not counted.
pub const ALL_QUERIES_MEMORY_REST_SHARE: u64 = 4;

/// Bytes of a script and the arguments of one call.
pub const SCRIPT_REQUEST_BYTES_MAX: usize = 64 << 20;

/// Calls of one connection from another node that run at once, feeds and scans among them.
pub const PEER_CALLS_IN_FLIGHT_MAX: u32 = 16_384;

/// A message between nodes, in bytes: a log entry, and what tells about it.
pub const PEER_MESSAGE_BYTES_MAX: usize = 40 << 20;

/// Messages of one exchange that wait for their reader, on each side.
pub const EXCHANGE_MESSAGES_WAITING_MAX: usize = 16;

/// How long connecting to one address of another node may take.
pub const PEER_CONNECT_TIME_MAX: Duration = Duration::from_secs(2);

/// After a failed attempt to connect, nothing is sent to that node for so long.
pub const PEER_RECONNECT_PAUSE: Duration = Duration::from_millis(100);

/// Between questions whether the other node of a connection is still there.
pub const PEER_KEEPALIVE_PERIOD: Duration = Duration::from_secs(1);

/// How long it may take to answer one; then the connection is given up.
pub const PEER_KEEPALIVE_TIME_MAX: Duration = Duration::from_secs(2);

/// What may be under way on one connection before the other side has taken it, in bytes.
pub const PEER_WINDOW_BYTES: u32 = 4 << 20;

/// What is late or early because a simulator wants it to be: by this.
pub const BUGGIFIED_PAUSE: Duration = Duration::from_millis(10);

/// What a query is counted with when a simulator wants it to count.
pub const BUGGIFIED_QUERY_BYTES: usize = 1 << 20;

/// The bytes of a small read or write that a simulator wants.
pub const BUGGIFIED_BYTES: usize = 7;

const _: () = assert!(
    PEER_MESSAGE_BYTES_MAX > photondb_consensus::limits::COMMAND_BYTES_MAX + (1 << 20),
    "a message must hold the largest entry"
);
