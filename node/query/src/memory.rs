//! What all queries of a node may hold together, and the share of it that one of them has.
//!
//! A query is refused when it asks for more than is left; nobody waits, and nobody loses what he has. So a node with many
//! clients is never taken down by the sum of what each may.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use photondb_reql::error::Error;

use crate::limits::{MEMORY_FREE_BYTES, MEMORY_GROWTH_SHARE, MEMORY_PIECE_BYTES};

/// Memory for queries: what they gather, their messages, and answers on their way out.
#[derive(Debug)]
pub struct MemoryBudget {
    max: usize,
    taken: AtomicUsize,
    refused: AtomicU64,
}

impl MemoryBudget {
    /// A budget of `max` bytes.
    pub fn new(max: usize) -> Arc<MemoryBudget> {
        Arc::new(MemoryBudget { max, taken: AtomicUsize::new(0), refused: AtomicU64::new(0) })
    }

    /// All of it, in bytes.
    pub fn max(&self) -> usize {
        self.max
    }

    /// Bytes that are taken now; a little more than all when answers are written that were begun with less.
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// How often somebody was refused.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    fn take(&self, bytes: usize) -> bool {
        let more = |taken: usize| taken.checked_add(bytes).filter(|taken| *taken <= self.max);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }
}

/// What somebody has of a budget. Dropping it gives it back.
#[derive(Debug)]
pub struct MemoryShare {
    budget: Arc<MemoryBudget>,
    taken: usize,
}

impl MemoryShare {
    /// Nothing yet.
    pub fn new(budget: &Arc<MemoryBudget>) -> MemoryShare {
        MemoryShare { budget: budget.clone(), taken: 0 }
    }

    /// Enough to hold `bytes`; `None`: that is free. Errors: it is not there.
    pub fn of(budget: &Arc<MemoryBudget>, bytes: usize) -> Result<Option<MemoryShare>, Error> {
        if bytes <= MEMORY_FREE_BYTES {
            return Ok(None);
        }
        let mut share = MemoryShare::new(budget);
        share.grow_to(bytes)?;
        Ok(Some(share))
    }

    /// Bytes that its owner may hold: what was taken, and what is free for everybody.
    pub fn bytes(&self) -> usize {
        self.taken.saturating_add(MEMORY_FREE_BYTES)
    }

    /// Takes what is missing to hold `bytes`. Errors: it is not there.
    pub fn grow_to(&mut self, bytes: usize) -> Result<(), Error> {
        let Some(missing) = bytes.checked_sub(self.bytes()).filter(|missing| *missing > 0) else { return Ok(()) };
        let ahead = missing.max(self.taken / MEMORY_GROWTH_SHARE).checked_next_multiple_of(MEMORY_PIECE_BYTES);
        let piece = match ahead {
            Some(piece) if self.budget.take(piece) => piece,
            _ if self.budget.take(missing) => missing,
            _ => {
                self.budget.refused.fetch_add(1, Ordering::Relaxed);
                return Err(Error::queries_too_large(self.budget.max));
            }
        };
        self.taken += piece;
        Ok(())
    }

    /// Holds `bytes`, whether they are there or not: what has been made already is counted so. Gives back what is too much.
    pub fn set(&mut self, bytes: usize) {
        let missing = bytes.saturating_sub(self.bytes());
        if missing > 0 {
            let piece = missing.checked_next_multiple_of(MEMORY_PIECE_BYTES).unwrap_or(missing);
            self.budget.taken.fetch_add(piece, Ordering::Relaxed);
            self.taken += piece;
        } else {
            self.shrink_to(bytes);
        }
    }

    /// Gives back what is not needed to hold `bytes`, in whole pieces.
    pub fn shrink_to(&mut self, bytes: usize) {
        let needed = bytes.saturating_sub(MEMORY_FREE_BYTES);
        let needed = needed.checked_next_multiple_of(MEMORY_PIECE_BYTES).unwrap_or(needed);
        if let Some(surplus) = self.taken.checked_sub(needed).filter(|surplus| *surplus > 0) {
            self.budget.taken.fetch_sub(surplus, Ordering::Relaxed);
            self.taken -= surplus;
        }
    }
}

impl Drop for MemoryShare {
    fn drop(&mut self) {
        self.budget.taken.fetch_sub(self.taken, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    #[test]
    fn what_is_taken_comes_back() {
        let budget = MemoryBudget::new(MIB);
        let mut share = MemoryShare::new(&budget);
        share.grow_to(MEMORY_FREE_BYTES).expect("is free");
        assert_eq!(budget.taken(), 0);
        share.grow_to(MEMORY_FREE_BYTES + 1).expect("is there");
        assert_eq!(budget.taken(), MEMORY_PIECE_BYTES);
        share.grow_to(MIB / 2).expect("is there");
        assert!(share.bytes() >= MIB / 2 && budget.taken() <= MIB / 2 + MEMORY_PIECE_BYTES);
        share.shrink_to(MIB / 4);
        assert!(share.bytes() >= MIB / 4 && budget.taken() <= MIB / 4 + MEMORY_PIECE_BYTES);
        drop(share);
        assert_eq!((budget.taken(), budget.refused()), (0, 0));
    }

    #[test]
    fn whoever_asks_for_too_much_is_refused_and_keeps_what_he_has() {
        let budget = MemoryBudget::new(MIB);
        let (mut first, mut second) = (MemoryShare::new(&budget), MemoryShare::new(&budget));
        first.grow_to(MIB).expect("is there");
        let had = second.bytes();
        let refused = second.grow_to(MIB / 2).expect_err("is taken");
        assert!(refused.message.contains(&format!("`{MIB}` bytes")), "{refused}");
        assert_eq!((second.bytes(), budget.refused()), (had, 1));
        assert!(second.grow_to(usize::MAX).is_err());
        first.shrink_to(0);
        second.grow_to(MIB / 2).expect("is there again");
        // To the last byte, though not in whole pieces.
        second.grow_to(MIB + MEMORY_FREE_BYTES).expect("is there");
        assert_eq!(budget.taken(), MIB);
    }

    #[test]
    fn what_was_made_already_is_counted_even_past_the_end() {
        let budget = MemoryBudget::new(MIB);
        let (mut first, mut second) = (MemoryShare::new(&budget), MemoryShare::new(&budget));
        first.grow_to(MIB).expect("is there");
        second.set(2 * MIB);
        assert!(budget.taken() >= 2 * MIB);
        second.set(MIB / 2);
        assert!(first.grow_to(MIB + 2 * MEMORY_PIECE_BYTES).is_err());
        second.set(0);
        drop(first);
        assert_eq!(budget.taken(), 0);
    }
}
