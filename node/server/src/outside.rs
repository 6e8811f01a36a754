//! What a node takes from outside: time, randomness, threads, network and disk. The real ones, or those of a simulator.

use std::sync::Arc;

use photondb_consensus::{Groups, OnFatal, Options as RaftOptions};
use photondb_runtime::clock::Clock;
use photondb_runtime::network::Net;
use photondb_runtime::peers::{Peer, Peers};
use photondb_runtime::random::Random;
use photondb_runtime::system::{SystemClock, SystemNet, SystemRandom, SystemThreads};
use photondb_runtime::task::Threads;
use photondb_storage::disk::Disk;
use photondb_storage::{Engine, EngineOptions};

use crate::services::Services;

/// The outside of one life of a node.
#[derive(Clone)]
pub struct Outside {
    /// Both clocks.
    pub clock: Arc<dyn Clock>,
    /// Ids, salts, nonces and jitter.
    pub random: Arc<dyn Random>,
    /// Listens and connects.
    pub net: Arc<dyn Net>,
    /// Starts threads.
    pub threads: Arc<dyn Threads>,
    /// Stands in place of the configured directory.
    pub disk: Option<Arc<dyn Disk>>,
    /// Stands in place of storage's options, which follow from the configuration.
    pub storage: Option<EngineOptions>,
    /// Timers of Raft groups, and where their snapshots are read.
    pub raft: RaftOptions,
    /// Stands in place of gRPC between nodes.
    pub peers: Option<Arc<dyn Neighbours>>,
    /// Told of storage and groups as soon as they are there.
    pub began: Option<Began>,
    /// Ends the node at once, without any cleaning up.
    pub fatal: OnFatal,
    /// Told, with a sentence for people, that the cluster has let the node go for good: it is to be stopped.
    pub left: OnLeft,
}

/// Is told that a node has left its cluster.
pub type OnLeft = Arc<dyn Fn(String) + Send + Sync>;

/// Is told of storage and groups.
pub type Began = Arc<dyn Fn(&Engine, &Groups) + Send + Sync>;

/// Other nodes, both ways.
pub trait Neighbours: Send + Sync {
    /// The node, which is `me`, is there, and answers with `services`. Gives the way to the others. Called on a thread that
    /// runs the node's tasks.
    fn meet(&self, me: Peer, services: Arc<Services>) -> Arc<dyn Peers>;
}

impl Outside {
    /// This machine.
    pub fn system() -> Outside {
        Outside {
            clock: Arc::new(SystemClock::new()),
            random: Arc::new(SystemRandom),
            net: Arc::new(SystemNet),
            threads: Arc::new(SystemThreads),
            disk: None,
            storage: None,
            raft: RaftOptions::default(),
            peers: None,
            began: None,
            fatal: Arc::new(end_process),
            left: Arc::new(|reason| tracing::warn!("{reason}")),
        }
    }
}

/// Something that the node cannot do without has failed. Continuing could acknowledge what is not durable.
fn end_process(reason: String) {
    tracing::error!(
        "{reason}; the process ends now. Nothing acknowledged is lost. Check the disk, then start it again"
    );
    std::process::abort();
}
