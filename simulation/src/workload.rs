//! What clients do. A workload starts tasks and never judges: that is for the checkers.

pub mod cluster;
mod counter;
mod feed_follows;
mod index_agrees;
mod register;

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use photondb_runtime::task::{self, JoinHandle};
use tokio::time::sleep;

use crate::history::{Action, Key};
use crate::random::Random;
use crate::site::Site;

/// What an answer takes at least.
const ROUND_TRIP: Duration = Duration::from_millis(1);

/// A kind of load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// Every kind of write on a few documents.
    Register,
    /// Everybody increments one document.
    Counter,
    /// Many documents under indexes that come and go.
    IndexAgrees,
    /// Writers, and others who listen.
    FeedFollows,
}

impl Workload {
    /// All of them.
    pub const ALL: [Workload; 4] =
        [Workload::Register, Workload::Counter, Workload::IndexAgrees, Workload::FeedFollows];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Workload::Register => "register",
            Workload::Counter => "counter",
            Workload::IndexAgrees => "index_agrees",
            Workload::FeedFollows => "feed_follows",
        }
    }

    /// The workload of this name.
    pub fn named(name: &str) -> Option<Workload> {
        Workload::ALL.into_iter().find(|workload| workload.name() == name)
    }

    /// Starts the clients of one life. They end by themselves when the site closes.
    pub fn start(self, site: &Rc<Site>, random: &mut Random) -> Vec<JoinHandle<()>> {
        match self {
            Workload::Register => register::start(site, random),
            Workload::Counter => counter::start(site, random),
            Workload::IndexAgrees => index_agrees::start(site, random),
            Workload::FeedFollows => feed_follows::start(site, random),
        }
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Starts the plan's clients; each asks what `choose` says, thinks, and asks again.
fn start_clients(
    site: &Rc<Site>,
    random: &mut Random,
    choose: impl Fn(&Site, &mut Random) -> Vec<(Key, Action)> + Copy + 'static,
) -> Vec<JoinHandle<()>> {
    (1..=site.plan.clients)
        .map(|client| {
            let (site, mut random) = (site.clone(), random.fork());
            task::spawn_local(async move {
                while site.is_open() {
                    sleep(random.millis(site.plan.think_ms.clone())).await;
                    let actions = choose(&site, &mut random);
                    let asked = site.clock.now();
                    site.request(client, &actions).await;
                    if site.clock.now() == asked {
                        // Not even the fastest answer comes in no time; without this, time would stand still when every
                        // request is refused at once.
                        sleep(ROUND_TRIP).await;
                    }
                    if site.is_dead() {
                        // Time passes only while everybody waits.
                        std::future::pending::<()>().await;
                    }
                }
            })
        })
        .collect()
}

/// A read of one document, or writes of up to three in one request.
fn read_or_write(site: &Site, random: &mut Random) -> Vec<(Key, Action)> {
    if random.once_in(4) {
        return vec![(random.below(site.plan.keys), Action::Read)];
    }
    let writes = random.pick(&[1, 1, 1, 3]);
    let mut history = site.history.borrow_mut();
    (0..writes)
        .map(|_| {
            let action = match random.below(10) {
                0..3 => Action::Insert(history.fresh_value()),
                3..5 => Action::Put(history.fresh_value()),
                5..7 => Action::Update(history.fresh_value()),
                7 => Action::Increment,
                _ => Action::Delete,
            };
            (random.below(site.plan.keys), action)
        })
        .collect()
}
