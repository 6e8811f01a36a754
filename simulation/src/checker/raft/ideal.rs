//! A group of members that keep to the rules, decided with all of them in view, and what can be seen of it.

use std::collections::BTreeSet;

use crate::client::{Micros, NodeIndex};
use crate::observation::{Boot, Entry, GroupId, Index, MemberId, Observation, Role, Snapshot, Term};
use crate::random::Random;

/// The group.
pub const GROUP: GroupId = GroupId(1);

/// One member of the ideal group.
#[derive(Clone, Debug)]
pub struct Member {
    pub term: u64,
    pub voted_for: Option<MemberId>,
    pub role: Role,
    pub boot: u64,
    pub log: Vec<Entry>,
    pub committed: Option<u64>,
    pub applied: Option<u64>,
    pub purged: Option<u64>,
    /// Since it was last looked at.
    pub truncated_from: Option<u64>,
    pub durable_from: usize,
    pub changed: bool,
}

/// Raft without messages: what a step does is decided with all members in view.
#[derive(Clone)]
pub struct Group {
    pub members: Vec<Member>,
    pub random: Random,
    pub at: u64,
    pub elections: u64,
    pub acknowledged: Vec<(Term, Index)>,
}

impl Group {
    pub fn new(seed: u64, size: usize) -> Group {
        let member = Member {
            term: 0,
            voted_for: None,
            role: Role::Follower,
            boot: 1,
            log: Vec::new(),
            committed: None,
            applied: None,
            purged: None,
            truncated_from: None,
            durable_from: 0,
            changed: true,
        };
        Group { members: vec![member; size], random: Random::new(seed), at: 0, elections: 0, acknowledged: Vec::new() }
    }

    fn some(&mut self) -> usize {
        self.random.below(self.members.len() as u64) as usize
    }

    pub fn leader(&self) -> Option<usize> {
        let leaders = (0..self.members.len()).filter(|at| self.members[*at].role == Role::Leader);
        leaders.max_by_key(|at| self.members[*at].term)
    }

    pub fn step(&mut self) {
        self.acknowledged.clear();
        match self.random.below(12) {
            0 => self.elect(),
            1..4 => self.propose(),
            4..8 => self.replicate(),
            8 | 9 => self.commit(),
            10 => self.apply(),
            _ => self.restart(),
        }
    }

    fn elect(&mut self) {
        let candidate = self.some();
        let term = self.members.iter().map(|member| member.term).max().unwrap_or(0) + 1;
        let up_to_date = |member: &Member| (member.log.last().map(|last| (last.term, last.index)), member.log.len());
        let own = up_to_date(&self.members[candidate]);
        let voters: Vec<usize> = (0..self.members.len()).filter(|at| up_to_date(&self.members[*at]) <= own).collect();
        if 2 * voters.len() <= self.members.len() {
            return;
        }
        self.elections += 1;
        for at in voters {
            let member = &mut self.members[at];
            (member.term, member.voted_for) = (term, Some(MemberId(candidate as u64)));
            member.role = if at == candidate { Role::Leader } else { Role::Follower };
            member.changed = true;
        }
        self.propose();
    }

    fn propose(&mut self) {
        let Some(leader) = self.leader() else { return };
        let hash = self.random.bits();
        let member = &mut self.members[leader];
        let index = Index(member.log.len() as u64);
        member.log.push(Entry { index, term: Term(member.term), hash });
        member.changed = true;
    }

    fn replicate(&mut self) {
        let (Some(leader), follower) = (self.leader(), self.some()) else { return };
        let source = self.members[leader].clone();
        let member = &mut self.members[follower];
        if follower == leader || member.term > source.term {
            return;
        }
        if member.term < source.term {
            (member.term, member.voted_for) = (source.term, None);
        }
        member.role = Role::Follower;
        member.changed = true;
        let shared = member.log.iter().zip(&source.log).take_while(|(mine, theirs)| mine == theirs).count();
        if shared < member.log.len() {
            member.log.truncate(shared);
            let from = shared as u64;
            member.truncated_from = Some(member.truncated_from.map_or(from, |before| before.min(from)));
            member.durable_from = member.durable_from.min(shared);
        }
        let upto = source.log.len().min(shared + self.random.below(4) as usize);
        member.log.extend(&source.log[shared..upto]);
        member.committed =
            source.committed.filter(|_| upto > 0).map(|committed| committed.min(upto as u64 - 1)).max(member.committed);
    }

    fn commit(&mut self) {
        let Some(leader) = self.leader() else { return };
        let source = self.members[leader].clone();
        let holds = |member: &&Member, index: usize| member.log.get(index) == source.log.get(index);
        let new = (0..source.log.len()).rev().find(|index| {
            let holders = self.members.iter().filter(|member| holds(member, *index)).count();
            source.log[*index].term == Term(source.term) && 2 * holders > self.members.len()
        });
        let Some(new) = new.map(|index| index as u64).filter(|new| Some(*new) > source.committed) else { return };
        let from = source.committed.map_or(0, |committed| committed + 1);
        let told = source.log[from as usize..=new as usize].iter().map(|entry| (entry.term, entry.index));
        self.acknowledged = told.collect();
        self.members[leader].committed = Some(new);
        self.members[leader].changed = true;
    }

    fn apply(&mut self) {
        let at = self.some();
        let purges = self.random.once_in(3);
        let member = &mut self.members[at];
        member.applied = member.committed;
        if purges {
            member.purged = member.applied;
        }
        member.changed = true;
    }

    fn restart(&mut self) {
        let at = self.some();
        let member = &mut self.members[at];
        member.boot += 1;
        member.role = Role::Follower;
        (member.applied, member.committed) = (member.purged, member.purged);
        member.durable_from = member.purged.map_or(0, |purged| purged as usize + 1);
        member.changed = true;
    }

    pub fn observe(&mut self) -> Snapshot {
        self.at += 1_000;
        let voters: BTreeSet<MemberId> = (0..self.members.len() as u64).map(MemberId).collect();
        let mut changed = Vec::new();
        for (at, member) in self.members.iter_mut().enumerate() {
            if !std::mem::take(&mut member.changed) {
                continue;
            }
            let applied = member.applied.map_or(0, |applied| applied as usize + 1);
            changed.push(Observation {
                group: GROUP,
                member: MemberId(at as u64),
                node: NodeIndex(at),
                boot: Boot(member.boot),
                term: Term(member.term),
                voted_for: member.voted_for,
                role: member.role,
                last: member.log.last().map(|last| (last.term, last.index)),
                committed: member.committed.map(Index),
                applied: member.applied.map(Index),
                purged: member.purged.map(Index),
                voters: vec![voters.clone()],
                digest: Some(
                    member.log[..applied].iter().fold(0, |sum, entry| sum ^ entry.hash.rotate_left(sum as u32 % 63)),
                ),
                truncated_from: member.truncated_from.take().map(Index),
                appended: member.log[member.durable_from..].to_vec(),
            });
            member.durable_from = member.log.len();
        }
        Snapshot { at: Micros(self.at), changed, ..Snapshot::default() }
    }
}
