//! How ready a table is, and the documents of `table_status`.

use std::collections::BTreeMap;

use photondb_cluster_state::{ClusterState, Member, Role, Shard, Table};
use photondb_proto::{MemberId, NodeId};
use photondb_query::catalog::{IdentifierFormat, Readiness};
use photondb_replica::status::MemberStatus;
use photondb_reql::datum::{Datum, Object};

use super::Ground;
use super::documents::{database, server};

/// What is known of a table's members, here and on the nodes that answer.
pub(crate) struct Overview(pub BTreeMap<MemberId, MemberStatus>);

impl Overview {
    /// How ready the table is; `None`: not even for outdated reads.
    pub fn readiness(&self, table: &Table) -> Option<Readiness> {
        let every = |holds: &dyn Fn(&Shard) -> bool| table.shards.iter().all(holds);
        if every(&|shard| {
            shard.cuts.is_empty()
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
            Some(_) if member.role == Role::Joining => "backfilling",
            Some(status) if !status.ready && self.leader(shard).is_none() => "waiting_for_primary",
            Some(_) if self.is_ready(shard, member) => "ready",
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
        let shard = |shard: &Shard| {
            let leader = self.leader(shard).map(|member| server(state, member.node, format));
            let shown = |member: &Member| {
                let state_of = self.state_of(state, shard, member);
                Datum::Object(Object::from([
                    ("server", server(state, member.node, format)),
                    ("state", Datum::from(state_of)),
                ]))
            };
            Datum::Object(Object::from([
                ("primary_replicas", Datum::from(leader.into_iter().collect::<Vec<_>>())),
                ("replicas", Datum::from(shard.members.iter().map(shown).collect::<Vec<_>>())),
            ]))
        };
        // What is to be cut off is served by who has it now.
        let shards = table.shards.iter().flat_map(|one| std::iter::repeat_n(shard(one), 1 + one.cuts.len()));
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
            ("shards", Datum::from(shards.collect::<Vec<_>>())),
            ("status", Datum::Object(levels.into_iter().collect())),
        ]))
    }
}
