//! Somebody who moves single replicas to nodes of his choice, and chooses who is to lead, as `photonctl shard move` and `transfer-leader` do,
//! whatever else happens.

use std::time::Duration;

use photondb_cluster_state::{ClusterState, Command, Member, Placement, Role, Shard};
use photondb_proto::{NodeId, ShardId};

use super::plan::ClusterPlan;
use super::{Cluster, rare};
use crate::random::Random;

/// How long it rests between two changes, in milliseconds.
const REST_MS: std::ops::RangeInclusive<u64> = 300..=2_500;

/// Moves that it keeps in mind; the oldest is forgotten first, be it done or not.
const MOVES_MAX: usize = 16;

/// What it has done, for counts.
const MOVED: &str = "replica moved to a chosen node";
const LED: &str = "leader chosen";

/// Its state of mind.
pub(super) struct Mover {
    random: Random,
    /// When it does something next.
    next: Duration,
    moves: Vec<Move>,
}

/// A replica of a shard, from where and to where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Move {
    shard: ShardId,
    from: NodeId,
    to: NodeId,
}

impl Mover {
    /// In a run that somebody administers, and whose nodes have zones and tags.
    pub fn of(plan: &ClusterPlan) -> Option<Mover> {
        // Nothing that others draw changes with it.
        let random = Random::new(plan.seed ^ 0x00ad_015c);
        (plan.administered && plan.arranged).then_some(Mover { random, next: Duration::ZERO, moves: Vec::new() })
    }

    /// What is asked for next. `None`: there is nothing to choose from.
    fn choose(&mut self, state: &ClusterState) -> Option<(Command, Option<Move>)> {
        // One that is to be joined goes where its left neighbour is.
        let is_free = |shard: &&Shard| shard.joining.is_none();
        let shards: Vec<&Shard> = state.tables().flat_map(|table| &table.shards).filter(is_free).collect();
        if shards.is_empty() {
            return None;
        }
        let shard = self.random.pick(&shards);
        let open = |node: &NodeId| state.node(*node).is_some_and(|node| node.is_open());
        if self.random.once_in(4) {
            let voters: Vec<NodeId> = shard.placement.voters.iter().copied().filter(open).collect();
            let first = (!voters.is_empty()).then(|| self.random.pick(&voters))?;
            return Some((Command::PlaceShard { shard: shard.id, placement: led_by(&shard.placement, first) }, None));
        }
        let there: Vec<NodeId> = shard.placement.nodes().collect();
        let others: Vec<NodeId> =
            state.nodes().map(|node| node.id).filter(|id| open(id) && !there.contains(id)).collect();
        if others.is_empty() {
            return None;
        }
        let asked = Move { shard: shard.id, from: self.random.pick(&there), to: self.random.pick(&others) };
        let Move { shard, from, to } = asked;
        Some((Command::Substitute { shard, lost: from, by: to }, Some(asked)))
    }

    /// How many moves have come to their end by what the state says; they are forgotten.
    fn take_done(&mut self, state: &ClusterState) -> usize {
        let before = self.moves.len();
        self.moves.retain(|asked| !asked.is_done(state));
        before - self.moves.len()
    }
}

impl Move {
    fn is_done(&self, state: &ClusterState) -> bool {
        let Some((_, shard)) = state.shard(self.shard) else { return false };
        let holds = |member: &Member| matches!(member.role, Role::Voter | Role::Nonvoting);
        let is_there = shard.members.iter().any(|member| member.node == self.to && holds(member));
        is_there && !shard.members.iter().any(|member| member.node == self.from)
    }
}

/// The same nodes, and this one first.
fn led_by(placement: &Placement, first: NodeId) -> Placement {
    let mut placement = placement.clone();
    placement.voters.sort_by_key(|voter| *voter != first);
    placement
}

impl Cluster {
    /// Does what the mover wants, when its time has come.
    pub(super) fn let_mover_act(&mut self) {
        let now = self.now();
        let Some(mut mover) = self.mover.take_if(|mover| now >= mover.next) else { return };
        mover.next = now + mover.random.millis(REST_MS);
        if self.steward_works
            && let Some(state) = self.newest_state()
        {
            for _ in 0..mover.take_done(&state) {
                self.rare.reach(rare::MOVED);
            }
            if !self.is_healed
                && let Some((command, asked)) = mover.choose(&state)
                && self.propose(&state, &command)
            {
                self.trace.event(format_args!("asked for: {command:?}"));
                let kind = if asked.is_some() { MOVED } else { LED };
                *self.changes.entry(kind.to_owned()).or_default() += 1;
                mover.moves.extend(asked);
                let forgotten = mover.moves.len().saturating_sub(MOVES_MAX);
                mover.moves.drain(..forgotten);
            }
        }
        self.mover = Some(mover);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use photondb_cluster_state::Reached;

    use super::*;
    use crate::cluster::layout::tests::table_of_three;

    fn take(state: &mut Arc<ClusterState>, command: &Command) {
        *state = state.applied(command).unwrap_or_else(|error| panic!("{command:?}: {error}")).0;
    }

    fn shard(state: &ClusterState) -> &Shard {
        &state.tables().next().unwrap().shards[0]
    }

    #[test]
    fn it_asks_for_what_the_state_takes_and_knows_when_it_is_done() {
        let mut state = table_of_three(4);
        let mut mover = Mover { random: Random::new(3), next: Duration::ZERO, moves: Vec::new() };
        let asked = loop {
            let (command, asked) = mover.choose(&state).unwrap();
            take(&mut state.clone(), &command);
            if let Some(asked) = asked {
                take(&mut state, &command);
                break asked;
            }
        };
        assert_eq!(asked.to, NodeId(4), "the fourth is free");
        mover.moves.push(asked);
        assert_eq!(mover.take_done(&state), 0, "nobody is there yet");
        let (id, generation) = (shard(&state).id, shard(&state).generation);
        let replaces = shard(&state).member_on(asked.from).map(|member| member.id);
        take(&mut state, &Command::AddMember { shard: id, generation, node: asked.to, votes: true, replaces });
        assert_eq!(mover.take_done(&state), 0, "it joins, and the other one leaves");
        let (voters, generation, learners) =
            (shard(&state).wanted_voters(), shard(&state).generation, Default::default());
        let at = Reached { term: 1, index: 9 };
        take(&mut state, &Command::MembersReached { shard: id, generation, at, voters, learners });
        assert_eq!((mover.take_done(&state), mover.moves.len()), (1, 0));
    }
}
