//! The logs of all members, put together from what changed in them.

use std::collections::{BTreeMap, BTreeSet};

use crate::checker::Violation;
use crate::client::NodeIndex;
use crate::observation::{Entry, GroupId, Index, Left, MemberId, Observation, Term};

const PROPERTY: &str = "log is a sequence";

/// The log of one member as it was last seen; a member that is down has it on its disk.
#[derive(Clone, Debug)]
pub struct Log {
    /// On which node.
    pub node: NodeIndex,
    /// Voters by the newest membership in it.
    pub voters: Vec<BTreeSet<MemberId>>,
    /// Up to here a snapshot or checkpoint stands for the entries.
    pub purged: Option<Index>,
    /// Up to here it was committed.
    pub committed: Option<Index>,
    entries: BTreeMap<Index, Entry>,
    /// Where it ended when its member went, if nobody saw the entries before.
    ended: Option<(Term, Index)>,
}

impl Log {
    /// The entry, if the log still holds it.
    pub fn entry(&self, index: Index) -> Option<&Entry> {
        self.entries.get(&index)
    }

    /// Where the log ends; `None`: it holds no entry.
    pub fn last(&self) -> Option<Index> {
        self.entries.last_key_value().map(|(index, _)| *index)
    }

    /// Whether the member has what is at this place and was proposed in this term: as an entry, in a snapshot, or behind what was
    /// seen of it. A log that ended in the same term, there or later, had it: it matched the log of who led in that term.
    pub fn holds(&self, index: Index, term: Term) -> bool {
        match self.entries.get(&index) {
            Some(entry) => entry.term == term,
            None => {
                self.purged.is_some_and(|purged| index <= purged)
                    || self.ended.is_some_and(|(last_term, last)| last_term == term && index <= last)
            }
        }
    }
}

/// All logs, by group and member.
#[derive(Debug, Default)]
pub struct Logs(BTreeMap<(GroupId, MemberId), Log>);

impl Logs {
    /// The log of a member.
    pub fn log(&self, group: GroupId, member: MemberId) -> Option<&Log> {
        self.0.get(&(group, member))
    }

    /// All members of a group.
    pub fn members(&self, group: GroupId) -> impl Iterator<Item = (MemberId, &Log)> {
        let range = (group, MemberId(0))..=(group, MemberId(u64::MAX));
        self.0.range(range).map(|((_, member), log)| (*member, log))
    }

    /// All groups.
    pub fn groups(&self) -> BTreeSet<GroupId> {
        self.0.keys().map(|(group, _)| *group).collect()
    }

    /// A member has gone.
    pub fn left(&mut self, left: &Left) {
        if let Some(log) = self.0.get_mut(&(left.group, left.member)) {
            log.ended = Some(left.last);
        }
    }

    /// What changed in a log. Errors: the entries do not follow one another, or the member does not have what it says it has.
    pub fn take(&mut self, seen: &Observation) -> Result<(), Violation> {
        let violation = |evidence: String| {
            let evidence = format!("{:?} {:?} on {:?}: {evidence}", seen.group, seen.member, seen.node);
            Err(Violation { property: PROPERTY, evidence })
        };
        let log = self.0.entry((seen.group, seen.member)).or_insert_with(|| Log {
            node: seen.node,
            voters: Vec::new(),
            purged: None,
            committed: None,
            entries: BTreeMap::new(),
            ended: None,
        });
        log.ended = None;
        log.voters.clone_from(&seen.voters);
        log.purged = seen.purged;
        log.committed = log.committed.max(seen.committed);
        if let Some(from) = seen.truncated_from {
            log.entries.split_off(&from);
        }
        if let Some(purged) = seen.purged {
            log.entries = log.entries.split_off(&Index(purged.0 + 1));
        }
        for entry in &seen.appended {
            if seen.purged.is_some_and(|purged| entry.index <= purged) {
                continue;
            }
            // After a start the whole log is seen once more; an entry that is another one takes all behind it along.
            if log.entries.get(&entry.index).is_some_and(|before| before == entry) {
                continue;
            }
            log.entries.split_off(&entry.index);
            let last = log.entries.last_key_value().map(|(index, last)| (*index, last.term));
            let before = last.or_else(|| seen.purged.map(|purged| (purged, Term(0))));
            if let Some((index, term)) = before
                && (index.0 + 1 != entry.index.0 || entry.term < term)
            {
                return violation(format!("{entry:?} follows {index:?} of {term:?}"));
            }
            log.entries.insert(entry.index, *entry);
        }
        let last = log.entries.last_key_value().map(|(index, entry)| (entry.term, *index));
        match (last, seen.last) {
            (Some(last), Some(said)) if last != said => {
                violation(format!("its last entry is {said:?}, found {last:?}"))
            }
            (Some(last), None) => violation(format!("it says that its log is empty, found {last:?}")),
            _ => Ok(()),
        }
    }
}
