//! The group of a shard, as its members have it: the membership, and what their state says.

use std::collections::BTreeSet;

use photondb_cluster_state::plan::GroupMembers;
use photondb_cluster_state::*;
use photondb_proto::{Epoch, KeyRange, MemberId};

#[derive(Clone, Debug)]
pub struct Group {
    pub members: GroupMembers,
    pub range: KeyRange,
    /// As the cluster state counts it.
    pub epoch: Epoch,
    /// The attempt whose freeze was applied, and no thaw behind it.
    pub frozen: Option<Attempt>,
    /// The last attempt that was thawed.
    pub thawed: Attempt,
    index: u64,
}

impl Group {
    pub fn of(shard: &Shard) -> Group {
        let members = GroupMembers { voters: shard.wanted_voters(), ..GroupMembers::default() };
        let (range, epoch, thawed) = (shard.range.clone(), shard.epoch, Attempt(0));
        Group { members, range, epoch, frozen: None, thawed, index: 1 }
    }

    /// The group that takes its place and goes on with what one of its members had (K11). A freeze is given up where there is a way
    /// back from it. `knows_join`: that member has applied a join that nobody has reported.
    pub fn given_anew(&self, shard: &Shard, knows_join: bool) -> Group {
        let anew = Group::of(shard);
        if shard.stays_frozen() {
            return Group { epoch: self.epoch, frozen: self.frozen, thawed: self.thawed, ..anew };
        }
        let thawed = self.thawed.max(shard.attempt);
        if knows_join && self.range != shard.range {
            let epoch = shard.epoch.max(Epoch(self.epoch.0 + 1));
            return Group { range: self.range.clone(), epoch, thawed, ..anew };
        }
        Group { thawed, ..anew }
    }

    /// Where its last entry stands, when one more is there.
    pub fn entry(&mut self) -> Reached {
        self.index += 1;
        Reached { term: 1, index: self.index }
    }

    pub fn freeze(&mut self, attempt: Attempt) {
        if self.frozen == Some(attempt) {
            return;
        }
        assert!(self.frozen.is_none(), "frozen by an attempt that was never thawed: {self:?}");
        assert!(attempt > self.thawed, "{attempt:?} was given before: this freeze is void, {self:?}");
        self.frozen = Some(attempt);
        self.epoch.0 += 1;
    }

    pub fn thaw(&mut self, attempt: Attempt) {
        if self.frozen == Some(attempt) {
            self.epoch.0 += 1;
        }
        self.frozen = None;
        self.thawed = self.thawed.max(attempt);
    }

    /// What was cut off.
    pub fn cut(&mut self, cut: &Cut) -> Group {
        let [left, right] = self.range.cut(&cut.at).unwrap();
        self.range = left;
        self.epoch.0 += 1;
        let voters = cut.members.iter().filter(|member| member.role == Role::Voter).map(|member| member.id);
        let members = GroupMembers { voters: voters.collect(), ..GroupMembers::default() };
        Group { members, range: right, index: 1, ..self.clone() }
    }

    /// Takes what the other one has, whose members are beside those of this one.
    pub fn join(&mut self, right: &Group) {
        assert!(self.frozen.is_none() && right.frozen.is_some(), "{self:?} takes {right:?}");
        assert_eq!(self.range.end(), Some(right.range.start()));
        self.range = KeyRange::new(self.range.start().to_vec(), right.range.end().map(<[u8]>::to_vec)).unwrap();
        self.epoch = Epoch(self.epoch.max(right.epoch).0 + 1);
    }

    /// Makes `voters` those that vote. Those that do no more learn until they are removed.
    pub fn change_voters(&mut self, voters: BTreeSet<MemberId>) {
        assert!(!voters.is_empty());
        let gone: Vec<MemberId> = self.members.voters.difference(&voters).copied().collect();
        self.members.learners.extend(gone);
        self.members.learners.retain(|member| !voters.contains(member));
        self.members.voters = voters;
    }
}
