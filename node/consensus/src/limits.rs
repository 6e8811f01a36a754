//! Every maximum of this crate, and the timers of a group.

use std::ops::Range;
use std::time::Duration;

/// The leader tells its followers that it lives this often.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(200);

/// A follower that hears nothing for a random time between these two asks for an election.
pub const ELECTION_TIMEOUT_MIN: Duration = Duration::from_millis(500);
/// See [`ELECTION_TIMEOUT_MIN`].
pub const ELECTION_TIMEOUT_MAX: Duration = Duration::from_millis(700);

/// So many milliseconds after the longest election timeout without a leader, which all voters have promised it, a member asks for an
/// election. (The timeouts above come on top of that promise: openraft's own timer is later.)
pub const CAMPAIGN_SPREAD: Range<u64> = 20..220;

/// And so many milliseconds after it was refused; twice as many the next time,
pub const CAMPAIGN_RETRY: Range<u64> = 200..400;

/// and so on, up to so many times as many.
pub const CAMPAIGN_RETRIES_GROW: u32 = 5;

/// How long a leader answers reads by itself after it sent what a quorum answered. Shorter than [`ELECTION_TIMEOUT_MAX`],
/// for which whoever answered votes for nobody else, by the drift of two clocks.
pub const LEASE: Duration = Duration::from_millis(400);

/// The largest part by which a node's clock may run fast or slow. Real ones stay below a thousandth.
pub const CLOCK_DRIFT_MAX: f64 = 0.25;

/// Entries appended by one storage call, and sent in one message.
pub const APPEND_ENTRIES_MAX: u64 = 4096;

/// Room in the log, in bytes, of entries given to the WAL at once, unless one entry alone is larger. The WAL may take less.
pub const APPEND_BYTES_MAX: u64 = 8 << 20;

/// The most room that a committed position takes in the log.
pub const COMMITTED_ROOM_MAX: u64 = 256;

/// Proposals of one group that wait to be taken by its core. One more is refused as [`Busy`](crate::ProposeError::Busy).
pub const PROPOSALS_WAITING_MAX: u64 = 16_384;

/// Messages between the tasks of one group.
pub const NOTIFICATIONS_WAITING_MAX: u64 = 16_384;

/// Entries handed to the state machine as one transaction.
pub const APPLY_ENTRIES_MAX: usize = 1024;

/// Command bytes handed to the state machine as one transaction, unless one entry alone is larger. A machine that writes a
/// page for a change of a hundred bytes makes some 80 MiB of it.
pub const APPLY_BYTES_MAX: usize = 1 << 20;

/// Bytes read from the log at once, unless one entry alone is larger.
pub const READ_BYTES_MAX: usize = 1 << 20;

/// The largest command. Larger inserts are cut before they are proposed (DESIGN section 3, "Sizes").
pub const COMMAND_BYTES_MAX: usize = 32 << 20;

/// Members named in one membership; more in stored bytes is damage.
pub const MEMBERS_MAX: usize = 1024;

/// How long [`purge_behind`](crate::Group::purge_behind) waits for the core to take note of a checkpoint.
pub const PURGE_WAIT: Duration = Duration::from_secs(10);

/// How long [`confirm_leading`](crate::Group::confirm_leading) waits for a quorum and for what is committed to be applied.
pub const CONFIRM_WAIT: Duration = Duration::from_secs(2);

/// How long [`transfer_leadership`](crate::Group::transfer_leadership) waits for the other member to take over.
pub const TRANSFER_WAIT: Duration = Duration::from_secs(2);

/// How often a member that hands over for good looks whether another leads.
pub const HANDED_OVER_LOOK_PERIOD: Duration = Duration::from_millis(10);

/// How long it looks for one that it has let lead: by then it does, or another was elected, or there are too few to elect one.
pub const HANDED_OVER_WAIT: Duration = Duration::from_millis(1500);

const _: () = assert!(ELECTION_TIMEOUT_MAX.as_millis() * 2 < HANDED_OVER_WAIT.as_millis());

/// How long a member that is to stop waits for others that are about to take part, if too few do without it: they wait for
/// [`ELECTION_TIMEOUT_MAX`] after their start, by their own clocks (C10), and then catch up.
pub const OTHERS_WAIT: Duration = Duration::from_secs(3);

const _: () = assert!(ELECTION_TIMEOUT_MAX.as_millis() * 2 < OTHERS_WAIT.as_millis());

/// How long one of them may take to say whether it does.
pub const PRESENCE_WAIT: Duration = Duration::from_millis(150);

/// How often it asks them; who lacks nothing of what it had so long before takes part as well as others.
pub const OTHERS_LOOK_PERIOD: Duration = Duration::from_millis(50);

/// A member that is about to be stopped stands for election so much later than others: whoever of them can be elected has stood by then.
pub const RETIRING_PATIENCE: Duration = ELECTION_TIMEOUT_MAX;

/// How long a change of membership waits for a quorum to have it.
pub const MEMBERSHIP_WAIT: Duration = Duration::from_secs(10);

/// Appends of one group that a follower has been sent and has not answered.
pub const APPENDS_UNANSWERED_MAX: usize = 16;

/// How long a follower may take to answer an append, besides the time for its bytes. A stream that is silent for longer
/// is given up and opened again.
pub const APPEND_ANSWER_WAIT: Duration = Duration::from_secs(2);

/// What a connection between nodes is expected to carry, in bytes per second: large messages are waited for accordingly.
pub const TRANSFER_RATE_MIN: u64 = 4 << 20;

/// Bytes of a snapshot in one message. A larger chunk takes several.
pub const PIECE_BYTES_MAX: usize = 256 << 10;

/// The largest chunk of a snapshot that is accepted, in bytes.
pub const CHUNK_BYTES_MAX: usize = 64 << 20;

/// Snapshots that a node receives at once; one more waits.
pub const SNAPSHOTS_RECEIVED_MAX: usize = 2;

/// How long the sender of a snapshot waits for the receiver to take one more piece, and the receiver for one to come.
pub const PIECE_WAIT: Duration = Duration::from_secs(10);

/// How often a receiver whose turn has not come says again what it has, so that its sender waits on.
pub const TURN_WORD_PERIOD: Duration = Duration::from_secs(3);

const _: () = assert!(TURN_WORD_PERIOD.as_millis() * 2 < PIECE_WAIT.as_millis(), "one word may be late");

/// Bytes of a snapshot that its sender keeps because the receiver has not said that it has them, unless one chunk alone is larger.
pub const UNRECEIVED_BYTES_MAX: usize = 8 << 20;

/// How often in a row a snapshot is gone on with on another exchange without any of it having arrived; then it is begun anew.
pub const RESUMES_MAX: u32 = 10;

/// How long is waited before that.
pub const RESUME_PAUSE: Duration = Duration::from_millis(500);

/// How long the receiver keeps what it has of a snapshot whose exchange broke, counted anew for each that goes on.
pub const INTERRUPTED_KEPT_FOR: Duration = Duration::from_secs(60);

/// Parts of snapshots that a node keeps so; of one more, the oldest goes.
pub const INTERRUPTED_MAX: usize = 4;

/// How long a receiver may take to put a received snapshot in place of its state.
pub const INSTALL_WAIT: Duration = Duration::from_secs(600);

/// Entries that the log keeps behind a checkpoint for members that have not got them yet. A member that lacks more gets a
/// snapshot.
pub const LAG_ENTRIES_MAX: u64 = 1 << 16;

/// The same, as payload bytes of the group's log.
pub const LAG_BYTES_MAX: u64 = 256 << 20;

/// A member that has not answered for so long is not waited for with purging.
pub const LAG_SILENCE_MAX: Duration = Duration::from_secs(60);

/// Leadership is offered to who has answered what was sent no longer ago: some more than a heartbeat. A member that is down, or waits
/// after its start (C10), would not take it, and nobody leads until others have missed a leader.
pub const SUCCESSOR_SILENCE_MAX: Duration = Duration::from_millis(300);

/// A change of voters is begun only when more than half of the new ones answer something that is sent after it was asked for, within
/// this. Some heartbeats: an answer may be lost, and a member that is silent for an election timeout would be missed anyway.
pub const NEW_VOTERS_SILENCE_MAX: Duration = ELECTION_TIMEOUT_MAX;

/// How often it is looked whether they have.
pub const NEW_VOTERS_LOOK_PERIOD: Duration = Duration::from_millis(5);

/// What is late because a simulator wants it to be is late by this, or by a few times this: it stays within what an election
/// takes.
pub const BUGGIFIED_PAUSE: Duration = Duration::from_millis(10);
