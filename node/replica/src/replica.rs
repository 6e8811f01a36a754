//! One member of one shard on this node, and the members of a table together.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use photondb_consensus::{Group, Term};
use photondb_proto::{Epoch, KeyRange, MemberId, NodeId, ShardId, TableId};
use photondb_query::table::ReadMode;
use photondb_runtime::task;
use photondb_shard::format::{decode_outcome, encode_command};
use photondb_shard::{Command, Outcome, Reader, Shard, ShardError};
use photondb_storage::fault::{buggify, fault_point};
use photondb_storage::wal::Purpose;
use tokio::sync::Notify;

use crate::error::{ReplicaError, unconfirmed};
use crate::limits::{CHANGE_WAIT, SPACE_LASTS_AFTER};
use crate::proposer::Proposer;
use crate::reconcile::Full;

/// One member of one shard.
pub struct Replica {
    /// The shard; its group has the same number.
    pub id: ShardId,
    /// Its table.
    pub table: TableId,
    /// This node's member of the group.
    pub member: MemberId,
    /// Who began its group, if that took the place of another one which had lost its majority.
    pub(crate) rescued: Option<MemberId>,
    /// The keys it held when it was started here.
    pub(crate) began: KeyRange,
    pub(crate) shard: Arc<Shard>,
    pub(crate) group: Group,
    pub(crate) proposer: Arc<Proposer>,
    pub(crate) duty: Duty,
}

/// What goes on in the background for a member.
pub(crate) struct Duty {
    /// The first key of what is to be cut off next.
    pub cut: Mutex<Option<Bytes>>,
    /// It is being stopped.
    pub stopping: AtomicBool,
    /// The shard's schema may have changed: there may be something to build.
    pub schema_changed: Arc<Notify>,
    /// Something may be to do for a leader.
    pub look: Arc<Notify>,
    /// One at a time changes schema or members.
    pub turn: tokio::sync::Mutex<()>,
    /// The version of the table's schema that this member, leading, has brought the shard to.
    pub schema: AtomicU64,
    /// Whether the node's disk has space.
    pub space: Space,
    /// Why the member cannot go on, though nothing of it is damaged.
    pub unable: Arc<OnceLock<ShardError>>,
    /// What kept this member, leading, at its last look from having the shard cut in two, which has grown too much.
    uncut: Mutex<Option<Full>>,
}

impl Duty {
    pub fn new(schema_changed: Arc<Notify>, unable: Arc<OnceLock<ShardError>>) -> Duty {
        Duty {
            cut: Mutex::default(),
            stopping: AtomicBool::new(false),
            schema_changed,
            look: Arc::default(),
            turn: tokio::sync::Mutex::new(()),
            schema: AtomicU64::new(0),
            space: Space::default(),
            unable,
            uncut: Mutex::default(),
        }
    }

    /// What is to be cut off next begins with this key.
    pub fn prepare_cut(&self, at: Option<&[u8]>) {
        let mut cut = self.cut.lock();
        if cut.as_deref() != at {
            *cut = at.map(Bytes::copy_from_slice);
            self.schema_changed.notify_one();
        }
    }

    /// What keeps the shard from being cut in two, if it should be. Whether something does that did not before.
    pub fn note_uncut(&self, found: Option<Full>) -> bool {
        let before = std::mem::replace(&mut *self.uncut.lock(), found);
        found.is_some() && found != before
    }

    /// What goes on ends at its next step.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.schema_changed.notify_one();
        self.look.notify_one();
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }
}

/// For how long the node's disk has had space. Between two attempts a disk that is nearly full looks as if it had some: a leader that
/// came back at once would refuse writes again.
pub(crate) struct Space {
    /// Milliseconds; of a node that starts nothing bad is known.
    since_full: AtomicU64,
}

impl Default for Space {
    fn default() -> Space {
        Space { since_full: AtomicU64::new(u64::MAX) }
    }
}

impl Space {
    /// Whether there was space at a look that comes so long after the last one.
    pub fn look(&self, has_space: bool, after: Duration) {
        let after = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        let since = self.since_full.load(Ordering::Relaxed).saturating_add(after);
        self.since_full.store(if has_space { since } else { 0 }, Ordering::Relaxed);
    }

    /// Whether there has been space for long enough to lead.
    pub fn lasts(&self) -> bool {
        Duration::from_millis(self.since_full.load(Ordering::Relaxed)) >= SPACE_LASTS_AFTER
    }
}

/// The members of a table's shards that run on this node, in the order of their key ranges.
pub struct TableReplicas {
    /// The table.
    pub id: TableId,
    pub(crate) shards: Vec<Arc<Replica>>,
}

/// Whether a view is one of the range that is asked for, by who knows of it at that epoch of the cluster state. (In the state the
/// first epoch is one, in the shard it is zero.)
///
/// Errors: [`ShardError::Moved`] when some of the keys are another shard's; [`ReplicaError::NotLeading`] when the member has not
/// applied yet that others are, which would be found here and there, or that others have come.
fn check_range(reader: &Reader, asked: &KeyRange, epoch: Epoch) -> Result<(), ReplicaError> {
    // First of all: a member that has not applied a join yet has not all of the keys, and others do.
    if is_behind(reader.epoch(), epoch) && !fault_point!("range-not-checked") {
        photondb_storage::probe!("view of a member that has not applied a split or a join yet is not read");
        return Err(ReplicaError::NotLeading);
    }
    Ok(reader.check_range(asked)?)
}

/// Whether a view that was found to be one of the range that is asked for has no other keys: for who takes all that is in it together, or
/// begins to listen to it, and hears of the others by another shard. One that knows no range has just those that it began with.
///
/// Errors: [`ShardError::Moved`] when the shard has keys of another one, which was joined to it.
pub(crate) fn check_no_more(reader: &Reader, asked: &KeyRange) -> Result<(), ReplicaError> {
    let has_more = reader.range().is_some_and(|range| range != asked);
    photondb_storage::probe!("shard that has more keys than are asked for says so", has_more);
    if has_more { Err(ShardError::Moved.into()) } else { Ok(()) }
}

/// Whether a shard has this epoch before the cluster state has the other one.
fn is_behind(own: Epoch, stored: Epoch) -> bool {
    own.0 + 1 < stored.0
}

/// Whether a view is of just the keys that are asked for.
///
/// Errors: those of [`check_range`] and [`check_no_more`].
pub(crate) fn check_exact(reader: &Reader, asked: &KeyRange, epoch: Epoch) -> Result<(), ReplicaError> {
    check_range(reader, asked, epoch)?;
    check_no_more(reader, asked)
}

impl Replica {
    /// The keys it holds.
    pub fn range(&self) -> KeyRange {
        self.shard.view().range.clone().unwrap_or_else(|| self.began.clone())
    }

    /// A linearizable view, or any one, as `mode` asks, of the range that was asked for. Errors: those of [`check_range`], too.
    pub(crate) fn read_range(&self, asked: &KeyRange, epoch: Epoch, mode: ReadMode) -> Result<Reader, ReplicaError> {
        let reader = match mode {
            ReadMode::Single | ReadMode::Majority if buggify!("replica/scan-asks-around") => {
                return Err(ReplicaError::NotLeading);
            }
            ReadMode::Single | ReadMode::Majority => self.read()?,
            ReadMode::Outdated => self.read_outdated()?,
        };
        check_range(&reader, asked, epoch)?;
        Ok(reader)
    }

    /// Whether the member does not know yet which keys the shard has at that epoch of the cluster state.
    pub(crate) fn lags(&self, epoch: Epoch) -> bool {
        is_behind(self.shard.view().epoch, epoch)
    }

    /// What keeps the shard from being cut in two, which has grown too much. The leader alone knows of it.
    pub fn uncut(&self) -> Option<Full> {
        self.duty.uncut.lock().filter(|_| self.leads_or_may())
    }

    /// Whether it keeps nothing beside what is its own: no index has a rest, and nothing waits to be borne or joined.
    pub(crate) fn is_settled(&self) -> bool {
        self.shard.is_settled() && self.shard.unborn().is_empty() && self.shard.wards().is_empty()
    }

    /// Whether the shard can be cut at a key: its indexes are copied, and what was cut off before has been borne, so that there is never
    /// more than one such shard to be kept.
    pub(crate) fn is_prepared(&self, at: &[u8]) -> bool {
        self.shard.is_prepared(at) && self.shard.unborn().is_empty()
    }

    /// A linearizable view: this member leads, and leads still after the snapshot was taken (DESIGN section 3, "Read").
    pub fn read(&self) -> Result<Reader, ReplicaError> {
        let answers = self.answers_in();
        photondb_storage::probe!("read refused after losing the lease", answers.is_none() && self.leads_or_may());
        let term = answers.ok_or(ReplicaError::NotLeading)?;
        let reader = self.shard.read()?;
        if self.answers_in() != Some(term) {
            return Err(ReplicaError::NotLeading);
        }
        Ok(reader)
    }

    /// The term in which this member answers reads by itself at the moment.
    pub(crate) fn answers_in(&self) -> Option<Term> {
        if fault_point!("read-without-lease") { self.group.led() } else { self.group.leading() }
    }

    /// As [`Replica::read`]; when the lease has run out, after a majority has confirmed that this member leads still.
    pub async fn read_confirmed(&self) -> Result<Reader, ReplicaError> {
        match self.read() {
            Err(ReplicaError::NotLeading) => {}
            reader => return reader,
        }
        match self.group.confirm_leading().await {
            Ok(_) => {
                photondb_storage::probe!("read index used");
                Ok(self.shard.read()?)
            }
            Err(error) => Err(unconfirmed(error)),
        }
    }

    /// As [`Replica::read_range`]; when the lease has run out, after a majority has confirmed that this member leads still.
    pub(crate) async fn read_range_in(
        &self,
        asked: &KeyRange,
        epoch: Epoch,
        mode: ReadMode,
    ) -> Result<Reader, ReplicaError> {
        let reader = self.read_in(mode).await?;
        check_range(&reader, asked, epoch)?;
        Ok(reader)
    }

    /// A view as fresh as `mode` asks.
    async fn read_in(&self, mode: ReadMode) -> Result<Reader, ReplicaError> {
        match mode {
            _ if fault_point!("read-anywhere") => self.read_outdated(),
            ReadMode::Single | ReadMode::Majority => self.read_confirmed().await,
            ReadMode::Outdated => self.read_outdated(),
        }
    }

    /// The node whose member leads the group, as far as this one knows.
    pub(crate) fn leader(&self) -> Option<NodeId> {
        self.group.leader().map(|(_, node)| node)
    }

    /// What the member holds, which may lag behind.
    pub fn read_outdated(&self) -> Result<Reader, ReplicaError> {
        Ok(self.shard.read()?)
    }

    /// Takes writes while this member leads.
    pub fn proposer(&self) -> &Arc<Proposer> {
        &self.proposer
    }

    /// The group.
    pub fn group(&self) -> &Group {
        &self.group
    }

    /// The shard itself.
    pub fn shard(&self) -> &Arc<Shard> {
        &self.shard
    }

    /// Whether this member leads its group now.
    pub fn is_leading(&self) -> bool {
        self.group.leading().is_some()
    }

    /// Whether this member leads, or does so if its lease comes back.
    pub(crate) fn leads_or_may(&self) -> bool {
        self.group.led().is_some()
    }

    /// Proposes a change of the shard's schema and waits until it is applied.
    ///
    /// Errors: [`ReplicaError::Unknown`] after [`CHANGE_WAIT`]: it may be applied yet.
    pub(crate) async fn change(&self, command: &Command) -> Result<(), ReplicaError> {
        let term = self.group.led().ok_or(ReplicaError::NotLeading)?;
        let command = encode_command(command);
        let admission = self.proposer.engine().admit(command.len(), Purpose::Upkeep)?;
        let outcome = task::timeout(CHANGE_WAIT, self.group.propose(term, command)).await;
        drop(admission);
        let late = |_| ReplicaError::Unknown(format!("a change of the schema was not decided in {CHANGE_WAIT:?}"));
        let outcome = outcome.map_err(late)??;
        match decode_outcome(&outcome)? {
            Outcome::Applied => Ok(()),
            Outcome::Skipped(_) => Err(ReplicaError::Skipped),
        }
    }
}

impl TableReplicas {
    /// All members, in the order of their key ranges.
    pub fn shards(&self) -> &[Arc<Replica>] {
        &self.shards
    }
}

#[cfg(test)]
mod tests {
    use photondb_shard::{Entry, EntryNumber, Split};
    use photondb_storage::{Engine, EngineOptions, TreeSetId};

    use super::*;

    #[test]
    fn a_view_of_before_a_split_is_not_read_for_the_range_of_behind_it() {
        let engine = Engine::in_memory(EngineOptions::default());
        let shard = Shard::open(engine.create_tree_set(TreeSetId(1)).expect("a new set")).expect("opens");
        let (whole, at) = (KeyRange::all(), Bytes::from_static(b"m"));
        let [left, _] = whole.cut(&at).expect("has keys");
        let before = shard.read().expect("reads");
        let split = Split { epoch: Epoch(0), range: whole.clone(), at, child: ShardId(2) };
        let command = Some(encode_command(&Command::Split(split)));
        shard.apply(&[Entry { position: EntryNumber(1), term: 1, command }], Bytes::new()).expect("applies");
        let behind = shard.read().expect("reads");
        assert!(check_range(&before, &whole, Epoch(1)).is_ok());
        assert!(matches!(check_range(&before, &left, Epoch(2)), Err(ReplicaError::NotLeading)));
        assert!(check_range(&behind, &left, Epoch(2)).is_ok());
        assert!(matches!(check_range(&behind, &whole, Epoch(1)), Err(ReplicaError::Shard(ShardError::Moved))));
        let joined_since = check_range(&behind, &whole, Epoch(3));
        assert!(matches!(joined_since, Err(ReplicaError::NotLeading)), "{joined_since:?}");
        // Who begins to listen, or counts, asks for all keys that there are.
        let [part, _] = left.cut(b"c").expect("has keys");
        assert!(check_range(&behind, &part, Epoch(2)).is_ok());
        for (view, asked, epoch, is_exact) in
            [(&before, &whole, Epoch(1), true), (&behind, &left, Epoch(2), true), (&behind, &part, Epoch(2), false)]
        {
            assert_eq!(check_exact(view, asked, epoch).is_ok(), is_exact, "{asked:?}");
        }
    }
}
