//! Who lives, as the leader hears it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use photondb_cluster_state::{ClusterState, Command, Liveness, Node, Service};
use photondb_proto::NodeId;
use photondb_runtime::clock::Moment;

/// Whom this node heard as the leader, and when.
#[derive(Default)]
pub(crate) struct Heard {
    /// Since when each opening of a node is known to be one that should be heard: since it was registered, or since it is up again.
    expected: BTreeMap<NodeId, (u64, Moment)>,
    /// Who was not up after the last look, in the state: what was only to be said of a node may not have come to it.
    away: BTreeSet<NodeId>,
    last: BTreeMap<NodeId, (u64, Moment)>,
    /// Whether the disks have space, as their nodes said last.
    space: BTreeMap<NodeId, bool>,
    /// Who is about to stop, as it said last.
    stopping: BTreeSet<NodeId>,
}

impl Heard {
    /// This node leads from now on: who was not heard before has time to be heard.
    pub fn begin(&mut self) {
        self.expected.clear();
        self.away.clear();
        self.last.clear();
        self.space.clear();
        self.stopping.clear();
    }

    /// A node says that it lives, in that opening of its directory.
    pub fn hear(&mut self, node: NodeId, boots: u64, now: Moment) {
        self.last.insert(node, (boots, now));
    }

    /// A node says whether its disk has space.
    pub fn note_space(&mut self, node: NodeId, has_space: bool) {
        self.space.insert(node, has_space);
    }

    /// Whether a node has space on its disk, as it said last since this one leads. `None`: it has said nothing.
    pub fn has_space(&self, node: NodeId) -> Option<bool> {
        self.space.get(&node).copied()
    }

    /// A node says whether it is about to stop.
    pub fn note_stopping(&mut self, node: NodeId, is_stopping: bool) {
        match is_stopping {
            true => self.stopping.insert(node),
            false => self.stopping.remove(&node),
        };
    }

    /// Whether a node is about to stop, as it said last since this one leads.
    pub fn is_stopping(&self, node: NodeId) -> bool {
        self.stopping.contains(&node)
    }

    /// What the state should say of nodes and does not. A node is down after the state's heartbeat timeout without a word, and
    /// lost when it has been silent for `lost_after` beyond that.
    pub fn judge(
        &mut self,
        state: &ClusterState,
        me: NodeId,
        now: Moment,
        lost_after: Option<Duration>,
    ) -> Vec<Command> {
        self.last.retain(|node, _| state.node(*node).is_some());
        self.expected.retain(|node, _| state.node(*node).is_some());
        self.space.retain(|node, _| state.node(*node).is_some());
        self.stopping.retain(|node| state.node(*node).is_some());
        self.away.retain(|node| state.node(*node).is_some());
        let down_after = Duration::from_secs(state.heartbeat_timeout_secs());
        let mut commands = Vec::new();
        for node in state.nodes() {
            let expected = self.expected.entry(node.id).or_insert((node.boots, now));
            let is_back = node.is_up() && self.away.remove(&node.id);
            if expected.0 != node.boots || is_back {
                *expected = (node.boots, now);
            }
            if node.service == Service::Gone {
                // It is lost for good, whoever still hears it.
                continue;
            }
            let heard = self.heard(node);
            let silent = self.silent(node, now);
            let liveness = match lost_after {
                _ if node.id == me => Liveness::Up,
                // Only who was heard is up again; a new leader has heard nobody.
                _ if silent < down_after => {
                    if heard.is_some() {
                        Liveness::Up
                    } else {
                        node.liveness
                    }
                }
                Some(lost_after) if silent >= down_after.saturating_add(lost_after) => Liveness::Lost,
                _ => node.liveness.max(Liveness::Down),
            };
            if node.is_up() || liveness == Liveness::Up {
                self.away.remove(&node.id);
            } else {
                self.away.insert(node.id);
            }
            if liveness != node.liveness {
                photondb_storage::probe!("node found silent", liveness != Liveness::Up);
                photondb_storage::probe!("silent node heard again", liveness == Liveness::Up);
                photondb_storage::probe!("silent node given up", liveness == Liveness::Lost);
                commands.push(Command::SetLiveness { id: node.id, boots: node.boots, liveness });
            }
        }
        commands
    }

    /// What was given by [`judge`](Self::judge) has been applied. Who is up at the next look all the same is back since.
    pub fn note_applied(&mut self, command: &Command) {
        if let Command::SetLiveness { id, liveness: Liveness::Down | Liveness::Lost, .. } = command {
            self.away.insert(*id);
        }
    }

    /// For how long `node` has not been heard; for ever, if nobody expects it yet.
    pub fn silent(&self, node: &Node, now: Moment) -> Duration {
        let expected = self.expected.get(&node.id).map(|(_, at)| *at);
        self.heard(node).max(expected).map_or(Duration::MAX, |at| now.since(at))
    }

    /// Whether `node` has said that it lives within that time.
    pub fn has_heard(&self, node: &Node, now: Moment, within: Duration) -> bool {
        self.heard(node).is_some_and(|at| now.since(at) < within)
    }

    fn heard(&self, node: &Node) -> Option<Moment> {
        self.last.get(&node.id).filter(|(boots, _)| *boots == node.boots).map(|(_, at)| *at)
    }
}

#[cfg(test)]
mod tests {
    use photondb_cluster_state::{Incarnation, apply};

    use super::*;

    fn state() -> ClusterState {
        let mut state = ClusterState::at_birth();
        for id in 1..=3 {
            let name = format!("n{id}");
            let (tags, incarnation) = (Default::default(), Incarnation(1));
            let register =
                Command::RegisterNode { id: NodeId(id), name, tags, addresses: vec![], boots: 4, incarnation };
            apply(&mut state, &register).unwrap();
        }
        state
    }

    fn at(seconds: u64) -> Moment {
        Moment::from_start(Duration::from_secs(seconds))
    }

    fn look(heard: &mut Heard, state: &mut ClusterState, seconds: u64) -> Vec<Liveness> {
        for command in heard.judge(state, NodeId(1), at(seconds), Some(Duration::from_secs(100))) {
            apply(state, &command).unwrap();
            heard.note_applied(&command);
        }
        state.nodes().map(|node| node.liveness).collect()
    }

    #[test]
    fn a_disk_has_space_when_its_node_said_so_last_and_to_this_leader() {
        let (mut heard, node) = (Heard::default(), NodeId(2));
        heard.begin();
        assert_eq!(heard.has_space(node), None, "it has said nothing");
        heard.note_space(node, true);
        assert_eq!((heard.has_space(node), heard.has_space(NodeId(3))), (Some(true), None));
        heard.note_space(node, false);
        assert_eq!(heard.has_space(node), Some(false));
        heard.note_space(node, true);
        heard.begin();
        assert_eq!(heard.has_space(node), None, "it was said to an earlier leader");
    }

    #[test]
    fn a_node_is_about_to_stop_until_it_says_something_else_or_another_leads() {
        let (mut heard, state, node) = (Heard::default(), state(), NodeId(2));
        heard.begin();
        assert!(!heard.is_stopping(node));
        heard.note_stopping(node, true);
        heard.judge(&state, NodeId(1), at(1), None);
        assert!(heard.is_stopping(node) && !heard.is_stopping(NodeId(3)));
        // As it does after its next start.
        heard.note_stopping(node, false);
        assert!(!heard.is_stopping(node));
        heard.note_stopping(node, true);
        heard.begin();
        assert!(!heard.is_stopping(node), "it was said to an earlier leader");
    }

    #[test]
    fn of_a_node_that_has_gone_nothing_is_said_though_it_is_heard() {
        let (mut heard, mut state) = (Heard::default(), state());
        heard.begin();
        apply(&mut state, &Command::SetService { id: NodeId(2), service: Service::Leaving }).unwrap();
        apply(&mut state, &Command::NodeGone { id: NodeId(2) }).unwrap();
        heard.hear(NodeId(2), 4, at(1));
        assert_eq!(heard.judge(&state, NodeId(1), at(1), None), []);
        let gone = state.node(NodeId(2)).unwrap();
        assert_eq!(heard.silent(gone, at(3)), Duration::from_secs(2));
        // The next leader gives it the time it gives everybody.
        heard.begin();
        assert_eq!(heard.silent(gone, at(4)), Duration::MAX);
        assert_eq!(heard.judge(&state, NodeId(1), at(4), None), []);
        assert_eq!(heard.silent(gone, at(6)), Duration::from_secs(2));
    }

    #[test]
    fn a_node_that_is_registered_again_has_time_to_be_heard() {
        use Liveness::{Lost, Up};
        let (mut heard, mut state) = (Heard::default(), state());
        heard.begin();
        look(&mut heard, &mut state, 50);
        heard.hear(NodeId(2), 4, at(300));
        assert_eq!(look(&mut heard, &mut state, 300), [Up, Up, Lost]);
        let again = Command::RegisterNode {
            id: NodeId(3),
            name: "n3".to_owned(),
            tags: Default::default(),
            addresses: vec![],
            boots: 4,
            incarnation: Incarnation(1),
        };
        apply(&mut state, &again).unwrap();
        heard.hear(NodeId(2), 4, at(301));
        assert_eq!(look(&mut heard, &mut state, 301), [Up, Up, Up]);
        heard.hear(NodeId(2), 4, at(302));
        assert_eq!(look(&mut heard, &mut state, 302), [Up, Up, Up], "it was just registered");
    }

    #[test]
    fn what_could_not_be_proposed_is_given_again() {
        let (mut heard, mut state) = (Heard::default(), state());
        heard.begin();
        look(&mut heard, &mut state, 50);
        heard.hear(NodeId(2), 4, at(60));
        let is = |liveness| Command::SetLiveness { id: NodeId(3), boots: 4, liveness };
        let mut given = |state: &ClusterState, seconds| heard.judge(state, NodeId(1), at(seconds), None);
        assert_eq!(
            [60, 61].map(|seconds| given(&state, seconds)),
            [vec![is(Liveness::Down)], vec![is(Liveness::Down)]]
        );
        // The same of one that is heard again.
        apply(&mut state, &is(Liveness::Down)).unwrap();
        heard.hear(NodeId(3), 4, at(62));
        let mut given = |state: &ClusterState, seconds| heard.judge(state, NodeId(1), at(seconds), None);
        assert_eq!([62, 63].map(|seconds| given(&state, seconds)), [vec![is(Liveness::Up)], vec![is(Liveness::Up)]]);
    }

    #[test]
    fn a_silent_node_is_down_then_lost_and_up_when_it_speaks() {
        use Liveness::{Down, Lost, Up};
        let (mut heard, mut state) = (Heard::default(), state());
        heard.begin();
        assert_eq!(look(&mut heard, &mut state, 50), [Up, Up, Up]);
        heard.hear(NodeId(2), 4, at(55));
        assert_eq!(look(&mut heard, &mut state, 59), [Up, Up, Up], "a new leader gives everybody time");
        assert_eq!(look(&mut heard, &mut state, 60), [Up, Up, Down]);
        assert_eq!(look(&mut heard, &mut state, 65), [Up, Down, Down]);
        heard.hear(NodeId(2), 3, at(66));
        assert_eq!(look(&mut heard, &mut state, 66), [Up, Down, Down], "an earlier opening of it is not the node");
        heard.hear(NodeId(2), 4, at(67));
        assert_eq!(look(&mut heard, &mut state, 67), [Up, Up, Down]);
        assert_eq!(look(&mut heard, &mut state, 160), [Up, Down, Lost]);
        // The next leader knows nothing of anybody, and changes nothing before it does.
        heard.begin();
        assert_eq!(look(&mut heard, &mut state, 201), [Up, Down, Lost]);
        heard.hear(NodeId(3), 4, at(202));
        assert_eq!(look(&mut heard, &mut state, 202), [Up, Down, Up]);
    }
}
