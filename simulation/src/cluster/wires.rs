//! The links between machines and clients, each as the faults that last leave it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use turmoil::Sim;

use super::fault::Fault;
use super::harm::Harm;
use crate::peers::{Post, Way};

/// What passes on a link between two hosts, the first of which has the lower number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Link {
    /// Nothing from the first to the second.
    cut_there: bool,
    /// Nothing from the second to the first.
    cut_back: bool,
    /// It waits.
    held: bool,
    /// It takes so many milliseconds more from the first to the second.
    late_there: u64,
    /// From the second to the first.
    late_back: u64,
}

/// All links. Hosts are numbered: machines by their places, then clients.
pub(super) struct Wires {
    hosts: Vec<IpAddr>,
    machines: usize,
    links: BTreeMap<(usize, usize), Link>,
    /// Carries what machines say to each other, if connections do not.
    post: Option<Post>,
}

impl Wires {
    /// Whole links between `machines`.
    pub fn new(machines: Vec<IpAddr>, post: Option<Post>) -> Wires {
        Wires { machines: machines.len(), hosts: machines, links: BTreeMap::new(), post }
    }

    /// One more client.
    pub fn add_client(&mut self, address: IpAddr) {
        self.hosts.push(address);
    }

    /// How many clients there are.
    pub fn clients(&self) -> usize {
        self.hosts.len() - self.machines
    }

    /// Makes each link what `faults` leave of it.
    pub fn apply(&mut self, faults: &[Fault], sim: &Sim<'_>) {
        for one in 0..self.machines {
            for other in one + 1..self.hosts.len() {
                let wanted = faults
                    .iter()
                    .fold(Link::default(), |link, fault| link.with(fault, one, other, other < self.machines));
                let link = self.links.entry((one, other)).or_default();
                if *link != wanted {
                    change(sim, self.hosts[one], self.hosts[other], *link, wanted);
                    *link = wanted;
                    if let Some(post) = self.post.as_ref().filter(|_| other < self.machines) {
                        // What waits in a connection is lost where there is none.
                        post.set_way(
                            one,
                            other,
                            Way { cut: wanted.cut_there || wanted.held, slower_by: wanted.late_there * 1_000 },
                        );
                        post.set_way(
                            other,
                            one,
                            Way { cut: wanted.cut_back || wanted.held, slower_by: wanted.late_back * 1_000 },
                        );
                    }
                }
            }
        }
    }
}

impl Link {
    /// `between`: both are machines.
    fn with(mut self, fault: &Fault, one: usize, other: usize, between: bool) -> Link {
        let joins = |(a, b): (usize, usize)| (a, b) == (one, other) || (b, a) == (one, other);
        match *fault {
            Fault::Cut { between } if joins(between) => (self.cut_there, self.cut_back) = (true, true),
            Fault::Isolate { at } if at == one || at == other => (self.cut_there, self.cut_back) = (true, true),
            Fault::Sever { at } if between && (at == one || at == other) => {
                (self.cut_there, self.cut_back) = (true, true);
            }
            Fault::CutOneWay { from, to } => {
                self.cut_there |= (from, to) == (one, other);
                self.cut_back |= (from, to) == (other, one);
            }
            Fault::Hold { between } => self.held |= joins(between),
            Fault::Harm(Harm::HearsLate { at, millis }) => {
                self.late_there += if at == other { millis } else { 0 };
                self.late_back += if at == one { millis } else { 0 };
            }
            _ => {}
        }
        self
    }
}

fn change(sim: &Sim<'_>, one: IpAddr, other: IpAddr, before: Link, wanted: Link) {
    // What was held arrives, unless a cut has swallowed it meanwhile.
    if before.held {
        sim.release(one, other);
    }
    sim.repair(one, other);
    match wanted {
        Link { cut_there: true, cut_back: true, .. } => sim.partition(one, other),
        Link { cut_there: true, .. } => sim.partition_oneway(one, other),
        Link { cut_back: true, .. } => sim.partition_oneway(other, one),
        Link { held: true, .. } => sim.hold(one, other),
        _ => {}
    }
}
