//! A hostile disk in memory: for storage's tests and the simulator.
//!
//! Every file has what a program sees (`volatile`), what a crash leaves for certain (`durable`), and the sector writes
//! in between. A crash keeps a random subset of those, which covers every order a drive may choose, because a later
//! write to a sector can be kept or lost apart from an earlier one. Names behave the same way: every create, rename and
//! remove since the last directory sync is kept or lost by itself.
//!
//! Everything drawn comes from the seed, so a run repeats exactly.

mod random;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use self::random::Random;
use super::{DirectoryLock, Disk, File, OpenMode, SECTOR_SIZE};
use crate::sync::{Mutex, MutexGuard};

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

struct State {
    options: SimulatedOptions,
    random: Random,
    /// Which life of the machine this is; handles and locks of an earlier one are dead.
    boot: u64,
    crashed: bool,
    crash_at: Option<u64>,
    operations: u64,
    files: Vec<Content>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    pending_names: Vec<NameChange>,
    locked: bool,
    faults: Faults,
}

#[derive(Default)]
struct Faults {
    read: Option<u64>,
    write: Option<u64>,
    sync: Option<u64>,
}

#[derive(Default)]
struct Content {
    volatile: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

enum Change {
    Sector { offset: usize, bytes: Vec<u8> },
    Length(usize),
}

#[derive(Clone)]
enum NameChange {
    Set(String, usize),
    Rename(String, String, usize),
    Remove(String),
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
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            pending_names: Vec::new(),
            locked: false,
            faults: Faults::default(),
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

    /// Flips one bit of the byte at `offset`, as seen now and after a crash. Returns whether there is such a byte.
    pub fn flip_bit(&self, name: &str, offset: u64) -> bool {
        let mut state = self.state.lock();
        let bit = 1u8 << state.random.below(8);
        let (Some(&file), Ok(offset)) = (state.names.get(name), usize::try_from(offset)) else { return false };
        let content = &mut state.files[file];
        let mut found = false;
        for bytes in [&mut content.volatile, &mut content.durable] {
            if let Some(byte) = bytes.get_mut(offset) {
                *byte ^= bit;
                found = true;
            }
        }
        found
    }

    /// Lets `reads` more reads succeed and fails the one after with an I/O error.
    pub fn fail_read_after(&self, reads: u64) {
        self.state.lock().faults.read = Some(reads);
    }

    /// Lets `writes` more writes succeed and fails the one after with an I/O error.
    pub fn fail_write_after(&self, writes: u64) {
        self.state.lock().faults.write = Some(writes);
    }

    /// Lets `syncs` more file syncs succeed and fails the one after; what it was to sync may be lost for good.
    pub fn fail_sync_after(&self, syncs: u64) {
        self.state.lock().faults.sync = Some(syncs);
    }

    /// A separate disk with what is here now, so that one recorded run can end in many crashes.
    #[must_use]
    pub fn fork(&self, seed: u64) -> Self {
        let state = self.state.lock();
        let copy = State {
            options: state.options,
            random: Random::new(seed),
            boot: state.boot,
            crashed: state.crashed,
            crash_at: None,
            operations: state.operations,
            files: state.files.iter().map(Content::copy).collect(),
            names: state.names.clone(),
            durable_names: state.durable_names.clone(),
            pending_names: state.pending_names.clone(),
            locked: state.locked,
            faults: Faults::default(),
        };
        Self { state: Arc::new(Mutex::new(copy)) }
    }
}

fn crashed() -> io::Error {
    io::Error::other("the machine lost power")
}

fn broken() -> io::Error {
    io::Error::from_raw_os_error(5)
}

fn strikes(fault: &mut Option<u64>) -> bool {
    match fault {
        Some(0) => {
            *fault = None;
            true
        }
        Some(left) => {
            *left -= 1;
            false
        }
        None => false,
    }
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
        }
        Ok(cut)
    }

    fn used(&self) -> u64 {
        self.names.values().map(|file| self.files[*file].volatile.len() as u64).sum()
    }

    fn check_growth(&self, file: usize, length: u64) -> io::Result<()> {
        let present = self.files[file].volatile.len() as u64;
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
        let keep = Keep::draw(&mut self.random);
        for change in std::mem::take(&mut self.pending_names) {
            if keep.decide(&mut self.random) {
                apply_name(&mut self.durable_names, change);
            }
        }
        self.names = self.durable_names.clone();
        self.boot += 1;
        self.crashed = false;
        self.crash_at = None;
        self.locked = false;
        self.faults = Faults::default();
    }
}

/// How much of the unsynced survives one crash. All and nothing are drawn often: uniform coin flips would almost never
/// produce them, and they are where most mistakes show.
struct Keep {
    of_eight: u64,
}

impl Keep {
    fn draw(random: &mut Random) -> Self {
        Self { of_eight: [0, 8, 1, 4, 7][random.below(5) as usize] }
    }

    fn decide(&self, random: &mut Random) -> bool {
        random.below(8) < self.of_eight
    }
}

impl Content {
    fn copy(&self) -> Self {
        let pending = self.pending.iter().map(|change| match change {
            Change::Sector { offset, bytes } => Change::Sector { offset: *offset, bytes: bytes.clone() },
            Change::Length(length) => Change::Length(*length),
        });
        Self { volatile: self.volatile.clone(), durable: self.durable.clone(), pending: pending.collect() }
    }

    fn write(&mut self, bytes: &[u8], offset: usize) {
        if bytes.is_empty() {
            return;
        }
        let end = offset + bytes.len();
        if self.volatile.len() < end {
            self.volatile.resize(end, 0);
        }
        self.volatile[offset..end].copy_from_slice(bytes);
        let mut sector = offset - offset % SECTOR_SIZE;
        while sector < end {
            let sector_end = (sector + SECTOR_SIZE).min(self.volatile.len());
            self.pending.push(Change::Sector { offset: sector, bytes: self.volatile[sector..sector_end].to_vec() });
            sector += SECTOR_SIZE;
        }
    }

    fn set_len(&mut self, length: usize) {
        self.volatile.resize(length, 0);
        self.pending.push(Change::Length(length));
    }

    fn sync(&mut self) {
        for change in std::mem::take(&mut self.pending) {
            apply_change(&mut self.durable, &change, None);
        }
    }

    fn lose_power(&mut self, random: &mut Random, torn_sectors: bool) {
        if !self.pending.is_empty() {
            let keep = Keep::draw(random);
            for change in std::mem::take(&mut self.pending) {
                if keep.decide(random) {
                    let torn = torn_sectors && random.below(16) == 0;
                    apply_change(&mut self.durable, &change, torn.then(|| random.below(SECTOR_SIZE as u64) as usize));
                }
            }
        }
        self.volatile = self.durable.clone();
    }
}

fn apply_change(durable: &mut Vec<u8>, change: &Change, torn_after: Option<usize>) {
    match change {
        Change::Length(length) => durable.resize(*length, 0),
        Change::Sector { offset, bytes } => {
            let kept = torn_after.unwrap_or(bytes.len()).min(bytes.len());
            if durable.len() < offset + bytes.len() {
                durable.resize(offset + bytes.len(), 0);
            }
            durable[*offset..offset + kept].copy_from_slice(&bytes[..kept]);
        }
    }
}

fn apply_name(names: &mut BTreeMap<String, usize>, change: NameChange) {
    match change {
        NameChange::Set(name, file) => {
            names.insert(name, file);
        }
        NameChange::Rename(from, to, file) => {
            // Another kept or lost change may have given `from` to somebody else meanwhile.
            if names.get(&from) == Some(&file) {
                names.remove(&from);
                names.insert(to, file);
            }
        }
        NameChange::Remove(name) => {
            names.remove(&name);
        }
    }
}

impl Disk for SimulatedDisk {
    fn open(&self, name: &str, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let mut state = self.state.lock();
        let boot = state.boot;
        state.alive(boot)?;
        let file = match (mode, state.names.get(name)) {
            (OpenMode::CreateNew, Some(_)) => return Err(io::ErrorKind::AlreadyExists.into()),
            (OpenMode::CreateNew, None) => {
                let cut = state.begin(boot)?;
                let file = state.files.len();
                state.files.push(Content::default());
                state.names.insert(name.to_owned(), file);
                state.pending_names.push(NameChange::Set(name.to_owned(), file));
                if cut {
                    return Err(crashed());
                }
                file
            }
            (_, Some(file)) => *file,
            (_, None) => return Err(io::ErrorKind::NotFound.into()),
        };
        Ok(Arc::new(SimulatedFile {
            state: Arc::clone(&self.state),
            boot,
            file,
            read_only: mode == OpenMode::ReadOnly,
        }))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let state = self.state.lock();
        state.alive(state.boot)?;
        Ok(state.names.keys().cloned().collect())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state.lock();
        let boot = state.boot;
        let cut = state.begin(boot)?;
        let file = *state.names.get(from).ok_or(io::ErrorKind::NotFound)?;
        let change = NameChange::Rename(from.to_owned(), to.to_owned(), file);
        apply_name(&mut state.names, change.clone());
        state.pending_names.push(change);
        if cut { Err(crashed()) } else { Ok(()) }
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state.lock();
        let boot = state.boot;
        let cut = state.begin(boot)?;
        if state.names.remove(name).is_none() {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.pending_names.push(NameChange::Remove(name.to_owned()));
        if cut { Err(crashed()) } else { Ok(()) }
    }

    fn sync_directory(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        let boot = state.boot;
        if state.begin(boot)? {
            return Err(crashed());
        }
        let changes = std::mem::take(&mut state.pending_names);
        for change in changes {
            apply_name(&mut state.durable_names, change);
        }
        Ok(())
    }

    fn lock(&self) -> io::Result<Box<dyn DirectoryLock>> {
        let mut state = self.state.lock();
        state.alive(state.boot)?;
        if state.locked {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        state.locked = true;
        Ok(Box::new(SimulatedLock { state: Arc::clone(&self.state), boot: state.boot }))
    }

    fn describe(&self) -> String {
        "simulated disk".to_owned()
    }
}

struct SimulatedLock {
    state: Arc<Mutex<State>>,
    boot: u64,
}

impl DirectoryLock for SimulatedLock {}

impl Drop for SimulatedLock {
    fn drop(&mut self) {
        let mut state = self.state.lock();
        // The lock of an earlier life died with it; today's belongs to somebody else.
        if state.boot == self.boot {
            state.locked = false;
        }
    }
}

struct SimulatedFile {
    state: Arc<Mutex<State>>,
    boot: u64,
    file: usize,
    read_only: bool,
}

impl SimulatedFile {
    fn begin(&self) -> io::Result<(MutexGuard<'_, State>, bool)> {
        if self.read_only {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let mut state = self.state.lock();
        let cut = state.begin(self.boot)?;
        Ok((state, cut))
    }
}

impl File for SimulatedFile {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let mut state = self.state.lock();
        state.alive(self.boot)?;
        if strikes(&mut state.faults.read) {
            return Err(broken());
        }
        let bytes = &state.files[self.file].volatile;
        let start = usize::try_from(offset).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        let end = start.checked_add(buffer.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes.get(start..end).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let (mut state, cut) = self.begin()?;
        if strikes(&mut state.faults.write) {
            return Err(broken());
        }
        let offset = usize::try_from(offset).map_err(|_| io::ErrorKind::StorageFull)?;
        state.check_growth(self.file, (offset + bytes.len()) as u64)?;
        state.files[self.file].write(bytes, offset);
        if cut { Err(crashed()) } else { Ok(()) }
    }

    fn sync_data(&self) -> io::Result<()> {
        let (mut state, cut) = self.begin()?;
        if cut {
            return Err(crashed());
        }
        if strikes(&mut state.faults.sync) {
            // Linux marks the pages clean after a failed sync, so trying again would report success for lost bytes.
            let State { files, random, .. } = &mut *state;
            let content = &mut files[self.file];
            let keep = Keep::draw(random);
            content.pending.retain(|_| keep.decide(random));
            return Err(broken());
        }
        state.files[self.file].sync();
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        let state = self.state.lock();
        state.alive(self.boot)?;
        Ok(state.files[self.file].volatile.len() as u64)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let (mut state, cut) = self.begin()?;
        state.check_growth(self.file, length)?;
        let length = usize::try_from(length).map_err(|_| io::ErrorKind::StorageFull)?;
        state.files[self.file].set_len(length);
        if cut { Err(crashed()) } else { Ok(()) }
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        let (mut state, cut) = self.begin()?;
        state.check_growth(self.file, length)?;
        let length = usize::try_from(length).map_err(|_| io::ErrorKind::StorageFull)?;
        let content = &mut state.files[self.file];
        if content.volatile.len() < length {
            content.set_len(length);
        }
        if cut {
            return Err(crashed());
        }
        // Like the real one, allocation ends with a sync.
        content.sync();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes_of(disk: &SimulatedDisk, name: &str) -> Vec<u8> {
        let file = disk.open(name, OpenMode::Existing).unwrap();
        let mut bytes = vec![0; file.len().unwrap() as usize];
        file.read_exact_at(&mut bytes, 0).unwrap();
        bytes
    }

    #[test]
    fn synced_bytes_and_names_survive_and_unsynced_ones_may_not() {
        let (mut kept, mut lost, mut mixed, mut unnamed) = (0, 0, 0, 0);
        for seed in 0..200 {
            let disk = SimulatedDisk::new(seed);
            let file = disk.open("a", OpenMode::CreateNew).unwrap();
            file.write_all_at(&[1; 4 * SECTOR_SIZE], 0).unwrap();
            file.sync_data().unwrap();
            disk.sync_directory().unwrap();
            file.write_all_at(&[2; 4 * SECTOR_SIZE], 0).unwrap();
            disk.open("b", OpenMode::CreateNew).unwrap();
            disk.crash();
            assert!(file.sync_data().is_err(), "handles of an earlier life are dead");
            let bytes = bytes_of(&disk, "a");
            assert_eq!(bytes.len(), 4 * SECTOR_SIZE);
            for sector in bytes.chunks(SECTOR_SIZE) {
                assert!(sector.iter().all(|byte| *byte == sector[0]), "sectors are atomic");
            }
            match (bytes.contains(&1), bytes.contains(&2)) {
                (true, true) => mixed += 1,
                (true, false) => lost += 1,
                _ => kept += 1,
            }
            unnamed += usize::from(disk.open("b", OpenMode::Existing).is_err());
        }
        assert!(kept > 10 && lost > 10 && mixed > 10, "{kept} {lost} {mixed}");
        assert!(unnamed > 40 && unnamed < 160, "{unnamed}");
    }

    #[test]
    fn a_crash_point_fails_everything_until_the_restart_and_frees_the_lock() {
        let disk = SimulatedDisk::new(1);
        let held = disk.lock().unwrap();
        let file = disk.open("a", OpenMode::CreateNew).unwrap();
        disk.crash_at(1);
        file.write_all_at(b"x", 0).unwrap();
        assert!(file.sync_data().is_err());
        assert!(disk.is_crashed() && disk.list().is_err() && disk.lock().is_err());
        disk.restart();
        let again = disk.lock().unwrap();
        drop(held);
        assert!(disk.lock().is_err(), "a dead lock frees nothing");
        drop(again);
        assert!(disk.lock().is_ok());
        assert_eq!(disk.operations(), 3);
    }

    #[test]
    fn faults_strike_once_and_capacity_holds() {
        let disk = SimulatedDisk::with_options(1, SimulatedOptions { capacity_bytes: 1000, torn_sectors: true });
        let file = disk.open("a", OpenMode::CreateNew).unwrap();
        disk.fail_write_after(1);
        file.write_all_at(&[7; 500], 0).unwrap();
        assert_eq!(file.write_all_at(b"x", 0).unwrap_err().raw_os_error(), Some(5));
        assert_eq!(file.allocate(1001).unwrap_err().kind(), io::ErrorKind::StorageFull);
        file.allocate(1000).unwrap();
        disk.fail_sync_after(0);
        assert!(file.sync_data().is_err() && file.sync_data().is_ok());
        assert!(disk.flip_bit("a", 3) && !disk.flip_bit("a", 1000));
        assert_ne!(bytes_of(&disk, "a")[3], 7);
        disk.fail_read_after(0);
        assert!(file.read_exact_at(&mut [0; 1], 0).is_err() && file.read_exact_at(&mut [0; 1], 0).is_ok());
    }
}
