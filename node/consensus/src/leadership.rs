//! Whether this member leads, as one atomic cell that every read and every proposal asks.
//!
//! The cell is filled only when the member has been elected *in this life of the process* and has applied the first
//! entry of its term, hence everything of earlier terms (C4). It is emptied before a higher vote is saved.
//!
//! A group with one voter needs no lease: nobody else can be elected. The expiry of the lease joins the cell together
//! with the transport between nodes; until then a group with other voters elects nobody, so its cell stays empty.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::position::Term;

/// Shared by the group's handle, its log store, its state machine and its supervisor.
pub(crate) struct Leadership {
    /// Zero: does not lead.
    cell: AtomicU64,
    known: Mutex<Known>,
    /// Follows the cell, for those who wait.
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
}

impl Leadership {
    pub(crate) fn new(voted: Term) -> Leadership {
        Leadership {
            cell: AtomicU64::new(0),
            known: Mutex::new(Known { voted, ..Known::default() }),
            changed: watch::Sender::new(None),
        }
    }

    /// The term this member leads in.
    pub(crate) fn get(&self) -> Option<Term> {
        match self.cell.load(Ordering::Acquire) {
            0 => None,
            term => Some(Term(term)),
        }
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Option<Term>> {
        self.changed.subscribe()
    }

    /// The core says that this member leads in `led`, or does not lead. Emptying takes effect at once; filling waits for
    /// [`announce`](Self::announce) on the apply task.
    pub(crate) fn elected(&self, led: Option<Term>) {
        let mut known = self.known.lock();
        known.led = led;
        if led.is_none_or(|term| self.get() != Some(term)) {
            self.empty();
        }
    }

    /// A vote for `term` is about to be saved: whoever led in an earlier one does not any more.
    pub(crate) fn voting(&self, term: Term) {
        let mut known = self.known.lock();
        known.voted = known.voted.max(term);
        if self.get().is_some_and(|led| led < term) {
            self.empty();
        }
    }

    /// An entry of `term` has been applied.
    pub(crate) fn applied(&self, term: Term) {
        let mut known = self.known.lock();
        assert!(term >= known.applied, "C3: terms never fall along the log");
        known.applied = term;
    }

    /// Called on the apply task: fills the cell when everything is there, and gives what it holds then.
    pub(crate) fn announce(&self) -> Option<Term> {
        let known = self.known.lock();
        if let Some(term) = known.led
            && known.applied == term
            && known.voted == term
            && self.get() != Some(term)
        {
            self.cell.store(term.0, Ordering::Release);
        }
        self.get()
    }

    /// Called on the apply task when the state machine has been told what [`announce`](Self::announce) gave: now those
    /// who wait may go on.
    pub(crate) fn announced(&self) {
        let _known = self.known.lock();
        self.changed.send_replace(self.get());
    }

    fn empty(&self) {
        if self.cell.swap(0, Ordering::AcqRel) != 0 {
            self.changed.send_replace(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cell_is_filled_only_after_the_first_entry_of_the_term() {
        let leadership = Leadership::new(Term(2));
        leadership.applied(Term(2));
        leadership.elected(Some(Term(3)));
        leadership.voting(Term(3));
        assert_eq!(leadership.announce(), None);
        leadership.applied(Term(3));
        assert_eq!(leadership.get(), None);
        assert_eq!(leadership.announce(), Some(Term(3)));
        assert_eq!(leadership.get(), Some(Term(3)));
    }

    #[test]
    fn what_was_applied_in_an_earlier_life_makes_no_leader() {
        let leadership = Leadership::new(Term(3));
        leadership.applied(Term(3));
        assert_eq!(leadership.announce(), None);
    }

    #[test]
    fn a_higher_vote_empties_the_cell_and_a_late_announcement_does_not_fill_it() {
        let leadership = Leadership::new(Term(1));
        leadership.voting(Term(1));
        leadership.elected(Some(Term(1)));
        leadership.applied(Term(1));
        assert_eq!(leadership.announce(), Some(Term(1)));
        leadership.voting(Term(2));
        assert_eq!(leadership.get(), None);
        assert_eq!(leadership.announce(), None);
    }
}
