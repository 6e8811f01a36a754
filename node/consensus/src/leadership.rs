//! Whether this member leads, and may answer reads, as one cell that every read and every proposal asks.
//!
//! The cell holds a term and an expiry. The term is filled only when the member has been elected *in this life of the
//! process* and has applied the first entry of its term, hence everything of earlier terms (C4); it is emptied before a
//! higher vote is saved and before leadership is handed over, and is not filled again in a term that was handed over. The
//! expiry is that of the lease (C9): counted by [`lease::held`], and adjusted before a membership is appended, so that no
//! lease outlives the quorum that granted it.
//!
//! Two atomics make the cell. Who asks reads the expiry first: expiries only rise from one term to the next, so that an
//! expiry is never taken for a longer one of a later term; and the writer sets the expiry before it fills the term.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use photondb_proto::MemberId;
use photondb_runtime::clock::{Clock, Moment};
use photondb_storage::fault::{buggify, fault_point};
use tokio::sync::watch;

use crate::lease::{self, Held};
use crate::position::Term;
use crate::types::{LogId, Membership};

/// No expiry: nobody else can be elected.
const NEVER: u64 = u64::MAX;

/// Shared by the group's handle, its log store, its state machine, its network and its supervisor.
pub(crate) struct Leadership {
    member: MemberId,
    clock: Arc<dyn Clock>,
    lease: Duration,
    /// Zero: does not lead.
    term: AtomicU64,
    /// Nanoseconds on the clock; zero: no lease; [`NEVER`]: needs none.
    expiry: AtomicU64,
    known: Mutex<Known>,
    /// Follows the term, for those who wait.
    changed: watch::Sender<Option<Term>>,
}

#[derive(Default)]
struct Known {
    /// The term that the core says this member leads in.
    led: Option<Term>,
    /// The term of the last entry applied.
    applied: Term,
    /// The highest term this member has voted in.
    voted: Term,
    /// The highest term in which it has given up leadership by itself.
    ceded: Term,
    /// The membership in force here, committed or not; `None`: not known.
    voters: Option<Voters>,
    /// When the newest message was sent that a member has answered, in the term `answered_in`.
    answered: BTreeMap<MemberId, Moment>,
    answered_in: Term,
}

struct Voters {
    at: Option<LogId>,
    sets: Vec<BTreeSet<MemberId>>,
}

impl Leadership {
    pub(crate) fn new(member: MemberId, clock: Arc<dyn Clock>, lease: Duration) -> Leadership {
        Leadership {
            member,
            clock,
            lease,
            term: AtomicU64::new(0),
            expiry: AtomicU64::new(0),
            known: Mutex::default(),
            changed: watch::Sender::new(None),
        }
    }

    /// The term this member leads in, under an unexpired lease: what it has applied is all that was acknowledged until now.
    pub(crate) fn leased(&self) -> Option<Term> {
        let expiry = self.expiry.load(Ordering::Acquire);
        let led = self.led()?;
        if buggify!("consensus/lease-not-granted") {
            return None;
        }
        (expiry == NEVER || self.nanos(self.clock.now()) < expiry).then_some(led)
    }

    /// The term this member leads in, as far as it knows: another may have been elected.
    pub(crate) fn led(&self) -> Option<Term> {
        match self.term.load(Ordering::Acquire) {
            0 => None,
            term => Some(Term(term)),
        }
    }

    /// The term of the cell and the end of the lease, whether or not it has come; `None`: no lease.
    pub(crate) fn lease(&self) -> Option<(Term, Moment)> {
        let expiry = self.expiry.load(Ordering::Acquire);
        let led = self.led()?;
        (expiry > 0).then(|| (led, Moment::from_start(Duration::from_nanos(expiry))))
    }

    /// The clock that the lease is counted on.
    pub(crate) fn now(&self) -> Moment {
        self.clock.now()
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Option<Term>> {
        self.changed.subscribe()
    }

    /// The core says that this member leads in `led`, or does not lead, and which membership is in force. Emptying takes
    /// effect at once; filling waits for [`announce`](Self::announce) on the apply task.
    pub(crate) fn elected(&self, led: Option<Term>, at: Option<LogId>, membership: &Membership) {
        let mut known = self.known.lock();
        known.led = led;
        if led.is_none_or(|term| self.led() != Some(term)) {
            self.empty();
        }
        // What was appended since the core spoke is newer.
        if known.voters.as_ref().is_none_or(|voters| voters.at < at) {
            known.voters = Some(Voters { at, sets: membership.get_joint_config().clone() });
        }
        self.renew(&known);
    }

    /// A membership is about to be appended, and will be in force then.
    pub(crate) fn appending(&self, at: LogId, membership: &Membership) {
        let mut known = self.known.lock();
        known.voters = Some(Voters { at: Some(at), sets: membership.get_joint_config().clone() });
        self.renew(&known);
    }

    /// The log ends here now.
    pub(crate) fn truncated(&self, last: Option<&LogId>) {
        let mut known = self.known.lock();
        if known.voters.as_ref().is_some_and(|voters| voters.at.as_ref() > last) {
            known.voters = None;
        }
        self.renew(&known);
    }

    /// A vote for `term` is about to be saved: whoever led in an earlier one does not any more.
    pub(crate) fn voting(&self, term: Term) {
        let mut known = self.known.lock();
        known.voted = known.voted.max(term);
        if self.led().is_some_and(|led| led < term) {
            photondb_storage::probe!("leader gives way to a higher term");
            self.empty();
        }
    }

    /// Leadership in `term` is about to be handed over: the cell stays empty for the rest of the term.
    pub(crate) fn cede(&self, term: Term) {
        if fault_point!("lease-kept-at-transfer") {
            return;
        }
        let mut known = self.known.lock();
        known.ceded = known.ceded.max(term);
        if self.led().is_some_and(|led| led <= term) {
            photondb_storage::probe!("leader hands over");
            self.empty();
        }
    }

    /// `member` has answered, in `term`, what was sent to it at `sent`.
    pub(crate) fn answered(&self, member: MemberId, term: Term, sent: Moment) {
        let sent = if fault_point!("lease-from-answer") { self.clock.now() } else { sent };
        let mut known = self.known.lock();
        if term > known.answered_in {
            known.answered_in = term;
            known.answered.clear();
        }
        if term < known.answered_in {
            return;
        }
        let newest = known.answered.entry(member).or_insert(sent);
        *newest = sent.max(*newest);
        self.renew(&known);
    }

    /// When the newest message was sent that `member` has answered in the newest term this member led in.
    pub(crate) fn answered_at(&self, member: MemberId) -> Option<Moment> {
        self.known.lock().answered.get(&member).copied()
    }

    /// Whether more than half of `voters` have answered, in the newest term this member led in, what was sent at `since` or later.
    pub(crate) fn hears_majority_of(&self, voters: &BTreeSet<MemberId>, since: Moment) -> bool {
        lease::is_heard_by_majority(self.member, voters, &self.known.lock().answered, since)
    }

    /// An entry of `term` has been applied.
    pub(crate) fn applied(&self, term: Term) {
        let mut known = self.known.lock();
        assert!(term >= known.applied, "C3: terms never fall along the log");
        known.applied = term;
    }

    /// Called on the apply task: fills the cell when everything is there, and gives the term it holds then.
    pub(crate) fn announce(&self) -> Option<Term> {
        let known = self.known.lock();
        if let Some(term) = known.led
            && (known.applied == term || fault_point!("led-before-applied"))
            && known.voted == term
            && known.ceded < term
            && self.led() != Some(term)
        {
            self.renew(&known);
            self.term.store(term.0, Ordering::Release);
        }
        self.led()
    }

    /// Called on the apply task when the state machine has been told what [`announce`](Self::announce) gave: now those
    /// who wait may go on.
    pub(crate) fn announced(&self) {
        let _known = self.known.lock();
        self.changed.send_replace(self.led());
    }

    /// Sets the expiry to what the answers of the term led in are worth.
    fn renew(&self, known: &Known) {
        let expiry = match (known.led, &known.voters) {
            (Some(led), Some(voters)) => {
                let none = BTreeMap::new();
                let answered = if known.answered_in == led { &known.answered } else { &none };
                match lease::held(self.member, &voters.sets, answered) {
                    Held::Alone => NEVER,
                    Held::Since(sent) if fault_point!("lease-too-long") => self.nanos(sent + self.lease * 4),
                    Held::Since(sent) => self.nanos(sent + self.lease),
                    Held::Nothing => 0,
                }
            }
            _ => 0,
        };
        self.expiry.store(expiry, Ordering::Release);
    }

    fn empty(&self) {
        if self.term.swap(0, Ordering::AcqRel) != 0 {
            self.changed.send_replace(None);
        }
    }

    fn nanos(&self, moment: Moment) -> u64 {
        u64::try_from(moment.since_start().as_nanos()).unwrap_or(NEVER - 1)
    }
}

#[cfg(test)]
mod tests;
