//! What can be seen of the members of Raft groups between two steps, as the checkers want it: what changed since the last
//! look, and the entries that are new.

use std::collections::{BTreeMap, BTreeSet};

use photondb_consensus::{Group, GroupState, Groups, LogPosition, Role as ProductRole};
use photondb_proto::MemberId as ProductMember;
use photondb_runtime::clock::Moment;
use photondb_storage::Engine;
use photondb_storage::wal::{StreamId, Wal};

use super::digest::Freshness;
use crate::client::{Micros, NodeIndex};
use crate::observation::{Boot, Entry, GroupId, Index, Lease, Left, MemberId, Observation, Role, Term};

/// Bytes of log entries read at once.
const READ_BYTES: usize = 8 << 20;

/// What runs in one life of a process.
#[derive(Clone)]
pub struct Living {
    /// Its storage.
    pub engine: Engine,
    /// Its groups.
    pub groups: Groups,
}

/// Looks at one process for as long as it lives.
pub struct Observer {
    node: NodeIndex,
    living: Living,
    boot: Boot,
    seen: BTreeMap<ProductMember, Seen>,
    /// Members whose logs could not be read at the last look.
    unread: Vec<(GroupId, MemberId)>,
    /// Members that have gone, and what their logs had taken since the last look before.
    left: Vec<Left>,
}

/// A member as it was at the last look.
struct Seen {
    /// It tells what the log has taken even when the member is no more.
    group: Group,
    state: GroupState,
    /// The terms of the entries that its log held.
    terms: BTreeMap<u64, u64>,
    digested: Freshness,
}

impl Observer {
    /// Of the process that runs on `node` now.
    pub fn new(node: NodeIndex, living: Living) -> Observer {
        let boot = Boot(living.engine.identity().boot);
        Observer { node, living, boot, seen: BTreeMap::new(), unread: Vec::new(), left: Vec::new() }
    }

    /// What runs.
    pub fn living(&self) -> &Living {
        &self.living
    }

    /// Members of which something has changed, and could not be read, since this was asked the last time.
    pub fn take_unread(&mut self) -> Vec<(GroupId, MemberId)> {
        std::mem::take(&mut self.unread)
    }

    /// Members that have gone since this was asked the last time, and whose logs took something before.
    pub fn take_left(&mut self) -> Vec<Left> {
        std::mem::take(&mut self.left)
    }

    /// Members of which something has changed since the last look.
    pub fn look(&mut self, now: Micros) -> Vec<Observation> {
        let groups = self.living.groups.list();
        self.note_left(&groups);
        groups.iter().filter_map(|group| self.look_at(group, now)).collect()
    }

    /// The leases that have not run out when the node's clock shows `now`.
    pub fn leases(&self, now: Moment) -> impl Iterator<Item = Lease> {
        let groups = self.living.groups.list();
        let node = self.node;
        groups.into_iter().filter_map(move |group| {
            let (term, _) = group.lease().filter(|(_, end)| *end > now)?;
            Some(Lease { group: GroupId(group.id().0), member: MemberId(group.member().0), node, term: Term(term.0) })
        })
    }

    fn note_left(&mut self, groups: &[Group]) {
        let known = groups.iter().filter(|group| self.seen.contains_key(&group.member())).count();
        if known == self.seen.len() {
            return;
        }
        let here: BTreeSet<ProductMember> = groups.iter().map(Group::member).collect();
        for (_, Seen { group, state, .. }) in self.seen.extract_if(.., |member, _| !here.contains(member)) {
            let last = group.observe_change(&state).and_then(|now| now.last).filter(|last| Some(*last) != state.last);
            self.left.extend(last.map(|last| Left {
                group: GroupId(state.group.0),
                member: MemberId(state.member.0),
                last: (Term(last.term.0), Index(last.index)),
            }));
        }
    }

    fn look_at(&mut self, group: &Group, now: Micros) -> Option<Observation> {
        let engine = &self.living.engine;
        let (state, digested, digest) = match self.seen.get_mut(&group.member()) {
            None => {
                let (state, mut digested) = (group.observe(), Freshness::default());
                let digest = digested.digest(engine, &state, now);
                (state, digested, digest)
            }
            Some(seen) => match group.observe_change(&seen.state) {
                None => {
                    let digest = seen.digested.digest(engine, &seen.state, now);
                    digest?;
                    (seen.state.clone(), seen.digested, digest)
                }
                Some(state) => {
                    let digest = seen.digested.digest(engine, &state, now);
                    (state, seen.digested, digest)
                }
            },
        };
        let before = self.seen.remove(&state.member);
        let is_new = before.is_none();
        let mut terms = before.map(|seen| seen.terms).unwrap_or_default();
        let wal = self.living.engine.wal();
        let stream = StreamId(state.member.0);
        if is_refused(wal, stream, &state) {
            return None;
        }
        let first = state.purged.map_or(0, |purged| purged.index + 1);
        terms = terms.split_off(&first);
        let Some((truncated_from, appended)) = changes(wal, stream, &mut terms, first, state.last, is_new) else {
            self.unread.push((GroupId(state.group.0), MemberId(state.member.0)));
            return None;
        };
        let observation = Observation {
            group: GroupId(state.group.0),
            member: MemberId(state.member.0),
            node: self.node,
            boot: self.boot,
            term: Term(state.term.0),
            // Who has heard of a leader keeps its name in place of whom it had voted for.
            voted_for: (!state.led).then_some(MemberId(state.voted_for.0)),
            role: match state.role {
                ProductRole::Leader => Role::Leader,
                ProductRole::Candidate => Role::Candidate,
                ProductRole::Learner => Role::Learner,
                ProductRole::Follower | ProductRole::Idle => Role::Follower,
            },
            last: state.last.map(|last| (Term(last.term.0), Index(last.index))),
            committed: state.committed.map(index),
            applied: state.applied.map(index),
            purged: state.purged.map(index),
            voters: state
                .members
                .voters
                .iter()
                .map(|set| set.iter().map(|member| MemberId(member.0)).collect())
                .collect(),
            digest,
            truncated_from,
            appended,
        };
        self.seen.insert(state.member, Seen { group: group.clone(), state, terms, digested });
        Some(observation)
    }
}

/// Whether the log has refused what the member has just appended, as on a full disk: its core ends of that, and nobody was told
/// of the entries. What it has applied must be there nevertheless, unless there is no space: others can commit an entry, and
/// this member apply it, before its own log has answered (40928).
fn is_refused(wal: &Wal, stream: StreamId, state: &GroupState) -> bool {
    let index = |position: Option<LogPosition>| position.map(|position| position.index);
    let end = wal.state(stream).and_then(|stream| stream.last_index).max(index(state.purged));
    end < index(state.last) && (end >= index(state.applied) || wal.is_short())
}

fn index(position: LogPosition) -> Index {
    Index(position.index)
}

/// What happened to a log whose entries had `terms`: from where on it was cut, and what was added. `None`: it cannot be read
/// now.
fn changes(
    wal: &Wal,
    stream: StreamId,
    terms: &mut BTreeMap<u64, u64>,
    first: u64,
    last: Option<LogPosition>,
    is_new: bool,
) -> Option<(Option<Index>, Vec<Entry>)> {
    let end = last.map_or(first, |last| last.index + 1).max(first);
    // From the end backwards: entries before one that is as it was are as they were.
    let unchanged = |(index, term): &(&u64, &u64)| **index < end && wal.term(stream, **index) == Some(**term);
    let same = terms.iter().rev().find(unchanged).map(|(index, _)| *index);
    let from = same.map_or(first, |index| index + 1);
    let cut = terms.split_off(&from);
    // A start may find less than was there: what had not been synced when the power went.
    let first_cut = if is_new { Some(first) } else { cut.first_key_value().map(|(index, _)| *index) };
    let truncated_from = first_cut.map(Index);
    let mut appended = Vec::new();
    let mut next = from;
    while next < end {
        let entries = wal.read(stream, next, end, READ_BYTES).ok()?;
        for entry in &entries {
            terms.insert(entry.index, entry.term);
            let hash = fnv(&entry.payload);
            appended.push(Entry { index: Index(entry.index), term: Term(entry.term), hash });
        }
        match entries.last() {
            Some(entry) => next = entry.index + 1,
            // It was purged meanwhile.
            None => break,
        }
    }
    Some((truncated_from, appended))
}

/// FNV-1a.
pub(super) fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
