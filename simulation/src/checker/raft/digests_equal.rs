//! State machines that have applied the same log up to the same place are equal.

use std::collections::BTreeMap;

use super::limits::PLACES_MAX;
use crate::checker::Violation;
use crate::observation::{Boot, GroupId, Index, MemberId, Observation};

/// Digests by place, and who showed each first.
#[derive(Debug, Default)]
pub struct Checker {
    digests: BTreeMap<(GroupId, Index), (u64, MemberId, Boot)>,
    compared: u64,
}

impl Checker {
    /// How many digests were held against that of another member or another life.
    pub fn compared(&self) -> u64 {
        self.compared
    }

    /// Looks at one member.
    pub fn look(&mut self, seen: &Observation) -> Result<(), Violation> {
        let (Some(applied), Some(digest)) = (seen.applied, seen.digest) else { return Ok(()) };
        let known = *self.digests.entry((seen.group, applied)).or_insert((digest, seen.member, seen.boot));
        self.compared += u64::from((known.1, known.2) != (seen.member, seen.boot));
        if known.0 != digest {
            let evidence = format!(
                "{:?} at {applied:?}: {:?} of {:?} on {:?} has {digest:x}, {:?} of {:?} had {:x}",
                seen.group, seen.member, seen.boot, seen.node, known.1, known.2, known.0
            );
            return Err(Violation { property: "digests are equal", evidence });
        }
        let oldest = Index(applied.0.saturating_sub(PLACES_MAX));
        while let Some(((group, index), _)) = self.digests.range((seen.group, Index(0))..).next()
            && *group == seen.group
            && *index < oldest
        {
            let key = (*group, *index);
            self.digests.remove(&key);
        }
        Ok(())
    }
}
