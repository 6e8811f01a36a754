//! Harm as it strikes: what may be taken from whom, and who mends what the product leaves to people.

use std::collections::BTreeMap;
use std::time::Duration;

use photondb_cluster_state::ClusterState;
use photondb_controller::{CLUSTER_STATE_SET, state_on_disk};
use photondb_proto::{GroupId, MemberId as ProductMember, NodeId};
use photondb_storage::disk::simulated::{DiskImage, Fault as DiskFault, SimulatedDisk};
use photondb_storage::superblock::SUPERBLOCK_FILE;
use photondb_storage::wal::IN_PAGES;

use super::event::{Event, Events};
use super::fault::{Fault, Place, Timed};
use super::harm::{Call, Harm, Struck};
use super::observe::{Living, Observer};
use super::ward::Ward;
use super::{Cluster, Power, rare};
use crate::machine::End;
use crate::observation::Observation;
use crate::random::Random;

/// Syncs of the log after which what was there before is known to be durable, by what is durable itself.
const SYNCS_UNTIL_KNOWN: u64 = 3;

/// How often a process may end because of damage before its machine is given up: each time it may find another part.
const ENDS_MAX: u32 = 6;

/// The page file.
const PAGES: &str = "pages";

/// Bytes of the header of a page.
const PAGE_HEADER_BYTES: usize = 40;

/// What a segment of the log begins with.
const LOG_HEADER_BYTES: u64 = 4096;

/// Machines by what has befallen them.
pub(super) struct Afflictions {
    machines: Vec<Affliction>,
    ward: Ward,
    events: Events,
    /// Strikes when it happens, and lasts so long then.
    armed: Vec<(Event, Struck, Duration)>,
    rotting: Vec<Rotting>,
    /// Whether any disk has lost anything.
    lost: bool,
}

#[derive(Default)]
struct Affliction {
    /// The disk as it was in the life of that number.
    image: Option<(u64, DiskImage)>,
    /// The disk is an older one.
    is_older: bool,
    /// Bytes of it may be no more what was written.
    is_rotten: bool,
    /// How often calls had failed when one more was to.
    strikes: Option<u64>,
    /// How often a process ended by itself on a rotten disk.
    ends: u32,
    /// The disk was empty, and nobody has seen the node vote since.
    is_new: bool,
    /// Members that are in doubt here, and have no successor yet; whether because of a page.
    doubted: BTreeMap<ProductMember, bool>,
}

/// Rot that waits until what it strikes is known to be durable.
struct Rotting {
    at: Place,
    /// The segment that was being written, and how much of it was.
    segment: String,
    written: u64,
    syncs: u64,
    draw: u64,
}

impl Afflictions {
    pub fn new(machines: usize) -> Afflictions {
        Afflictions {
            machines: (0..machines).map(|_| Affliction::default()).collect(),
            ward: Ward::default(),
            events: Events::default(),
            armed: Vec::new(),
            rotting: Vec::new(),
            lost: false,
        }
    }

    /// Nothing strikes any more that has not struck yet.
    pub fn heal(&mut self) {
        self.armed.clear();
        self.rotting.clear();
    }

    /// Another process begins: what was to fail was in the last one.
    pub fn begin(&mut self, at: Place) {
        self.machines[at].strikes = None;
        self.rotting.retain(|rotting| rotting.at != at);
    }

    /// Who was seen there.
    pub fn nodes_at(&self, place: Place) -> Vec<NodeId> {
        self.ward.nodes_at(place)
    }

    /// Where the node was seen.
    pub fn place_of(&self, node: NodeId) -> Option<Place> {
        self.ward.place_of(node)
    }

    /// Whether the offline check of the disk may find something.
    pub fn is_rotten(&self, at: Place) -> bool {
        self.machines[at].is_rotten
    }

    /// Whether it is no wonder that a process has ended by itself.
    pub fn explain(&self, at: Place, disk: &SimulatedDisk) -> bool {
        let machine = &self.machines[at];
        let failed = machine.strikes.is_some_and(|before| disk.strikes() > before);
        failed || machine.is_older || machine.is_rotten
    }
}

impl Cluster {
    pub(super) fn harm(&mut self, harm: Harm, lasts: Duration) {
        let until = self.now() + lasts;
        let strikes = match harm {
            Harm::Pause { at } => self.pause(at, until),
            Harm::ClockJumps { at, seconds } => {
                self.machines[at].jump(seconds);
                true
            }
            Harm::WipedDisk { at } => self.lose_disk(at, until, |cluster| cluster.wipe(at)),
            Harm::DiskCopied { at } => self.copy_disk(at),
            Harm::OlderDisk { at } => self.set_back(at, until),
            Harm::RotInLog { at, draw } => self.let_log_rot(at, draw),
            Harm::RotInPages { at, draw } => {
                self.machines[at].disk().bytes_of(PAGES).is_some() && self.may_lose(at) && self.let_pages_rot(at, draw)
            }
            Harm::LostWrite { at, draw } => self.lose_write(at, draw),
            Harm::FailedCall { at, call, after } => self.fail_call(at, call, after),
            Harm::AtLeader(what) => self.strike_leader(what, lasts),
            Harm::HearsLate { .. } => self.let_hear_late(harm, until),
            Harm::When { event, then } => {
                self.afflictions.armed.push((event, then, lasts));
                true
            }
        };
        let spared = if strikes { "" } else { ", which spares it" };
        self.trace.event(format_args!("harm: {harm:?} for {lasts:?}{spared}"));
        if strikes {
            *self.struck.entry(harm.kind().to_owned()).or_default() += 1;
        }
    }

    fn pause(&mut self, at: Place, until: Duration) -> bool {
        let runs = self.power[at] == Power::On;
        if runs {
            self.hosts.pause(super::address(at));
            self.lasting.push((until, Fault::Harm(Harm::Pause { at })));
        }
        runs
    }

    /// The cluster state as living nodes know it.
    fn states(&self) -> Vec<ClusterState> {
        let living = (0..self.machines.len()).filter(|at| self.power[*at] == Power::On);
        let observers = living.filter_map(|at| self.observers[at].as_ref());
        let engines = observers.map(|observer| &observer.living().engine);
        let begun = engines.filter(|engine| engine.tree_set(CLUSTER_STATE_SET).is_some());
        begun.filter_map(|engine| state_on_disk(engine).ok()).map(|state| ClusterState::clone(&state)).collect()
    }

    pub(super) fn look_at_members(&mut self) {
        for at in 0..self.machines.len() {
            if let Some(observer) = self.observers[at].as_ref().filter(|_| self.power[at] == Power::On) {
                self.afflictions.ward.look(at, observer.living());
            }
        }
    }

    /// What a process knew of its groups counts still: a disk that nobody looks at any more may be the only one that has them.
    pub(super) fn forget_process(&mut self, at: Place) {
        if let Some(observer) = self.observers[at].take() {
            self.afflictions.ward.look(at, observer.living());
        }
    }

    /// Whether a disk may lose what it holds; it counts as lost from here on if so.
    fn may_lose(&mut self, at: Place) -> bool {
        let states = self.states();
        self.look_at_members();
        let may = self.afflictions.ward.may_lose(at, &states);
        if may {
            self.afflictions.ward.lose(at, &states);
            self.afflictions.lost = true;
        }
        may
    }

    fn lose_disk(&mut self, at: Place, until: Duration, how: impl FnOnce(&mut Self)) -> bool {
        let may = self.may_lose(at);
        if may {
            let states = self.states();
            self.afflictions.ward.give_up(at, &states);
            self.lose_power(at, until);
            how(self);
        }
        may
    }

    fn wipe(&mut self, at: Place) {
        self.machines[at].wipe();
        self.afflictions.machines[at] = Affliction { is_new: true, ..Affliction::default() };
    }

    /// Of a node that has a place in a cluster of several: before, nobody could tell an older disk from the newest.
    fn copy_disk(&mut self, at: Place) -> bool {
        let Some(boot) = self.registered(at) else { return false };
        self.afflictions.machines[at].image = Some((boot, self.machines[at].disk().image()));
        true
    }

    /// The life of the node at the place, when it runs and is registered as one of at least three.
    fn registered(&self, at: Place) -> Option<u64> {
        let observer = self.observers[at].as_ref().filter(|_| self.power[at] == Power::On)?;
        let identity = observer.living().engine.identity();
        let meta = observer.living().groups.find(GroupId::META)?;
        let several = meta.committed_membership().all_voters().len() > 2;
        let state = state_on_disk(&observer.living().engine).ok()?;
        let node = state.node(NodeId(identity.node?))?;
        (several && node.boots == identity.boot && !self.afflictions.machines[at].is_older).then_some(identity.boot)
    }

    /// Whether so many others know that life of the node at the place that those who do not are no majority with it: they would take
    /// an older disk for the newest, as after a restart of everybody (2676240392).
    fn is_known_elsewhere(&self, at: Place, boot: u64) -> bool {
        let node = self.observers[at].as_ref().and_then(|observer| observer.living().engine.identity().node);
        let knows = |other: &Place| {
            let observer = self.observers[*other].as_ref().filter(|_| self.power[*other] == Power::On);
            let state = observer.and_then(|observer| state_on_disk(&observer.living().engine).ok());
            state.zip(node).is_some_and(|(state, node)| state.node(NodeId(node)).is_some_and(|node| node.boots >= boot))
        };
        let others = (0..self.machines.len()).filter(|other| *other != at);
        let ignorant = others.filter(|other| !knows(other)).count();
        let Some(living) = self.observers[at].as_ref().map(|observer| observer.living()) else { return false };
        let meta = living.groups.find(GroupId::META);
        let voters = meta.map_or(0, |meta| meta.committed_membership().all_voters().len());
        2 * (ignorant + 1) <= voters
    }

    fn set_back(&mut self, at: Place, until: Duration) -> bool {
        let Some(newest) = self.registered(at) else { return false };
        let Some((boot, image)) = self.afflictions.machines[at].image.clone() else { return false };
        // Within one life nobody knows how far it has come.
        boot < newest
            && self.is_known_elsewhere(at, newest)
            && self.lose_disk(at, until, |cluster| {
                cluster.machines[at].disk().restore(&image);
                cluster.afflictions.machines[at].is_older = true;
            })
    }

    fn let_log_rot(&mut self, at: Place, draw: u64) -> bool {
        let Some(observer) = self.observers[at].as_ref().filter(|_| self.power[at] == Power::On) else { return false };
        let syncs = observer.living().engine.wal().metrics().syncs;
        // Later ones were made ahead of need: when they are written to, this one has grown.
        let disk = self.machines[at].disk();
        let mut written_to = segments(disk).into_iter().map(|segment| (used(disk, &segment), segment));
        let Some((written, segment)) = written_to.rfind(|(bytes, _)| *bytes > LOG_HEADER_BYTES) else { return false };
        self.afflictions.rotting.push(Rotting { at, segment, written, syncs, draw });
        true
    }

    /// Bits flip that wait to.
    pub(super) fn rot(&mut self) {
        let is_due = |rotting: &Rotting| {
            let observer = self.observers[rotting.at].as_ref().filter(|_| self.power[rotting.at] == Power::On);
            observer.is_some_and(|observer| {
                observer.living().engine.wal().metrics().syncs >= rotting.syncs + SYNCS_UNTIL_KNOWN
            })
        };
        let Some(number) = self.afflictions.rotting.iter().position(is_due) else { return };
        let rotting = self.afflictions.rotting.swap_remove(number);
        let Rotting { at, segment, written, draw, .. } = rotting;
        if !self.may_lose(at) {
            return;
        }
        let (disk, mut random) = (self.machines[at].disk(), Random::new(draw));
        let known: Vec<(String, u64)> = segments(disk)
            .into_iter()
            .filter(|name| *name <= segment)
            .map(|name| if name == segment { (name, written) } else { (name.clone(), used(disk, &name)) })
            .filter(|(_, bytes)| *bytes > 0)
            .collect();
        if known.is_empty() {
            return;
        }
        let (name, bytes) = &known[random.below(known.len() as u64) as usize];
        for _ in 0..random.within(1..=3) {
            disk.flip_bit(name, random.below(*bytes));
        }
        self.afflictions.machines[at].is_rotten = true;
        self.trace.event(format_args!("bits of {name} of n{} have flipped", at + 1));
        // Nobody looks before the next start.
        if random.once_in(2) {
            self.begin(Timed { at: self.now(), lasts: Duration::ZERO, fault: Fault::PowerLoss { at } });
        }
    }

    fn let_pages_rot(&mut self, at: Place, draw: u64) -> bool {
        let (disk, mut random) = (self.machines[at].disk(), Random::new(draw));
        let Some(bytes) = disk.bytes_of(PAGES) else { return false };
        let starts = (0..bytes.len().saturating_sub(PAGE_HEADER_BYTES)).step_by(512);
        let pages: Vec<usize> = starts.filter(|at| bytes[*at..].starts_with(b"PhPg")).collect();
        if pages.is_empty() {
            return false;
        }
        let length = |at: usize| {
            let stored = u32::from_le_bytes([bytes[at + 24], bytes[at + 25], bytes[at + 26], bytes[at + 27]]);
            (PAGE_HEADER_BYTES + stored as usize).min(bytes.len() - at)
        };
        for _ in 0..random.within(1..=4) {
            let page = pages[random.below(pages.len() as u64) as usize];
            if random.once_in(3) {
                let from = pages[random.below(pages.len() as u64) as usize];
                disk.misplace(PAGES, from as u64, page as u64, length(from).min(bytes.len() - page));
            } else {
                disk.flip_bit(PAGES, page as u64 + random.below(length(page) as u64));
            }
        }
        self.afflictions.machines[at].is_rotten = true;
        // What is cached is not read again before the next start.
        if random.once_in(2) {
            self.begin(Timed { at: self.now(), lasts: Duration::ZERO, fault: Fault::PowerLoss { at } });
        }
        true
    }

    fn lose_write(&mut self, at: Place, draw: u64) -> bool {
        if self.power[at] != Power::On || !self.may_lose(at) {
            return false;
        }
        let mut random = Random::new(draw);
        let file = random.pick(&[PAGES, PAGES, SUPERBLOCK_FILE]);
        let after = random.pick(&[0, 2, 10, 60]);
        self.machines[at].disk().strike_file_after(DiskFault::LostWrite, after, file);
        self.afflictions.machines[at].is_rotten = true;
        true
    }

    fn fail_call(&mut self, at: Place, call: Call, after: u64) -> bool {
        let (disk, machine) = (self.machines[at].disk(), &mut self.afflictions.machines[at]);
        let runs = self.power[at] == Power::On;
        if runs {
            machine.strikes.get_or_insert(disk.strikes());
            disk.strike_after(call.fault(), after);
        }
        runs
    }

    /// Arms what waits for something that has happened.
    pub(super) fn watch(&mut self, changed: &[Observation]) {
        for seen in changed {
            let at = seen.node.0;
            if self.afflictions.machines[at].is_older {
                let evidence = format!("n{} runs member {:?} of group {:?}", at + 1, seen.member, seen.group);
                self.judge.accuse("an older disk takes no part", evidence);
            }
            let living = self.observers[at].as_ref().map(Observer::living);
            if let Some(group) = living.and_then(|living| living.groups.find(GroupId(seen.group.0))) {
                self.afflictions.ward.look_at(&group);
            }
            self.note_repairs(at, seen);
            for (event, node) in self.afflictions.events.look(seen) {
                let Some(number) = self.afflictions.armed.iter().position(|(armed, ..)| *armed == event) else {
                    continue;
                };
                let (_, struck, lasts) = self.afflictions.armed.remove(number);
                self.trace.event(format_args!("what waited for {event:?} strikes n{}", node.0 + 1));
                self.begin(Timed { at: self.now(), lasts, fault: struck.at(node.0) });
            }
        }
    }

    /// Who votes where another has lost something is whole again.
    fn note_repairs(&mut self, at: Place, seen: &Observation) {
        let votes = seen.voters.iter().any(|set| set.contains(&seen.member));
        if let Some(living) = self.observers[at].as_ref().map(|observer| observer.living().clone()) {
            self.note_doubts(at, &living);
        }
        let machine = &mut self.afflictions.machines[at];
        if !votes {
            return;
        }
        if std::mem::take(&mut machine.is_new) {
            self.rare.reach(rare::WIPED_BACK);
        }
        let ward = &self.afflictions.ward;
        let group = GroupId(seen.group.0);
        let succeeded: Vec<ProductMember> = machine
            .doubted
            .keys()
            .filter(|member| member.0 < seen.member.0 && ward.was_in(group, **member))
            .copied()
            .collect();
        for member in succeeded {
            let is_page = machine.doubted.remove(&member).unwrap_or_default();
            self.rare.reach(if is_page { rare::PAGE_REPAIRED } else { rare::ROT_REPAIRED });
        }
    }

    /// Which members say of themselves that they can never go on.
    fn note_doubts(&mut self, at: Place, living: &Living) {
        if !self.afflictions.machines[at].is_rotten {
            return;
        }
        let wal = living.engine.wal();
        for (stream, _) in wal.states().into_iter().filter(|(_, state)| state.suspect && !state.erased) {
            let (member, loss) = (ProductMember(stream.0), wal.loss(stream));
            let is_page = loss.is_some_and(|loss| loss.segment == IN_PAGES);
            self.afflictions.machines[at].doubted.insert(member, is_page);
            self.afflictions.ward.give_up_member(member);
        }
    }

    /// A process has begun on what the last one has left.
    pub(super) fn meet(&mut self, at: Place, living: &Living) {
        self.note_doubts(at, living);
        if living.engine.wal().metrics().torn_bytes > 0 {
            self.rare.reach(rare::TORN_REPAIRED);
        }
    }

    /// What people do when a process has ended by itself and says that its disk is no good.
    pub(super) fn tend(&mut self, at: Place, end: &End) {
        let End::Failed(reason) = end else { return };
        let machine = &mut self.afflictions.machines[at];
        machine.ends += u32::from(machine.is_rotten);
        let refused = machine.is_older && reason.contains("older directory");
        if refused {
            self.rare.reach(rare::OLDER_REFUSED);
        }
        if refused || machine.ends >= ENDS_MAX {
            self.trace.event(format_args!("n{} gets an empty disk", at + 1));
            let states = self.states();
            self.afflictions.ward.give_up(at, &states);
            self.wipe(at);
        }
    }

    /// What of everything that was lost has no successor yet.
    pub fn unrestored(&mut self) -> Vec<String> {
        if !self.afflictions.lost {
            return Vec::new();
        }
        self.look_at_members();
        let states = self.states();
        let newest = states.iter().max_by_key(|state| {
            let boots = state.nodes().map(|node| node.boots);
            (state.next_member(), boots.sum::<u64>())
        });
        newest.map_or_else(|| vec!["no node runs".to_owned()], |state| self.afflictions.ward.unrestored(state))
    }
}

/// The segments of the log, oldest first.
fn segments(disk: &SimulatedDisk) -> Vec<String> {
    disk.names().into_iter().filter(|name| name.starts_with("wal-") && !name.starts_with("wal-spare-")).collect()
}

/// Bytes of a file up to the last that is not zero.
fn used(disk: &SimulatedDisk, name: &str) -> u64 {
    let bytes = disk.bytes_of(name).unwrap_or_default();
    bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1)
}
