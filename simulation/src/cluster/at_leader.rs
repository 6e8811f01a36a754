//! Faults whose place is said by who leads the newest group at that moment, and who votes with it.

use std::time::Duration;

use photondb_proto::MemberId;

use super::Cluster;
use super::fault::{Fault, Place, Timed};
use super::harm::{Harm, Struck};

/// What strikes there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AtLeader {
    /// This strikes the machine.
    Struck(Struck),
    /// What is sent to it takes so many milliseconds more.
    HearsLate(u64),
    /// Nothing passes between it and that one of the others that vote, counted from zero and round.
    PartedFrom(usize),
    /// The same; and the process of the other is killed, and started again at once.
    ForgottenBy(usize),
}

impl Cluster {
    /// Whether there is anybody to strike.
    pub(super) fn strike_leader(&mut self, what: AtLeader, lasts: Duration) -> bool {
        let Some(leader) = self.raft.leader().map(|node| node.0) else { return false };
        let faults = match what {
            AtLeader::Struck(then) => vec![then.at(leader)],
            AtLeader::HearsLate(millis) => vec![Fault::Harm(Harm::HearsLate { at: leader, millis })],
            AtLeader::PartedFrom(number) | AtLeader::ForgottenBy(number) => {
                let others = self.voters_beside(leader);
                let Some(other) = others.get(number % others.len().max(1)).copied() else { return false };
                let cut = Fault::Cut { between: (leader, other) };
                if what == AtLeader::ForgottenBy(number) {
                    let kill = Timed { at: self.now(), lasts: Duration::ZERO, fault: Fault::Kill { at: other } };
                    self.begin(kill);
                }
                vec![cut]
            }
        };
        for fault in faults {
            self.begin(Timed { at: self.now(), lasts, fault });
        }
        true
    }

    /// Where the others are that vote in the newest group, by what its leader knows.
    fn voters_beside(&mut self, leader: Place) -> Vec<Place> {
        self.look_at_members();
        let Some(observer) = &self.observers[leader] else { return Vec::new() };
        let groups = observer.living().groups.list();
        let Some(newest) = groups.into_iter().max_by_key(|group| group.id()) else { return Vec::new() };
        let members = newest.membership();
        let votes = |member: &MemberId| members.voters.iter().any(|set| set.contains(member));
        let nodes = members.nodes.iter().filter(|(member, _)| votes(member)).map(|(_, node)| *node);
        nodes.filter_map(|node| self.afflictions.place_of(node)).filter(|place| *place != leader).collect()
    }

    pub(super) fn let_hear_late(&mut self, harm: Harm, until: Duration) -> bool {
        let by_messages = self.post.is_some();
        if by_messages {
            self.lasting.push((until, Fault::Harm(harm)));
            self.wire();
        }
        by_messages
    }
}
