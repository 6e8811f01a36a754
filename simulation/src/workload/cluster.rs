//! What clients of a cluster do, through ReQL and through any node. A workload makes what it needs, lets clients take one
//! step after another, and in the end reads what there is; what it saw goes to a checker, one for each property.
//!
//! Clients take steps side by side. A workload keeps what they saw in itself, and never lends it across an `await`.

pub mod bank;
pub mod churn;
pub mod counter;
pub mod feed_replay;
pub mod index_moves;
pub mod insisting;
pub mod limits;
pub mod list_append;
pub mod random_reql;
pub mod reconfigure;
pub mod register;
pub mod unique_inserts;

use std::cell::RefCell;

use photondb_runtime::network::LocalFuture;

use crate::checker::Violation;
use crate::client::{Client, Failure};
use crate::random::Random;

/// A kind of load, with what was seen under it.
pub trait ClusterWorkload {
    /// Its name on the command line.
    fn name(&self) -> &'static str;

    /// Makes what the clients need. Errors: that took too long, or the cluster refuses.
    fn setup<'a>(&'a self, client: &'a mut Client) -> LocalFuture<'a, Result<(), Failure>>;

    /// One step of one client: a query or a few. Steps of one client come one after the other.
    fn step<'a>(&'a self, client: &'a mut Client, random: &'a mut Random) -> LocalFuture<'a, ()>;

    /// Goes on for a moment with what a client has open, which has stopped: called again and again until `finish` is done. What
    /// comes over a connection reaches only who opened it.
    fn linger<'a>(&'a self, _client: &'a mut Client) -> LocalFuture<'a, ()> {
        Box::pin(std::future::ready(()))
    }

    /// Clients have stopped and faults have healed: reads what there is, as one more step. Errors: it could not be read for
    /// as long as one may wait.
    fn finish<'a>(&'a self, client: &'a mut Client) -> LocalFuture<'a, Result<(), Failure>>;

    /// How often it has changed by itself how its tables lie.
    fn reconfigured(&self) -> u64 {
        0
    }

    /// Checks everything seen so far, and takes out what was found at once. `undecided` counts checks that gave up.
    fn check(&self, undecided: &mut u64) -> Vec<Violation>;
}

/// Violations that clients met under way.
#[derive(Debug, Default)]
pub struct Found(RefCell<Vec<Violation>>);

impl Found {
    /// Keeps what a check found.
    pub fn take(&self, result: Result<(), Violation>) {
        if let Err(violation) = result {
            self.0.borrow_mut().push(violation);
        }
    }

    /// An answer that no right server gives.
    pub fn strange(&self, what: impl std::fmt::Display) {
        let evidence = what.to_string();
        self.take(Err(Violation { property: "answers make sense", evidence }));
    }

    /// Everything so far.
    pub fn all(&self) -> Vec<Violation> {
        self.0.borrow().clone()
    }
}

/// All of them, made for `clients` clients with draws from `random`. With `arranged` nodes have zones, and some do more than they always did.
pub fn all(
    clients: u64,
    nodes: u64,
    replicas_min: u64,
    arranged: bool,
    random: &mut Random,
) -> Vec<Box<dyn ClusterWorkload>> {
    vec![
        Box::new(register::Register::new(random.within(1..=5))),
        Box::new(list_append::ListAppend::new(random.within(1..=2))),
        Box::new(counter::Counter::default()),
        Box::new(bank::Bank::new(random.within(2..=6))),
        Box::new(unique_inserts::UniqueInserts::new(random.within(4..=40))),
        Box::new(index_moves::IndexMoves::new(random.within(5..=60))),
        Box::new(feed_replay::FeedReplay::new(random.within(2..=12), clients.div_ceil(4), arranged)),
        Box::new(churn::Churn::default()),
        Box::new(reconfigure::Reconfigure::new(nodes, replicas_min.min(nodes), clients)),
        Box::new(random_reql::RandomReql::default()),
    ]
}

#[cfg(test)]
pub(crate) mod rehearsal;
#[cfg(test)]
mod tests;
