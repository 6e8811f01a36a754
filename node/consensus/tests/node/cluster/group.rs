//! What a test does with the group of a cluster.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use photondb_consensus::{Term, Transfer};

use super::Cluster;

impl Cluster {
    /// Who leads and may answer reads, by its own word.
    pub fn leaders(&self) -> Vec<(u64, Term)> {
        let lives = self.places.iter().filter_map(|(node, place)| Some((*node, place.life.as_ref()?.group.as_ref()?)));
        lives.filter_map(|(node, group)| Some((node, group.leading()?))).collect()
    }

    /// Waits until one of `nodes` leads under a lease, and gives it.
    pub fn leader_among(&mut self, nodes: &[u64]) -> (u64, Term) {
        let leads = |cluster: &Cluster| cluster.leaders().into_iter().find(|(node, _)| nodes.contains(node));
        self.run_until(Duration::from_secs(10), |cluster| leads(cluster).is_some()).expect("somebody leads");
        leads(self).unwrap()
    }

    pub fn leader(&mut self) -> (u64, Term) {
        let all: Vec<u64> = self.places.keys().copied().collect();
        self.leader_among(&all)
    }

    /// Proposes at a node and waits for the outcome.
    pub fn propose(&mut self, node: u64, command: impl Into<Bytes>) -> Bytes {
        let group = self.group(node);
        let term = group.led().expect("it leads");
        self.wait(group.propose(term, command.into())).unwrap()
    }

    /// Proposes `count` numbered commands, several at a time.
    pub fn propose_many(&mut self, node: u64, name: &str, count: usize) {
        let group = self.group(node);
        let term = group.led().expect("it leads");
        let proposed: Vec<_> = (0..count).map(|number| group.propose(term, format!("{name}{number}").into())).collect();
        for outcome in proposed {
            self.wait(outcome).unwrap();
        }
    }

    /// What a node has applied, as texts.
    pub fn applied(&self, node: u64) -> Vec<String> {
        let commands = self.machine(node).commands();
        commands.iter().map(|command| String::from_utf8(command.to_vec()).unwrap()).collect()
    }

    /// Waits until these nodes have applied the same, and as much as the first.
    pub fn converge(&mut self, nodes: &[u64]) {
        let all: Vec<u64> = nodes.to_vec();
        let same = |cluster: &Cluster| all.windows(2).all(|pair| cluster.applied(pair[0]) == cluster.applied(pair[1]));
        let took = self.run_until(Duration::from_secs(20), same);
        let found: Vec<_> = nodes.iter().map(|node| self.applied(*node).len()).collect();
        assert!(
            took.is_some(),
            "{found:?} commands, {:?}",
            nodes.iter().map(|node| self.group(*node).observe()).collect::<Vec<_>>()
        );
    }

    /// A checkpoint of the node's state, and the purge behind it.
    pub fn checkpoint(&mut self, node: u64) {
        let (wal, machine, group) = (self.wal(node), self.machine(node), self.group(node));
        let (done, wait) = tokio::sync::oneshot::channel();
        wal.barrier(Box::new(move |result| drop(done.send(result))));
        self.wait(wait).unwrap().unwrap();
        machine.take_checkpoint();
        self.wait(group.purge_behind()).unwrap();
        // The core does it when nothing that it is sending is concerned: to a member that is down, between two attempts.
        self.run(Duration::from_millis(500));
    }

    /// The same, unless the disk fails meanwhile.
    pub fn try_checkpoint(&mut self, node: u64) {
        let (wal, machine, group) = (self.wal(node), self.machine(node), self.group(node));
        let (done, wait) = tokio::sync::oneshot::channel();
        wal.barrier(Box::new(move |result| drop(done.send(result))));
        if matches!(self.within(Duration::from_millis(500), wait), Some(Ok(Ok(())))) {
            machine.take_checkpoint();
            let _ = self.within(Duration::from_millis(500), group.purge_behind());
        }
    }

    pub fn assert_healthy(&self) {
        for (node, place) in &self.places {
            if let Some(life) = &place.life {
                assert!(life.fatal.lock().is_empty(), "node {node}: {:?}", life.fatal.lock());
            }
        }
    }

    /// The snapshots that the node sends now.
    pub fn transfers(&self, node: u64) -> Vec<Transfer> {
        self.groups(node).transfers()
    }

    pub fn snapshots_sent(&self) -> u64 {
        self.network.bulk.load(Ordering::Relaxed)
    }
}
