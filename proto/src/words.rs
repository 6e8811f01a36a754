//! What messages about nodes and shards say in words: the same for photonctl and for system tables.

use crate::v1;

impl v1::NodeLiveness {
    /// One word, in lower case.
    pub fn word(self) -> &'static str {
        match self {
            v1::NodeLiveness::Up => "up",
            v1::NodeLiveness::Down => "down",
            v1::NodeLiveness::Lost => "lost",
            v1::NodeLiveness::Unspecified => "unknown",
        }
    }
}

impl v1::NodeService {
    /// One word, in lower case.
    pub fn word(self) -> &'static str {
        match self {
            v1::NodeService::Full => "full",
            v1::NodeService::Drained => "drained",
            v1::NodeService::Leaving => "leaving",
            v1::NodeService::Gone => "gone",
            v1::NodeService::Unspecified => "unknown",
        }
    }
}

impl v1::MemberRole {
    /// One word, in lower case.
    pub fn word(self) -> &'static str {
        match self {
            v1::MemberRole::Voter => "voter",
            v1::MemberRole::Joining => "joining",
            v1::MemberRole::Nonvoting => "nonvoting",
            v1::MemberRole::Leaving => "leaving",
            v1::MemberRole::Failed => "failed",
            v1::MemberRole::Unspecified => "unknown",
        }
    }
}

impl v1::ShardStatus {
    /// Who leads it, as far as members say. Of two that say so the one is believed that has applied more: the other does not know yet
    /// that it leads no more.
    pub fn leader(&self) -> Option<&v1::MemberStatus> {
        let applied =
            |member: &v1::MemberStatus| member.report.filter(|report| report.leads).map(|report| report.applied);
        self.members.iter().filter(|member| applied(member).is_some()).max_by_key(|member| applied(member))
    }
}

impl v1::NodeStatus {
    /// Whether it is still to give away something that its service says it is not to have. `None`: it does not answer, so that nobody
    /// knows.
    pub fn is_draining(&self) -> Option<bool> {
        match self.service() {
            v1::NodeService::Drained => self.to_hand_over.map(|groups| groups > 0),
            v1::NodeService::Leaving => Some(self.replicas > 0 || self.votes),
            v1::NodeService::Full | v1::NodeService::Gone | v1::NodeService::Unspecified => Some(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_that_say_they_lead_the_one_is_believed_that_has_applied_more() {
        let member = |id: u64, report: Option<(bool, u64)>| v1::MemberStatus {
            member_id: id,
            report: report.map(|(leads, applied)| v1::MemberReport { leads, ready: true, applied }),
            ..v1::MemberStatus::default()
        };
        let leader = |members: Vec<v1::MemberStatus>| {
            let shard = v1::ShardStatus { members, ..v1::ShardStatus::default() };
            shard.leader().map(|member| member.member_id)
        };
        assert_eq!(leader(vec![member(1, Some((false, 9))), member(2, None)]), None);
        assert_eq!(
            leader(vec![member(1, Some((true, 5))), member(2, Some((true, 6))), member(3, Some((false, 7)))]),
            Some(2)
        );
    }

    #[test]
    fn a_node_drains_until_it_has_given_away_what_it_is_not_to_have() {
        let draining = |service: v1::NodeService, replicas, to_hand_over| {
            let status =
                v1::NodeStatus { service: service.into(), replicas, to_hand_over, ..v1::NodeStatus::default() };
            status.is_draining()
        };
        assert_eq!(draining(v1::NodeService::Full, 3, Some(3)), Some(false));
        assert_eq!(draining(v1::NodeService::Drained, 3, Some(2)), Some(true));
        assert_eq!(draining(v1::NodeService::Drained, 3, Some(0)), Some(false), "it keeps its replicas");
        assert_eq!(draining(v1::NodeService::Drained, 3, None), None);
        assert_eq!(draining(v1::NodeService::Leaving, 3, None), Some(true));
        assert_eq!(draining(v1::NodeService::Leaving, 0, Some(0)), Some(false));
        let voter =
            v1::NodeStatus { votes: true, service: v1::NodeService::Leaving.into(), ..v1::NodeStatus::default() };
        assert_eq!(voter.is_draining(), Some(true), "its vote is another's to be");
    }
}
