//! The links between machines and clients, each as the faults that last leave it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use super::fault::Fault;
use super::harm::Harm;
use crate::hosts::{Hosts, Link};
use crate::peers::{Post, Way};

/// All links. Hosts are numbered: machines by their places, then clients.
pub(super) struct Wires {
    hosts: Vec<IpAddr>,
    machines: usize,
    links: BTreeMap<(usize, usize), Link>,
    /// Between which machines messages take longer, and by how many microseconds.
    slower_by: BTreeMap<(usize, usize), u64>,
    /// Carries what machines say to each other, if connections do not.
    post: Option<Post>,
}

impl Wires {
    /// Whole links between `machines`.
    pub fn new(machines: Vec<IpAddr>, post: Option<Post>) -> Wires {
        Wires { machines: machines.len(), hosts: machines, links: BTreeMap::new(), slower_by: BTreeMap::new(), post }
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
    pub fn apply(&mut self, faults: &[Fault], hosts: &Hosts) {
        for one in 0..self.machines {
            for other in one + 1..self.hosts.len() {
                let between = other < self.machines;
                let wanted = faults.iter().fold(Link::default(), |link, fault| with(link, fault, one, other, between));
                let link = self.links.entry((one, other)).or_default();
                if *link != wanted {
                    hosts.set_link(self.hosts[one], self.hosts[other], *link, wanted);
                    *link = wanted;
                    self.set_ways(one, other);
                }
            }
        }
    }

    /// Messages between the two machines take so much longer.
    pub fn slow(&mut self, (one, other): (usize, usize), by: Duration) {
        let (one, other) = (one.min(other), one.max(other));
        self.slower_by.insert((one, other), u64::try_from(by.as_micros()).unwrap_or(u64::MAX));
        self.set_ways(one, other);
    }

    fn set_ways(&self, one: usize, other: usize) {
        let Some(post) = self.post.as_ref().filter(|_| other < self.machines) else { return };
        let link = self.links.get(&(one, other)).copied().unwrap_or_default();
        let slower_by = self.slower_by.get(&(one, other)).copied().unwrap_or_default();
        // What waits in a connection is lost where there is none.
        let (there, back) = (slower_by + link.late_there * 1_000, slower_by + link.late_back * 1_000);
        post.set_way(one, other, Way { cut: link.cut_there || link.held, slower_by: there });
        post.set_way(other, one, Way { cut: link.cut_back || link.held, slower_by: back });
    }
}

/// What `fault` leaves of `link` between the hosts `one` and `other`; `between`: both are machines.
fn with(mut link: Link, fault: &Fault, one: usize, other: usize, between: bool) -> Link {
    let joins = |(a, b): (usize, usize)| (a, b) == (one, other) || (b, a) == (one, other);
    match *fault {
        Fault::Cut { between } if joins(between) => (link.cut_there, link.cut_back) = (true, true),
        Fault::Isolate { at } if at == one || at == other => (link.cut_there, link.cut_back) = (true, true),
        Fault::Sever { at } if between && (at == one || at == other) => {
            (link.cut_there, link.cut_back) = (true, true);
        }
        Fault::CutOneWay { from, to } => {
            link.cut_there |= (from, to) == (one, other);
            link.cut_back |= (from, to) == (other, one);
        }
        Fault::Hold { between } => link.held |= joins(between),
        Fault::Harm(Harm::HearsLate { at, millis }) => {
            link.late_there += if at == other { millis } else { 0 };
            link.late_back += if at == one { millis } else { 0 };
        }
        _ => {}
    }
    link
}
