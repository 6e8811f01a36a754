//! Two logs that have an entry of the same index and term are the same up to it.
//!
//! It is enough that such entries have the same content and follow entries of the same term: the rest is induction. So each
//! entry is looked at once, when it becomes durable somewhere.

use std::collections::BTreeMap;

use super::limits::PLACES_MAX;
use super::logs::Logs;
use crate::checker::Violation;
use crate::observation::{Entry, GroupId, Index, MemberId, Observation, Term};

/// An entry as it was first seen.
#[derive(Clone, Copy, Debug)]
struct Known {
    hash: u64,
    /// The term of the entry before; `None`: that had been purged.
    before: Option<Term>,
    by: MemberId,
}

/// Entries seen so far.
#[derive(Debug, Default)]
pub struct Checker {
    known: BTreeMap<(GroupId, Index, Term), Known>,
}

impl Checker {
    /// Looks at what is new in one log.
    pub fn look(&mut self, logs: &Logs, seen: &Observation) -> Result<(), Violation> {
        let Some(log) = logs.log(seen.group, seen.member) else { return Ok(()) };
        for entry in &seen.appended {
            let before =
                entry.index.0.checked_sub(1).and_then(|index| log.entry(Index(index))).map(|before| before.term);
            let new = Known { hash: entry.hash, before, by: seen.member };
            let known = self.known.entry((seen.group, entry.index, entry.term)).or_insert(new);
            let follows_another = known.before.zip(before).is_some_and(|(known, before)| known != before);
            if known.hash != entry.hash || follows_another {
                let evidence = format!(
                    "{:?}: {entry:?} of {:?} follows {before:?}; at {:?} it had the hash {:x} and followed {:?}",
                    seen.group, seen.member, known.by, known.hash, known.before
                );
                return Err(Violation { property: "log matching", evidence });
            }
            known.before = known.before.or(before);
        }
        self.forget(seen);
        Ok(())
    }

    fn forget(&mut self, seen: &Observation) {
        let Some(Entry { index, .. }) = seen.appended.last() else { return };
        let Some(oldest) = index.0.checked_sub(PLACES_MAX) else { return };
        while let Some(entry) = self.known.range((seen.group, Index(0), Term(0))..).next()
            && entry.0.0 == seen.group
            && entry.0.1 < Index(oldest)
        {
            let key = *entry.0;
            self.known.remove(&key);
        }
    }
}
