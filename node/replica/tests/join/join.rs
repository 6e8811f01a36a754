//! Two shards of a table that are joined step by step, as leaders and nodes would do it.

use std::sync::Arc;

use bytes::Bytes;
use photondb_cluster_state::{Attempt, Command as StateCommand, Reached, Shard as StoredShard};
use photondb_proto::{Epoch, ShardId};
use photondb_replica::Replica;
use photondb_shard::format::encode_command;
use photondb_shard::{Command, Join};

use crate::cluster::{Cluster, SPREAD};

/// The shard at `place` is joined to the one before it.
pub struct Joining {
    node: usize,
    left: ShardId,
    pub right: ShardId,
}

impl Joining {
    /// Of the shards of the table as they are now.
    pub fn of(cluster: &Cluster, place: usize) -> Joining {
        let shards = &cluster.state.table(SPREAD).expect("is there").shards;
        let (left, right) = (&shards[place - 1], &shards[place]);
        let node = left.members[0].node;
        assert_eq!(node, right.members[0].node, "they are side by side");
        let node = cluster.nodes.iter().position(|other| other.id == node).expect("runs");
        Joining { node, left: left.id, right: right.id }
    }

    /// All steps.
    pub fn run(&self, cluster: &mut Cluster) {
        self.freeze(cluster);
        self.join(cluster);
        self.report(cluster);
    }

    /// From here on the right one answers nothing, and the state has no way back.
    pub fn freeze(&self, cluster: &mut Cluster) {
        for id in [self.left, self.right] {
            let shard = stored(cluster, id);
            let at = Reached { term: 1, index: shard.reached.map_or(1, |reached| reached.index + 1) };
            let (voters, learners, generation) = (shard.wanted_voters(), shard.wanted_learners(), shard.generation);
            cluster.change(&[StateCommand::MembersReached { shard: id, generation, at, voters, learners }]);
        }
        let generation = stored(cluster, self.right).generation;
        cluster.change(&[StateCommand::JoinShards { table: SPREAD, shards: vec![(self.right, generation)] }]);
        let [generation, left_generation] = [self.right, self.left].map(|id| stored(cluster, id).generation);
        let left = self.left;
        cluster.change(&[StateCommand::BeginJoin { shard: self.right, generation, left, left_generation }]);
        self.propose(cluster, self.right, &Command::Freeze { attempt: self.attempt(cluster).0 });
        let at = Reached { term: 1, index: 1 };
        cluster.change(&[StateCommand::ShardFrozen { shard: self.right, attempt: self.attempt(cluster), at }]);
    }

    /// From here on the left one has the keys, and the state does not say so yet.
    pub fn join(&self, cluster: &Cluster) {
        let (left, right) = (self.replica(cluster, self.left), self.replica(cluster, self.right));
        let engine = &cluster.nodes[self.node].engine;
        while !left.shard().adopt(right.shard(), self.right, engine).expect("adopts") {}
        let ward = left.shard().wards()[0];
        let (range, right_range) = (left.range(), right.range());
        let (right, end, right_epoch, epoch) = (self.right, ward.position, ward.epoch, left.shard().view().epoch);
        self.propose(cluster, self.left, &Command::Join(Join { right, end, right_epoch, epoch, range, right_range }));
    }

    /// The state says so.
    pub fn report(&self, cluster: &mut Cluster) {
        let epoch = Epoch(self.replica(cluster, self.left).shard().view().epoch.0 + 1);
        let (shard, into, attempt) = (self.right, self.left, self.attempt(cluster));
        cluster.change(&[StateCommand::ShardJoined { shard, into, attempt, epoch }]);
    }

    /// The changes of the right one are kept no more.
    pub fn retire(&self, cluster: &mut Cluster) {
        cluster.change(&[StateCommand::ShardRetired { shard: self.right }]);
    }

    fn attempt(&self, cluster: &Cluster) -> Attempt {
        stored(cluster, self.right).attempt
    }

    fn replica(&self, cluster: &Cluster, id: ShardId) -> Arc<Replica> {
        let table = cluster.nodes[self.node].replicas.table(SPREAD).expect("runs");
        table.shards().iter().find(|replica| replica.id == id).expect("runs").clone()
    }

    fn propose(&self, cluster: &Cluster, id: ShardId, command: &Command) {
        let group = self.replica(cluster, id).group().clone();
        let command: Bytes = encode_command(command);
        let term = group.led().expect("it is alone in its group");
        let outcome =
            cluster.nodes[self.node].raft.handle().block_on(async move { group.propose(term, command).await });
        let outcome = outcome.expect("the executor runs").expect("is applied");
        assert_eq!(
            photondb_shard::format::decode_outcome(&outcome).expect("decodes"),
            photondb_shard::Outcome::Applied
        );
    }
}

fn stored(cluster: &Cluster, id: ShardId) -> StoredShard {
    cluster.state.shard(id).expect("is there").1.clone()
}
