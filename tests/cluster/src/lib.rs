//! Real processes, started and killed for real. [`Node`] is one `photondb serve` on free ports of the loopback and a
//! temporary directory; [`Connection`] is a plain client of the driver port; [`terms`] writes the messages that many
//! suites send; [`documents`] draws documents; [`Web`] is a server that answers `http` as a test wants; [`certificates`] are
//! signed by authorities of a test's own, and [`Encrypted`] is a client that looks at them. [`Cluster`] is several nodes with a
//! [`Network`] between them that can be made bad; [`Load`] is clients, and the judgement of what they heard.

pub mod certificates;
mod cluster;
mod connection;
pub mod documents;
mod encrypted;
mod follower;
pub mod load;
mod memory_limit;
mod network;
mod node;
mod ports;
pub mod secret;
mod small_disk;
pub mod terms;
mod web;

pub use cluster::Cluster;
pub use connection::{Connection, JSON, NON_EXISTENCE, V0_4};
pub use encrypted::Encrypted;
pub use follower::Follower;
pub use load::{Load, Shape};
pub use memory_limit::MemoryLimit;
pub use network::{Network, Weather};
pub use node::{Node, Ports, photonctl, photondb, program, text};
pub use ports::free_port;
pub use small_disk::SmallDisk;
pub use web::{Asked, Web, reply, reply_json};

/// Whether the long versions of the suites were asked for.
pub fn full() -> bool {
    std::env::var("PHOTONDB_TESTS").is_ok_and(|value| value == "full")
}

/// The seed of a random suite: `PHOTONDB_SEED`, or one drawn from the clock; printed, so that a failure can be repeated.
pub fn seed(suite: &str) -> u64 {
    let drawn =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(1, |age| age.as_nanos() as u64);
    let seed = std::env::var("PHOTONDB_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(drawn);
    println!("{suite}: PHOTONDB_SEED={seed}");
    seed
}

/// A small generator of numbers (splitmix64): the same seed gives the same numbers on every machine.
pub struct Numbers(pub u64);

impl Numbers {
    /// The next number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound.max(1)
    }
}
