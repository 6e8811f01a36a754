//! One document that everybody increments: each increment rests on the one before, whoever asked for it.

use std::rc::Rc;

use photondb_runtime::task::JoinHandle;

use crate::history::Action;
use crate::random::Random;
use crate::site::Site;
use crate::workload::start_clients;

/// Starts the clients.
pub fn start(site: &Rc<Site>, random: &mut Random) -> Vec<JoinHandle<()>> {
    start_clients(site, random, |site, random| match random.below(20) {
        0 => vec![(0, Action::Insert(site.history.borrow_mut().fresh_value()))],
        1..4 => vec![(0, Action::Read)],
        4 => vec![(0, Action::Increment), (0, Action::Increment)],
        _ => vec![(0, Action::Increment)],
    })
}
