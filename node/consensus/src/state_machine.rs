//! openraft's state machine on [`Replicated`].

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt};
use openraft::storage::{ApplyResponder, EntryResponder, RaftStateMachine};
use openraft::type_config::alias::SnapshotOf;
use openraft::{AsyncRuntime, EntryPayload, OptionalSend, RaftSnapshotBuilder};
use photondb_runtime::task::Blocking;
use photondb_storage::fault::{buggify, fault_point};
use photondb_storage::wal::Wal;
use tokio::sync::watch;

use crate::error::ApplyError;
use crate::fatal::Fatal;
use crate::format::{self, FormatError};
use crate::leadership::Leadership;
use crate::limits::{APPLY_BYTES_MAX, APPLY_ENTRIES_MAX, BUGGIFIED_PAUSE};
use crate::log_store::barrier;
use crate::position::Term;
use crate::replicated::{Applied, CommittedEntry, Replicated, Snapshot};
use crate::runtime::Runtime;
use crate::types::{Command, Entry, LogId, SnapshotMeta, StoredMembership, Types, position};

/// Runs on the group's apply task; what is here besides the machine itself mirrors what the machine last stored.
pub(crate) struct StateMachine {
    machine: Arc<dyn Replicated>,
    leadership: Arc<Leadership>,
    wal: Arc<Wal>,
    blocking: Blocking,
    fatal: Fatal,
    applied: Option<LogId>,
    membership: StoredMembership,
    /// What the machine was last told by [`Replicated::leading`].
    announced: Option<Term>,
    /// Goes with this, which the apply task drops at its end.
    at_work: watch::Sender<()>,
}

impl StateMachine {
    pub(crate) fn open(
        machine: Arc<dyn Replicated>,
        leadership: Arc<Leadership>,
        wal: Arc<Wal>,
        blocking: Blocking,
        fatal: Fatal,
    ) -> Result<StateMachine, FormatError> {
        let (applied, membership) = format::decode_applied(&machine.applied().consensus)?;
        if let Some(applied) = &applied {
            leadership.applied(Term(applied.leader_id.term));
        }
        let (announced, at_work) = (None, watch::Sender::new(()));
        Ok(StateMachine { machine, leadership, wal, blocking, fatal, applied, membership, announced, at_work })
    }

    /// Tells when the apply task has ended: the core's end only closes its queue, and what is in there is applied still.
    pub(crate) fn watch_end(&self) -> watch::Receiver<()> {
        self.at_work.subscribe()
    }

    /// Whether anything has been applied.
    pub(crate) fn applied(&self) -> Option<&LogId> {
        self.applied.as_ref()
    }

    /// Tells the machine when leadership has begun or ended.
    pub(crate) fn announce(&mut self) {
        let leads = self.leadership.announce();
        if leads == self.announced {
            return;
        }
        if leads.is_some() && self.announced.is_some() {
            self.machine.leading(None);
        }
        self.announced = leads;
        self.machine.leading(leads);
        self.leadership.announced();
    }

    fn apply_batch(&mut self, batch: Batch) -> Result<(), io::Error> {
        let Some(last) = batch.last else { return Ok(()) };
        if let Some(applied) = &self.applied {
            assert!(last > *applied, "C3: applied positions only rise");
        }
        if let Some(membership) = batch.membership {
            self.membership = membership;
        }
        let consensus = format::encode_applied(Some(&last), &self.membership);
        let count = batch.entries.len();
        // On failure the node hears of it before the proposers do, whose responders end with this batch.
        let outcomes = self.machine.apply(batch.entries, consensus).map_err(|error| self.fatal.state_machine(error))?;
        assert!(outcomes.len() == count, "C3: a state machine gives one outcome per entry");
        self.leadership.applied(Term(last.leader_id.term));
        self.applied = Some(last);
        // Before the answers go out: who has been answered may ask at once who leads.
        self.announce();
        for (responder, outcome) in batch.responders.into_iter().zip(outcomes) {
            if let Some(responder) = responder {
                responder.send(outcome);
            }
        }
        Ok(())
    }
}

/// Entries on their way into one transaction.
#[derive(Default)]
struct Batch {
    entries: Vec<CommittedEntry>,
    responders: Vec<Option<ApplyResponder<Types>>>,
    bytes: usize,
    last: Option<LogId>,
    membership: Option<StoredMembership>,
}

impl Batch {
    fn push(&mut self, entry: Entry, responder: Option<ApplyResponder<Types>>) {
        let command = match entry.payload {
            EntryPayload::Blank => None,
            EntryPayload::Normal(Command(command)) => Some(command),
            EntryPayload::Membership(membership) => {
                self.membership = Some(StoredMembership::new(Some(entry.log_id), membership));
                None
            }
        };
        self.bytes += command.as_ref().map_or(0, Bytes::len);
        self.entries.push(CommittedEntry { position: position(&entry.log_id), command });
        self.responders.push(responder);
        self.last = Some(entry.log_id);
    }

    fn is_full(&self) -> bool {
        self.entries.len() >= APPLY_ENTRIES_MAX
            || self.bytes >= APPLY_BYTES_MAX
            || buggify!("consensus/applied-one-by-one")
    }
}

impl RaftStateMachine<Types> for StateMachine {
    type SnapshotData = Snapshot;
    type SnapshotBuilder = Checkpoint;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), io::Error> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<Entries>(&mut self, mut entries: Entries) -> Result<(), io::Error>
    where
        Entries: Stream<Item = Result<EntryResponder<Types>, io::Error>> + Unpin + OptionalSend,
    {
        if buggify!("consensus/apply-late") {
            Runtime::sleep(BUGGIFIED_PAUSE).await;
        }
        let mut batch = Batch::default();
        while let Some((entry, responder)) = entries.try_next().await? {
            batch.push(entry, responder);
            if batch.is_full() {
                let full = std::mem::take(&mut batch);
                self.apply_batch(full)?;
                // A long re-apply must not keep the other groups of this thread waiting.
                tokio::task::yield_now().await;
                if buggify!("consensus/apply-pauses") {
                    Runtime::sleep(BUGGIFIED_PAUSE).await;
                }
            }
        }
        self.apply_batch(batch)
    }

    async fn get_snapshot_builder(&mut self) -> Checkpoint {
        Checkpoint { machine: Arc::clone(&self.machine) }
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, mut snapshot: Snapshot) -> Result<(), io::Error> {
        // The truncation that made room for this state is on disk before the state is (CRATES trap 5): otherwise a crash
        // between the two leaves a log that contradicts its state machine.
        barrier(&self.wal).await.map_err(|error| self.fatal.storage(error))?;
        if buggify!("consensus/install-late") {
            Runtime::sleep(10 * BUGGIFIED_PAUSE).await;
        }
        let consensus = format::encode_applied(meta.last_log_id.as_ref(), &meta.last_membership);
        snapshot.applied = Applied { consensus };
        photondb_storage::probe!("snapshot installed over a state", self.applied.is_some());
        let is_joint = meta.last_membership.membership().get_joint_config().len() > 1;
        photondb_storage::probe!("snapshot installed in the middle of a membership change", is_joint);
        // It takes as long as the snapshot is large, and the other groups of this thread go on meanwhile.
        let machine = Arc::clone(&self.machine);
        let installed = self.blocking.run(move || machine.install(snapshot)).await;
        installed
            .unwrap_or_else(|error| Err(ApplyError::new(error)))
            .map_err(|error| self.fatal.state_machine(error))?;
        if let Some(last) = &meta.last_log_id {
            self.leadership.applied(Term(last.leader_id.term));
        }
        self.applied = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        Ok(())
    }

    /// Pinned when it is asked for: nothing is kept between two askers.
    async fn get_current_snapshot(&mut self) -> Result<Option<SnapshotOf<Types, Snapshot>>, io::Error> {
        if self.applied.is_none() {
            return Ok(None);
        }
        let snapshot = self.machine.snapshot().map_err(|error| self.fatal.state_machine(error))?;
        pinned(snapshot).map(Some).map_err(|error| self.fatal.state_machine(ApplyError::new(error)))
    }
}

fn pinned(snapshot: Snapshot) -> Result<SnapshotOf<Types, Snapshot>, FormatError> {
    let (last_log_id, last_membership) = format::decode_applied(&snapshot.applied.consensus)?;
    Ok(SnapshotOf::<Types, Snapshot> { meta: SnapshotMeta { last_log_id, last_membership }, snapshot })
}

/// "Builds" what a checkpoint has made durable already. openraft purges the log only up to its last snapshot, and keeps
/// of a built snapshot the position alone; so the position of the checkpoint is all that is built here.
pub(crate) struct Checkpoint {
    machine: Arc<dyn Replicated>,
}

impl RaftSnapshotBuilder<Types> for Checkpoint {
    type SnapshotData = Snapshot;

    async fn build_snapshot(&mut self) -> Result<SnapshotOf<Types, Snapshot>, io::Error> {
        let purges_all = fault_point!("purged-past-checkpoint");
        let applied = if purges_all { self.machine.applied() } else { self.machine.durable() };
        let chunks = Box::new(std::iter::empty());
        pinned(Snapshot::new(applied, chunks)).map_err(io::Error::other)
    }
}

#[cfg(test)]
mod tests;
