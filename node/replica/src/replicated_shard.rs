//! A shard as the state machine of its Raft group.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use bytes::Bytes;
use parking_lot::Mutex;
use photondb_consensus::{Applied, ApplyError, CommittedEntry, PartRead, Replicated, Snapshot, Term};
use photondb_shard::format::encode_outcome;
use photondb_shard::{Entry, EntryNumber, Shard, ShardError};
use photondb_storage::Engine;
use tokio::sync::Notify;

use crate::pressure;
use crate::proposer::Proposer;

/// What consensus drives.
pub struct ReplicatedShard {
    shard: Arc<Shard>,
    engine: Engine,
    /// Told of leadership. Set once, when the group exists. The proposer holds the group, which holds this: an `Arc` here
    /// would keep all three, and storage with them, for ever.
    proposer: OnceLock<Weak<Proposer>>,
    /// Whether what is applied comes from writers here, who have waited for memory.
    leads: AtomicBool,
    /// Told whenever the schema may have become another.
    schema_changed: Arc<Notify>,
    /// What was durable when it was asked last and the shard was not frozen.
    before_freeze: Mutex<Applied>,
    /// Why the member cannot go on, though nothing of it is damaged.
    unable: Arc<OnceLock<ShardError>>,
}

impl ReplicatedShard {
    /// The state machine around `shard`, which is kept in `engine`.
    pub fn new(shard: Arc<Shard>, engine: Engine) -> ReplicatedShard {
        ReplicatedShard {
            shard,
            engine,
            proposer: OnceLock::new(),
            leads: AtomicBool::new(false),
            schema_changed: Arc::default(),
            before_freeze: Mutex::default(),
            unable: Arc::default(),
        }
    }

    /// Why the member cannot go on, though nothing of it is damaged; empty while it can.
    pub fn unable(&self) -> Arc<OnceLock<ShardError>> {
        self.unable.clone()
    }

    /// Told whenever the schema may have become another: indexes may have to be built.
    pub fn schema_changed(&self) -> Arc<Notify> {
        self.schema_changed.clone()
    }

    /// Connects the proposer, which is told of leadership from here on.
    pub fn connect(&self, proposer: &Arc<Proposer>) {
        assert!(self.proposer.set(Arc::downgrade(proposer)).is_ok(), "a shard is connected to its proposer once");
    }
}

/// A shard counts its entries from one, so that zero is "nothing applied"; Raft counts them from zero.
fn position(index: u64) -> EntryNumber {
    EntryNumber(index + 1)
}

fn failed(error: ShardError) -> ApplyError {
    let is_own = match &error {
        ShardError::Storage(storage) => storage.is_damage(),
        // Others have adopted what is joined.
        ShardError::NoWard { .. } => true,
        _ => false,
    };
    if is_own { ApplyError::damaged(error) } else { ApplyError::new(error) }
}

impl Replicated for ReplicatedShard {
    fn applied(&self) -> Applied {
        Applied { consensus: self.shard.consensus() }
    }

    fn apply(&self, entries: Vec<CommittedEntry>, consensus: Bytes) -> Result<Vec<Bytes>, ApplyError> {
        if !self.leads.load(Ordering::Acquire) {
            pressure::make_room(&self.engine);
        }
        let entries: Vec<Entry> = entries
            .into_iter()
            .map(|entry| Entry {
                position: position(entry.position.index),
                term: entry.position.term.0,
                command: entry.command,
            })
            .collect();
        let before = self.shard.view().version;
        let outcomes = self.shard.apply(&entries, consensus).map_err(|error| {
            if matches!(error, ShardError::NoWard { .. }) {
                photondb_storage::probe!("member came to a join without what is joined");
                let _ = self.unable.set(error.clone());
            }
            failed(error)
        })?;
        if self.shard.view().version != before {
            self.schema_changed.notify_one();
        }
        Ok(outcomes.into_iter().map(encode_outcome).collect())
    }

    /// Of a shard that is frozen, what was durable before: its log is kept from there. What lies behind a freeze is little, and who has
    /// that entry must be able to follow by the log: there is no snapshot of a shard whose documents were adopted.
    fn durable(&self) -> Applied {
        // A state that does not decode would have been refused when it was written; nothing is purged on its word.
        let consensus =
            self.shard.tree_set().durable_meta().and_then(|meta| Shard::consensus_of(&meta).ok()).unwrap_or_default();
        let durable = Applied { consensus };
        let reached = durable.position().ok().flatten().map(|at| position(at.index));
        let mut before = self.before_freeze.lock();
        if self.shard.frozen().is_none_or(|frozen| reached < Some(frozen.at)) {
            *before = durable;
        }
        before.clone()
    }

    fn leading(&self, term: Option<Term>) {
        self.leads.store(term.is_some(), Ordering::Release);
        if let Some(proposer) = self.proposer.get().and_then(Weak::upgrade) {
            proposer.leading(term);
        }
    }

    fn snapshot(&self) -> Result<Snapshot, ApplyError> {
        let (consensus, mut chunks) = match photondb_shard::snapshot::take(&self.shard) {
            // How far it goes is asked at each start; what it holds another shard has, and by the log nobody needs it.
            Err(hollow @ ShardError::Hollow) => {
                return Ok(Snapshot::new(self.applied(), Box::new(std::iter::once(Err(failed(hollow))))));
            }
            taken => taken.map_err(failed)?,
        };
        let part_read = PartRead::default();
        let part = part_read.clone();
        let chunks = std::iter::from_fn(move || {
            let chunk = chunks.next()?;
            let rows = chunks.rows_read();
            part.set(rows.read, rows.all);
            Some(chunk.map_err(failed))
        });
        Ok(Snapshot { applied: Applied { consensus }, chunks: Box::new(chunks), part_read })
    }

    fn install(&self, snapshot: Snapshot) -> Result<(), ApplyError> {
        let mut chunks = snapshot.chunks;
        photondb_shard::snapshot::install(&self.shard, &mut chunks, ApplyError::new)?;
        // What another member was building is to be gone on with here.
        self.schema_changed.notify_one();
        self.engine.checkpoint().map_err(ApplyError::new)?;
        Ok(())
    }
}
