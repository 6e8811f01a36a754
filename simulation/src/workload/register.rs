//! Inserts, replacements, updates and deletes of a few documents by several clients, and reads.

use std::rc::Rc;

use photondb_runtime::task::JoinHandle;

use crate::random::Random;
use crate::site::Site;
use crate::workload::{read_or_write, start_clients};

/// Starts the clients.
pub fn start(site: &Rc<Site>, random: &mut Random) -> Vec<JoinHandle<()>> {
    start_clients(site, random, read_or_write)
}
