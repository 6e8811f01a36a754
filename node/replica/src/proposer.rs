//! Writes on their way: evaluated against applied state and what is in flight, gathered into entries, proposed in order.
//!
//! A writer reads what its keys have now ([`Proposer::read`]), computes new documents without holding any lock, and hands
//! in effects with what it expected to find ([`Proposer::submit`]). Effects whose expectation still holds are taken;
//! the others are evaluated again by the writer. So the lock is held for a few map operations only, and a slow function
//! stops nobody.
//!
//! Invariants:
//! - R1. The overlay holds, for each key that an unanswered entry or the waiting effects touch, the document after the
//!   newest of them. Overlay before applied state is what the next write sees.
//! - R2. Entries are proposed in the order of their numbers; number n+1 only after number n was handed to consensus.
//! - R3. When an entry is skipped or refused, or its fate is unknown, nothing is evaluated or proposed until everything in
//!   flight is answered; then a new chain begins on applied state.
//! - R4. A writer is answered when the entry that carries its effects, or the newest effect it saw, was applied. One that
//!   changes nothing, and saw nothing in flight, has read: it is answered when this member is known to lead still.
//! - R5. Nothing is handed to consensus that the log has not promised room for, and nothing larger than an entry may be.
//! - R6. A write is evaluated only when changes may take memory, and so many are under way at most: what is evaluated will be
//!   applied, and apply waits for nobody.

mod hook;
mod under_way;

use std::sync::{Arc, Weak};

use bytes::Bytes;
use parking_lot::Mutex;
use photondb_consensus::{Group, ProposeError, Term};
use photondb_runtime::task;
use photondb_shard::format::{decode_outcome, encode_write};
use photondb_shard::shard::View;
use photondb_shard::{Effect, Fence, Outcome, Shard, Skipped};
use photondb_storage::fault::{buggify, fault_point};
use photondb_storage::wal::Purpose;
use photondb_storage::{Engine, StorageError};
use rustc_hash::FxHashMap;
use tokio::sync::{Notify, oneshot};

use crate::error::{ReplicaError, unconfirmed};
use crate::limits::{ENTRIES_IN_FLIGHT_MAX, ENTRY_EFFECTS_BYTES_MAX, PENDING_BYTES_MAX, WRITES_UNDER_WAY_MAX};
use crate::pressure;
use hook::HookCache;
use under_way::UnderWay;

/// One shard's proposer. Lives as long as its replica; idle unless its member leads.
pub struct Proposer {
    shard: Arc<Shard>,
    group: Group,
    engine: Engine,
    executor: task::Handle,
    inner: Mutex<Inner>,
    /// Notified when writers that had to wait may try again.
    settled: Notify,
    hook: HookCache,
    me: Weak<Proposer>,
}

struct Inner {
    /// The term this member leads in.
    term: Option<Term>,
    chain: u64,
    /// The number of the next entry of the chain.
    next_number: u64,
    overlay: FxHashMap<Bytes, InFlight>,
    pending: Batch,
    in_flight: usize,
    /// R6: keys of the tickets that are held.
    under_way: usize,
    /// R3: an entry was not applied, and others are not answered yet.
    broken: bool,
}

/// What a key will have.
struct InFlight {
    document: Option<Bytes>,
    /// The entry that makes it so.
    serial: u64,
}

/// Effects for one entry, and who waits for them.
#[derive(Default)]
struct Batch {
    effects: Vec<Effect>,
    bytes: usize,
    waiters: Vec<oneshot::Sender<Answer>>,
    view: Option<Arc<View>>,
    /// Counts the batches of this proposer, over all chains.
    serial: u64,
}

/// What a writer is told of its entry.
#[derive(Clone, Debug)]
enum Answer {
    Applied,
    /// It certainly had no effect.
    NotApplied,
    /// It was not proposed, because this member leads no more.
    NotLeading,
    /// It was not proposed, because storage has no room for it.
    Refused(StorageError),
    Unknown(String),
}

/// Under what documents were read, and what they are evaluated under. To be held until the write is settled.
pub struct Ticket {
    term: Term,
    /// The schema in force.
    pub view: Arc<View>,
    _under_way: UnderWay,
}

/// One evaluated write.
pub struct Planned {
    /// The encoded primary key.
    pub key: Bytes,
    /// The document that the evaluation saw.
    pub expected: Option<Bytes>,
    /// What to do; `None`: nothing, but the answer rests on what was seen.
    pub effect: Option<Effect>,
}

/// What became of a submission.
pub struct Submitted {
    /// For each planned write, whether it was taken; the others must be evaluated again.
    pub taken: Vec<bool>,
    /// Some were not taken only because what waits already fills an entry; nothing changed under the writer.
    pub full: bool,
    rests: Rests,
}

/// What the answer to a submission rests on.
enum Rests {
    /// Nothing was taken.
    Nothing,
    /// An entry that carries effects, or that made what was seen.
    Entry(oneshot::Receiver<Answer>),
    /// Applied state alone, as the leader in this term has it.
    State(Group, Term),
}

/// How a taken submission ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// Everything taken is applied.
    Applied,
    /// Nothing taken had any effect; it may be evaluated again.
    NotApplied,
}

impl Proposer {
    /// A proposer for `group`, whose state machine is `shard`.
    pub fn new(shard: Arc<Shard>, group: Group, engine: Engine, executor: task::Handle) -> Arc<Proposer> {
        Arc::new_cyclic(|me| Proposer {
            shard,
            group,
            engine,
            executor,
            inner: Mutex::new(Inner {
                term: None,
                chain: 1,
                next_number: 1,
                overlay: FxHashMap::default(),
                pending: Batch { serial: 1, ..Batch::default() },
                in_flight: 0,
                under_way: 0,
                broken: false,
            }),
            settled: Notify::new(),
            hook: HookCache::default(),
            me: me.clone(),
        })
    }

    /// Leadership began or ended. Called by consensus, with everything of earlier terms applied when it began.
    pub fn leading(&self, term: Option<Term>) {
        let mut inner = self.inner.lock();
        inner.term = term;
        self.break_chain(&mut inner);
    }

    /// What each key has now: in flight, or applied. Waits while changes may not take memory, while as many writes as may be
    /// are under way, and while a broken chain is being settled; whoever asks for one document of many need not wait longer
    /// than it wants: dropping the future ends the waiting.
    ///
    /// Errors: without room for any write, [`StorageError::Full`]; what writing pages fails of, when changes may not take
    /// more memory until it succeeds.
    pub async fn read(&self, keys: &[Bytes]) -> Result<(Ticket, Vec<Option<Bytes>>), ReplicaError> {
        let (ticket, in_flight) = loop {
            pressure::wait_for_memory(&self.engine).await?;
            let settled = self.settled.notified();
            {
                let mut inner = self.inner.lock();
                let Some(term) = inner.term else { return Err(ReplicaError::NotLeading) };
                let has_room = inner.pending.bytes < PENDING_BYTES_MAX && inner.under_way < WRITES_UNDER_WAY_MAX;
                if !inner.broken && has_room {
                    inner.under_way += keys.len();
                    let under_way = UnderWay { proposer: self.me.clone(), keys: keys.len() };
                    let ticket = Ticket { term, view: self.shard.view(), _under_way: under_way };
                    let blind = fault_point!("overlay-ignored");
                    let newest = |key| if blind { None } else { inner.newest(key) };
                    break (ticket, keys.iter().map(newest).collect::<Vec<_>>());
                }
            }
            settled.await;
        };
        // Without the lock, because a page may have to come from the disk. What has changed meanwhile is not what the
        // writer expects, and `submit` does not take it.
        let documents = keys.iter().zip(in_flight).map(|(key, in_flight)| match in_flight {
            Some(document) => Ok(document),
            None => Ok(self.shard.document(key)?),
        });
        Ok((ticket, documents.collect::<Result<_, ReplicaError>>()?))
    }

    /// Where the shard is kept.
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Takes the writes whose expectations still hold. Nothing is taken when the ticket is out of date.
    pub fn submit(&self, ticket: &Ticket, planned: Vec<Planned>) -> Result<Submitted, ReplicaError> {
        let mut inner = self.inner.lock();
        let view = self.shard.view();
        let current = inner.term == Some(ticket.term) && !inner.broken && !buggify!("replica/effects-not-taken");
        if !current || view.version != ticket.view.version || view.epoch != ticket.view.epoch {
            photondb_storage::probe!("write evaluated under a term or schema that has passed");
            return Ok(Submitted { taken: vec![false; planned.len()], full: false, rests: Rests::Nothing });
        }
        // Everything that can fail comes before anything is taken: an error must mean that nothing was.
        let found: Result<Vec<_>, ReplicaError> =
            planned.iter().map(|write| self.current(&inner, &write.key)).collect();
        let found = found?;
        let mut full = false;
        let mut taken = Vec::with_capacity(planned.len());
        let mut waits = false;
        for (write, found) in planned.into_iter().zip(found) {
            // An earlier write of this submission may have taken the key since.
            let overlay = inner.overlay.get(&write.key).filter(|_| !fault_point!("overlay-ignored"));
            let now = overlay.map_or(&found, |in_flight| &in_flight.document);
            let holds = *now == write.expected;
            // Behind one for which there is no room nothing is taken: it could be another write of the same document.
            let fits = !full && write.effect.as_ref().is_none_or(|effect| inner.pending.has_room(effect));
            full |= holds && !fits;
            taken.push(holds && fits);
            if !(holds && fits) {
                photondb_storage::probe!("write evaluated again, its document had changed", !holds);
                continue;
            }
            match write.effect {
                Some(effect) => {
                    waits = true;
                    inner.take(effect);
                }
                None => waits |= inner.overlay.contains_key(&write.key),
            }
        }
        let rests = if waits {
            let (send, receive) = oneshot::channel();
            inner.pending.waiters.push(send);
            inner.pending.view.get_or_insert(view);
            Rests::Entry(receive)
        } else if taken.contains(&true) {
            Rests::State(self.group.clone(), ticket.term)
        } else {
            Rests::Nothing
        };
        self.propose(&mut inner);
        Ok(Submitted { taken, full, rests })
    }

    /// Proposes what waits while the pipeline has room.
    fn propose(&self, inner: &mut Inner) {
        let in_flight_max = if buggify!("replica/one-entry-in-flight") { 1 } else { ENTRIES_IN_FLIGHT_MAX };
        while inner.in_flight < in_flight_max && !inner.pending.waiters.is_empty() && !inner.broken {
            let Some(term) = inner.term else { return };
            let serial = inner.pending.serial + 1;
            let mut batch = std::mem::replace(&mut inner.pending, Batch { serial, ..Batch::default() });
            if fault_point!("acknowledged-when-proposed") {
                batch.waiters.drain(..).for_each(|waiter| drop(waiter.send(Answer::Applied)));
            }
            let admission = match self.engine.admit(batch.bytes, Purpose::Write) {
                Ok(admission) => admission,
                Err(error) => {
                    photondb_storage::probe!("write refused for lack of room in the log");
                    for waiter in batch.waiters {
                        let _ = waiter.send(Answer::Refused(error.clone()));
                    }
                    // R3: what was evaluated on these effects would be evaluated on nothing.
                    self.break_chain(inner);
                    return;
                }
            };
            let view = batch.view.as_ref().expect("a batch with waiters was evaluated under a view");
            let fence = Fence {
                term: term.0,
                epoch: view.epoch,
                schema: view.version,
                chain: inner.chain,
                number: inner.next_number,
            };
            inner.next_number += 1;
            inner.in_flight += 1;
            let command = encode_write(&fence, batch.effects.iter(), batch.bytes);
            let outcome = self.group.propose(term, command);
            let me = self.me.upgrade().expect("called through an Arc of it");
            let given_up = fault_point!("unknown-taken-for-nothing").then(|| self.group.clone());
            self.executor.spawn(async move {
                let outcome = match given_up {
                    Some(group) => unless_deposed(&group, term, outcome).await,
                    None => outcome.await,
                };
                drop(admission);
                me.answered(batch, outcome);
            });
        }
    }

    /// An entry was applied, skipped or refused, or its fate is unknown.
    fn answered(&self, batch: Batch, outcome: Result<Bytes, ProposeError>) {
        let answer = match outcome {
            Ok(bytes) => match decode_outcome(&bytes) {
                Ok(Outcome::Applied) => Answer::Applied,
                Ok(Outcome::Skipped(_)) if fault_point!("skipped-taken-for-applied") => Answer::Applied,
                Ok(Outcome::Skipped(why)) => {
                    note_skip(why);
                    Answer::NotApplied
                }
                Err(error) => Answer::Unknown(error.to_string()),
            },
            Err(error) if error.is_known_not_proposed() => {
                photondb_storage::probe!("proposal refused before it entered the log");
                match error {
                    // To evaluate it again here would be in vain until somebody leads.
                    ProposeError::NotLeader { .. } => Answer::NotLeading,
                    _ => Answer::NotApplied,
                }
            }
            Err(error) => {
                photondb_storage::probe!("fate of an entry unknown to its proposer");
                Answer::Unknown(error.to_string())
            }
        };
        let mut inner = self.inner.lock();
        inner.in_flight -= 1;
        if matches!(answer, Answer::Applied) {
            for effect in &batch.effects {
                if inner.overlay.get(effect.key()).is_some_and(|newest| newest.serial == batch.serial) {
                    inner.overlay.remove(effect.key());
                }
            }
        }
        let chain_goes_on = matches!(answer, Answer::Applied) && !buggify!("replica/chain-begun-anew");
        if !chain_goes_on && !fault_point!("chain-not-checked") {
            self.break_chain(&mut inner);
        }
        photondb_storage::probe!("chain broken with entries in flight", inner.broken && inner.in_flight > 0);
        if inner.broken && inner.in_flight == 0 {
            self.begin_chain(&mut inner);
        }
        let was_full = inner.pending.bytes >= PENDING_BYTES_MAX;
        self.propose(&mut inner);
        let has_room = was_full && inner.pending.bytes < PENDING_BYTES_MAX;
        drop(inner);
        if has_room {
            self.settled.notify_waiters();
        }
        for waiter in batch.waiters {
            // A writer that was cancelled has no use for the answer.
            let _ = waiter.send(answer.clone());
        }
    }

    /// R3: what waits was evaluated on effects that may never be.
    fn break_chain(&self, inner: &mut Inner) {
        inner.broken = true;
        let serial = inner.pending.serial + 1;
        let waiting = std::mem::replace(&mut inner.pending, Batch { serial, ..Batch::default() });
        for waiter in waiting.waiters {
            let _ = waiter.send(Answer::NotApplied);
        }
        if inner.in_flight == 0 {
            self.begin_chain(inner);
        }
    }

    fn begin_chain(&self, inner: &mut Inner) {
        assert_eq!(inner.in_flight, 0, "R3: a chain begins with nothing in flight");
        inner.overlay.clear();
        inner.chain += 1;
        inner.next_number = 1;
        inner.broken = false;
        self.settled.notify_waiters();
    }

    fn current(&self, inner: &Inner, key: &Bytes) -> Result<Option<Bytes>, ReplicaError> {
        match inner.newest(key).filter(|_| !fault_point!("overlay-ignored")) {
            Some(document) => Ok(document),
            None => Ok(self.shard.document(key)?),
        }
    }
}

/// A deliberate bug: an entry counts as not proposed once its term is over here, though whoever leads next may commit it.
async fn unless_deposed(
    group: &Group,
    term: Term,
    outcome: impl Future<Output = Result<Bytes, ProposeError>>,
) -> Result<Bytes, ProposeError> {
    let mut led = group.watch_led();
    tokio::select! {
        biased;
        outcome = outcome => outcome,
        _ = led.wait_for(|_| group.led() != Some(term)) => {
            Err(ProposeError::NotLeader { asked: term, led: None, leader: None })
        }
    }
}

/// Returns when the member is known to lead in `term`, now: what it had applied was everything acknowledged until then.
async fn leads_still(group: &Group, term: Term) -> Result<(), ReplicaError> {
    if group.leading() == Some(term) || fault_point!("nothing-done-unconfirmed") {
        return Ok(());
    }
    match group.confirm_leading().await {
        Ok(confirmed) if confirmed == term => {
            photondb_storage::probe!("write that changes nothing confirmed by a quorum");
            Ok(())
        }
        Ok(_) => Err(ReplicaError::NotLeading),
        Err(error) => Err(unconfirmed(error)),
    }
}

fn note_skip(why: Skipped) {
    match why {
        Skipped::Term => photondb_storage::probe!("entry skipped, its term had passed"),
        Skipped::Schema => photondb_storage::probe!("entry skipped, the schema had changed"),
        Skipped::Chain => photondb_storage::probe!("entry skipped, its chain was broken"),
        Skipped::Epoch => photondb_storage::probe!("entry skipped, the key range had changed"),
    }
}

impl Inner {
    /// What the key will have by an entry in flight; `None`: no entry touches it.
    fn newest(&self, key: &Bytes) -> Option<Option<Bytes>> {
        self.overlay.get(key).map(|in_flight| in_flight.document.clone())
    }

    fn take(&mut self, effect: Effect) {
        let document = match &effect {
            Effect::Put { document, .. } => Some(document.clone()),
            Effect::Delete { .. } => None,
        };
        self.overlay.insert(effect.key().clone(), InFlight { document, serial: self.pending.serial });
        self.pending.bytes += effect.size();
        self.pending.effects.push(effect);
    }
}

impl Batch {
    /// Whether one more effect leaves the batch small enough for an entry. One alone always does.
    fn has_room(&self, effect: &Effect) -> bool {
        let bytes_max = if buggify!("replica/entry-of-one") { 0 } else { ENTRY_EFFECTS_BYTES_MAX };
        self.effects.is_empty() || self.bytes + effect.size() <= bytes_max
    }
}

impl Submitted {
    /// Waits until everything taken is applied, or is known not to be. Errors: nothing was done, except after
    /// [`ReplicaError::Unknown`].
    pub async fn settle(self) -> Result<Settled, ReplicaError> {
        let answer = match self.rests {
            Rests::Nothing => return Ok(Settled::Applied),
            Rests::State(group, term) => return leads_still(&group, term).await.map(|()| Settled::Applied),
            Rests::Entry(answer) => answer,
        };
        match answer.await {
            Ok(Answer::Applied) => Ok(Settled::Applied),
            Ok(Answer::NotApplied) => Ok(Settled::NotApplied),
            Ok(Answer::NotLeading) => Err(ReplicaError::NotLeading),
            Ok(Answer::Refused(error)) => Err(ReplicaError::Storage(error)),
            Ok(Answer::Unknown(reason)) => Err(ReplicaError::Unknown(reason)),
            Err(_) => Err(ReplicaError::Unknown("the node is shutting down".to_owned())),
        }
    }
}
