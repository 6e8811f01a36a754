//! How ready a table is, and the documents of `table_status`.

use std::collections::BTreeMap;

use photondb_cluster_state::{ClusterState, Member, Role, Shard, Table};
use photondb_proto::{MemberId, NodeId};
use photondb_query::catalog::{IdentifierFormat, Readiness};
use photondb_replica::status::MemberStatus;
use photondb_reql::datum::{Datum, Object};

use super::Ground;
use super::documents::{database, server};

/// RethinkDB's word for a replica that has everything.
const READY: &str = "ready";

/// RethinkDB's word for a replica that is being filled.
const BACKFILLING: &str = "backfilling";

/// What is known of a table's members, here and on the nodes that answer.
pub(crate) struct Overview(pub BTreeMap<MemberId, MemberStatus>);

impl Overview {
    /// How ready the table is; `None`: not even for outdated reads.
    pub fn readiness(&self, table: &Table) -> Option<Readiness> {
        let every = |holds: &dyn Fn(&Shard) -> bool| table.shards.iter().all(holds);
        if every(&|shard| {
            shard.cuts.is_empty()
                && shard.joining.is_none()
                && self.leader(shard).is_some()
                && shard.members.iter().all(|member| self.is_ready(shard, member))
        }) {
            return Some(Readiness::AllReplicas);
        }
        if every(&|shard| self.leader(shard).is_some()) {
            return Some(Readiness::Writes);
        }
        every(&|shard| self.of(shard).next().is_some()).then_some(Readiness::OutdatedReads)
    }

    /// The member that leads. When two say so, the later term's is not known here: the one that has applied more is taken.
    pub fn leader<'a>(&self, shard: &'a Shard) -> Option<&'a Member> {
        let leads = self.of(shard).filter(|status| status.leads);
        let leader = leads.max_by_key(|status| status.applied)?;
        shard.member(leader.member)
    }

    /// Servers with a member of the table that was not heard of; one may come several times.
    pub fn silent(&self, table: &Table) -> impl Iterator<Item = NodeId> {
        let members = table.shards.iter().flat_map(|shard| &shard.members);
        members.filter(|member| !self.0.contains_key(&member.id)).map(|member| member.node)
    }

    fn of(&self, shard: &Shard) -> impl Iterator<Item = &MemberStatus> {
        let id = shard.id;
        self.0.values().filter(move |status| status.shard == id)
    }

    fn is_ready(&self, shard: &Shard, member: &Member) -> bool {
        let settled = matches!(member.role, Role::Voter | Role::Nonvoting);
        settled && shard.placement.contains(member.node) && self.0.get(&member.id).is_some_and(|status| status.ready)
    }

    /// RethinkDB's word for how a member is.
    fn state_of(&self, state: &ClusterState, shard: &Shard, member: &Member) -> &'static str {
        if !state.node(member.node).is_some_and(|node| node.is_up()) {
            return "disconnected";
        }
        match self.0.get(&member.id) {
            None => "disconnected",
            Some(_) if member.role == Role::Joining => BACKFILLING,
            Some(status) if !status.ready && self.leader(shard).is_none() => "waiting_for_primary",
            // One that does not vote has its role from the first; that nothing has come yet says that it is being filled.
            Some(status) if member.role == Role::Nonvoting && !status.ready && status.last.is_none() => BACKFILLING,
            Some(_) if self.is_ready(shard, member) => READY,
            Some(_) => "transitioning",
        }
    }
}

/// A row of `table_status`.
pub(crate) fn status_of(ground: &Ground, state: &ClusterState, table: &Table, format: IdentifierFormat) -> Datum {
    ground.overview(state, table).status_of(state, table, format)
}

impl Overview {
    /// A row of `table_status`.
    pub fn status_of(&self, state: &ClusterState, table: &Table, format: IdentifierFormat) -> Datum {
        // What is to be cut off is served by who has it now, and what is to be joined by those who have the parts.
        let shards: Vec<Datum> = parts(table).iter().map(|part| self.part(state, part, format)).collect();
        let leader = table.shards.first().and_then(|shard| self.leader(shard));
        let readiness = self.readiness(table);
        let levels = [
            ("all_replicas_ready", Readiness::AllReplicas),
            ("ready_for_outdated_reads", Readiness::OutdatedReads),
            ("ready_for_reads", Readiness::Reads),
            ("ready_for_writes", Readiness::Writes),
        ];
        let levels = levels.map(|(name, level)| (name, readiness.is_some_and(|is| is >= level)));
        Datum::Object(Object::from([
            ("db", database(state, table, format)),
            ("id", Datum::from(table.id.to_string())),
            ("name", Datum::from(table.name.as_str())),
            ("raft_leader", leader.map_or(Datum::Null, |member| server(state, member.node, format))),
            ("shards", Datum::from(shards)),
            ("status", Datum::Object(levels.into_iter().collect())),
        ]))
    }

    /// What is one shard of the table as it is wanted: a server that has a part of it has a replica, which is ready when all is.
    fn part(&self, state: &ClusterState, part: &[&Shard], format: IdentifierFormat) -> Datum {
        let mut leaders: Vec<NodeId> = Vec::new();
        let mut replicas: Vec<(NodeId, &str)> = Vec::new();
        for shard in part {
            leaders.extend(self.leader(shard).map(|member| member.node).filter(|node| !leaders.contains(node)));
            let of_others = replicas.len();
            for member in &shard.members {
                let state_of = self.state_of(state, shard, member);
                match replicas[..of_others].iter_mut().find(|(node, _)| *node == member.node) {
                    Some((_, known)) if *known == READY => *known = state_of,
                    Some(_) => {}
                    None => replicas.push((member.node, state_of)),
                }
            }
        }
        let shown = |(node, state_of): (NodeId, &str)| {
            Datum::Object(Object::from([("server", server(state, node, format)), ("state", Datum::from(state_of))]))
        };
        let leaders: Vec<Datum> = leaders.into_iter().map(|node| server(state, node, format)).collect();
        Datum::Object(Object::from([
            ("primary_replicas", Datum::from(leaders)),
            ("replicas", Datum::from(replicas.into_iter().map(shown).collect::<Vec<_>>())),
        ]))
    }
}

/// The shards of a table as they are wanted, each as those that have its keys now.
fn parts(table: &Table) -> Vec<Vec<&Shard>> {
    let mut parts: Vec<Vec<&Shard>> = Vec::new();
    for shard in &table.shards {
        match parts.last_mut().filter(|_| shard.joining.is_some()) {
            Some(left) => left.push(shard),
            None => parts.push(vec![shard]),
        }
        parts.extend(shard.cuts.iter().map(|_| vec![shard]));
    }
    parts
}

#[cfg(test)]
mod tests {
    use photondb_consensus::{LogPosition, Term};

    use super::*;
    use crate::catalog::samples::{TABLE, cluster, whole};

    /// The states of a table's members: the first, which leads if it `leads`, and one without a vote that is as it says.
    fn states(leads: bool, of_second: impl FnOnce(&mut MemberStatus)) -> [&'static str; 2] {
        let state = cluster(whole(&[1]));
        let mut shard = state.table(TABLE).expect("is there").shards[0].clone();
        let first = shard.members[0];
        let second = Member { id: MemberId(first.id.0 + 1), node: NodeId(2), role: Role::Nonvoting };
        shard.members.push(second);
        shard.placement.nonvoting.insert(second.node);
        let last = Some(LogPosition { term: Term(1), index: 3 });
        let status = |member: Member, leads| {
            let ready = leads;
            MemberStatus { shard: shard.id, member: member.id, leads, ready, last, ..MemberStatus::default() }
        };
        let mut said = status(second, false);
        of_second(&mut said);
        let overview = Overview([status(first, leads), said].map(|status| (status.member, status)).into());
        [first, second].map(|member| overview.state_of(&state, &shard, &member))
    }

    #[test]
    fn a_replica_without_a_vote_is_backfilling_until_something_has_come() {
        assert_eq!(states(true, |second| second.last = None), [READY, BACKFILLING]);
        assert_eq!(states(true, |second| second.ready = true), [READY, READY]);
        // It has what was, and does not hear of a leader yet.
        assert_eq!(states(true, |_| {}), [READY, "transitioning"]);
        // Nobody is there who could fill it.
        assert_eq!(states(false, |second| second.last = None), ["waiting_for_primary"; 2]);
    }
}
