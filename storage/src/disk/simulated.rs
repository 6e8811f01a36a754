//! A hostile disk in memory: for storage's tests and the simulator.
//!
//! Every file has what a program sees, what a crash leaves for certain, and the sector writes in between
//! (`simulated/content.rs`). A crash keeps a random subset of those, which covers every order a drive may choose, because
//! a later write to a sector can be kept or lost apart from an earlier one. Names behave the same way
//! (`simulated/names.rs`): every create, rename and remove since the last directory sync is kept or lost by itself.
//!
//! Beside crashes the disk fails on demand and by chance (`simulated/fault.rs`): errors of every call, short writes, a full
//! disk, and the silent ones, writes that go nowhere or elsewhere, reads of what stood there before, flipped bits.
//!
//! Everything drawn comes from the seed, so a run repeats exactly; what struck is kept in a trace that people can read
//! (`simulated/trace.rs`). Time is only counted (`simulated/latency.rs`): who drives the disk may turn it into a delay.

mod content;
mod directory;
mod fault;
mod file;
mod latency;
mod names;
mod random;
#[cfg(test)]
mod tests;
mod trace;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use self::content::Content;
use self::fault::Faults;
pub use self::fault::{Fault, Weather};
pub use self::latency::Latency;
use self::latency::Meter;
use self::names::Names;
use self::random::{Keep, Random};
use self::trace::Trace;
use crate::sync::Mutex;

/// How hostile the disk is.
#[derive(Clone, Copy, Debug)]
pub struct SimulatedOptions {
    /// The bytes all files together may have.
    pub capacity_bytes: u64,
    /// Whether a crash may leave a sector half old, half new.
    pub torn_sectors: bool,
}

impl Default for SimulatedOptions {
    fn default() -> Self {
        Self { capacity_bytes: u64::MAX, torn_sectors: false }
    }
}

/// The disk. Clones share it, so a test keeps one while the storage under test owns another.
#[derive(Clone)]
pub struct SimulatedDisk {
    state: Arc<Mutex<State>>,
}

/// What a disk held at one moment.
#[derive(Clone)]
pub struct DiskImage {
    files: Vec<Content>,
    names: Names,
}

#[derive(Clone)]
struct State {
    options: SimulatedOptions,
    random: Random,
    /// Which life of the machine this is; handles and locks of an earlier one are dead.
    boot: u64,
    crashed: bool,
    crash_at: Option<u64>,
    operations: u64,
    files: Vec<Content>,
    names: Names,
    locked: bool,
    faults: Faults,
    meter: Meter,
    trace: Trace,
}

impl SimulatedDisk {
    /// An empty disk that draws from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::with_options(seed, SimulatedOptions::default())
    }

    /// An empty disk with its own hostility.
    #[must_use]
    pub fn with_options(seed: u64, options: SimulatedOptions) -> Self {
        let state = State {
            options,
            random: Random::new(seed),
            boot: 0,
            crashed: false,
            crash_at: None,
            operations: 0,
            files: Vec::new(),
            names: Names::default(),
            locked: false,
            faults: Faults::new(seed),
            meter: Meter::new(seed),
            trace: Trace::default(),
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Power loss, and power again: keeps a random subset of what was not synced. Handles opened before it fail for
    /// ever, and the lock is free.
    pub fn crash(&self) {
        self.state.lock().lose_power();
    }

    /// Lets `operations` more changing calls (everything but reads and listings) through, cuts the next one short, and
    /// fails every call after it until [`SimulatedDisk::restart`].
    pub fn crash_at(&self, operations: u64) {
        let mut state = self.state.lock();
        state.crash_at = Some(state.operations + operations);
    }

    /// Power again after [`SimulatedDisk::crash_at`] struck (or did not).
    pub fn restart(&self) {
        self.state.lock().lose_power();
    }

    /// The process dies and the machine does not: what was written stays as it was seen, handles fail for ever, and the
    /// lock is free.
    pub fn kill(&self) {
        self.state.lock().begin_life("the process is killed");
    }

    /// Another drive in place of this one: nothing is on it. The process that used the old one is dead.
    pub fn wipe(&self) {
        let mut state = self.state.lock();
        (state.files, state.names) = (Vec::new(), Names::default());
        state.begin_life("the disk is empty");
    }

    /// What is on the disk now, synced or not, as a snapshot of a running machine has it.
    #[must_use]
    pub fn image(&self) -> DiskImage {
        let state = self.state.lock();
        DiskImage { files: state.files.clone(), names: state.names.clone() }
    }

    /// The disk is as it was when `image` was taken, and what was not synced then is lost as by a loss of power. The process
    /// that used it is dead.
    pub fn restore(&self, image: &DiskImage) {
        let mut state = self.state.lock();
        (state.files, state.names) = (image.files.clone(), image.names.clone());
        state.trace.fault(format_args!("the disk is an older one"));
        state.lose_power();
    }

    /// Puts `length` bytes at `from` of a file over those at `to` of the same file, as a write does that went elsewhere.
    /// Returns whether both places are there.
    pub fn misplace(&self, name: &str, from: u64, to: u64, length: usize) -> bool {
        let mut state = self.state.lock();
        let (Ok(from), Ok(to)) = (usize::try_from(from), usize::try_from(to)) else { return false };
        let Some(file) = state.names.find(name) else { return false };
        state.trace.fault(format_args!("{length} bytes of {name} at {from} stand at {to} too"));
        state.files[file].misplace(from, to, length)
    }

    /// Whether [`SimulatedDisk::crash_at`] has struck.
    #[must_use]
    pub fn is_crashed(&self) -> bool {
        self.state.lock().crashed
    }

    /// Changing calls so far.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.state.lock().operations
    }

    /// Starts drawing from another seed: the same recorded run, another crash.
    pub fn reseed(&self, seed: u64) {
        self.state.lock().random = Random::new(seed);
    }

    /// Changes how much fits from now on.
    pub fn set_capacity(&self, capacity_bytes: u64) {
        self.state.lock().options.capacity_bytes = capacity_bytes;
    }

    /// The bytes all files have together.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.state.lock().used()
    }

    /// What a program sees in a file now. `None`: there is no such name.
    #[must_use]
    pub fn bytes_of(&self, name: &str) -> Option<Vec<u8>> {
        let state = self.state.lock();
        state.names.find(name).map(|file| state.files[file].seen().to_vec())
    }

    /// The names there are, without asking the disk for leave.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.state.lock().names.all().map(|(name, _)| name.to_owned()).collect()
    }

    /// Flips one bit of the byte at `offset`, as seen now and after a crash. Returns whether there is such a byte.
    pub fn flip_bit(&self, name: &str, offset: u64) -> bool {
        let mut state = self.state.lock();
        let bit = 1u8 << state.random.below(8);
        let (Some(file), Ok(at)) = (state.names.find(name), usize::try_from(offset)) else { return false };
        state.trace.fault(format_args!("a bit of {name} at {offset} flips"));
        state.files[file].flip(at, bit)
    }

    /// Lets `reads` more reads succeed and fails the one after with an I/O error.
    pub fn fail_read_after(&self, reads: u64) {
        self.strike_after(Fault::ReadError, reads);
    }

    /// Lets `writes` more writes succeed and fails the one after with an I/O error.
    pub fn fail_write_after(&self, writes: u64) {
        self.strike_after(Fault::WriteError, writes);
    }

    /// Lets `syncs` more file syncs succeed and fails the one after; what it was to sync may be lost for good.
    pub fn fail_sync_after(&self, syncs: u64) {
        self.strike_after(Fault::SyncError, syncs);
    }

    /// Lets `calls` more calls that `fault` could strike pass, and strikes the one after. Takes the place of what was
    /// scheduled for the same fault.
    pub fn strike_after(&self, fault: Fault, calls: u64) {
        self.state.lock().faults.schedule(fault, calls, "");
    }

    /// The same, counting only calls on files whose names begin with `prefix`.
    pub fn strike_file_after(&self, fault: Fault, calls: u64, prefix: &'static str) {
        self.state.lock().faults.schedule(fault, calls, prefix);
    }

    /// How often faults strike by chance from now on, in this life and the next.
    pub fn set_weather(&self, weather: Weather) {
        self.state.lock().faults.weather = weather;
    }

    /// Nothing fails any more, and the power stays: neither by chance nor what was scheduled.
    pub fn calm(&self) {
        let mut state = self.state.lock();
        state.faults.calm();
        state.crash_at = None;
    }

    /// Faults that have struck so far, crashes not counted.
    #[must_use]
    pub fn strikes(&self) -> u64 {
        self.state.lock().faults.strikes
    }

    /// How often one fault has struck.
    #[must_use]
    pub fn strikes_of(&self, fault: Fault) -> u64 {
        self.state.lock().faults.strikes_of(fault)
    }

    /// How long calls take from now on.
    pub fn set_latency(&self, latency: Latency) {
        self.state.lock().meter.latency = latency;
    }

    /// The time that calls have taken since this was asked the last time. The disk waits for nobody: who drives it lets
    /// virtual time pass by this much.
    #[must_use]
    pub fn take_latency(&self) -> Duration {
        self.take_latency_up_to(Duration::MAX)
    }

    /// The same, but no more than this of it; the rest is given the next time.
    #[must_use]
    pub fn take_latency_up_to(&self, most: Duration) -> Duration {
        self.state.lock().meter.take(most)
    }

    /// The last faults, crashes and lives, one line each, oldest first.
    #[must_use]
    pub fn trace(&self) -> Vec<String> {
        self.state.lock().trace.lines()
    }

    /// Keeps every changing call in the trace too, not only what went wrong.
    pub fn trace_calls(&self) {
        self.state.lock().trace.calls = true;
    }

    /// The lines since this was asked the last time.
    #[must_use]
    pub fn take_trace(&self) -> Vec<String> {
        self.state.lock().trace.take_lines()
    }

    /// A number that differs when anything that the disk was asked, or that went wrong, differs.
    #[must_use]
    pub fn trace_hash(&self) -> u64 {
        self.state.lock().trace.hash()
    }

    /// A separate disk with what is here now, so that one recorded run can end in many crashes.
    #[must_use]
    pub fn fork(&self, seed: u64) -> Self {
        let mut copy = self.state.lock().clone();
        copy.random = Random::new(seed);
        copy.crash_at = None;
        copy.faults = Faults::new(seed);
        Self { state: Arc::new(Mutex::new(copy)) }
    }
}

fn crashed() -> io::Error {
    io::Error::other("the machine lost power")
}

impl State {
    fn alive(&self, boot: u64) -> io::Result<()> {
        if self.crashed || self.boot != boot { Err(crashed()) } else { Ok(()) }
    }

    /// Counts a changing call. `Ok(true)`: the power goes during it, so it is begun and never confirmed.
    fn begin(&mut self, boot: u64) -> io::Result<bool> {
        self.alive(boot)?;
        let cut = self.crash_at == Some(self.operations);
        self.operations += 1;
        if cut {
            self.crash_at = None;
            self.crashed = true;
            self.trace.fault(format_args!("power is lost during call {}", self.operations));
        }
        Ok(cut)
    }

    /// Whether `fault` strikes a call on `name` now.
    fn strikes(&mut self, fault: Fault, name: &str) -> bool {
        let strikes = self.faults.strike(fault, name);
        if strikes {
            let operation = self.operations;
            self.trace.fault(format_args!("{fault} strikes {name}, call {operation}"));
        }
        strikes
    }

    fn used(&self) -> u64 {
        self.names.all().map(|(_, file)| self.files[file].seen().len() as u64).sum()
    }

    fn check_growth(&self, file: usize, length: u64) -> io::Result<()> {
        let present = self.files[file].seen().len() as u64;
        if length > present && self.used() + (length - present) > self.options.capacity_bytes {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    fn lose_power(&mut self) {
        let State { files, random, options, .. } = self;
        for content in files.iter_mut() {
            content.lose_power(random, options.torn_sectors);
        }
        self.names.lose_power(&mut self.random);
        self.begin_life("power is back");
    }

    fn begin_life(&mut self, why: &str) {
        self.boot += 1;
        self.crashed = false;
        self.crash_at = None;
        self.locked = false;
        self.faults.forget_scheduled();
        let boot = self.boot;
        self.trace.fault(format_args!("{why}: life {boot} of the machine"));
    }
}
