//! The simulated disk as a [`Disk`], and its lock.

use std::io;
use std::sync::Arc;

use super::file::SimulatedFile;
use super::{Content, Fault, SimulatedDisk, State, crashed};
use crate::disk::{DirectoryLock, Disk, File, OpenMode};
use crate::sync::Mutex;

/// What the system says of a broken drive.
pub(super) fn broken() -> io::Error {
    io::Error::from_raw_os_error(5)
}

/// What the system says of a full one.
pub(super) fn full() -> io::Error {
    io::ErrorKind::StorageFull.into()
}

impl State {
    /// Begins a call that changes a name, unless it fails.
    fn begin_name(&mut self, what: &'static str, name: &str, needs_space: bool) -> io::Result<bool> {
        self.alive(self.boot)?;
        if self.strikes(Fault::NameError, name) {
            return Err(broken());
        }
        if needs_space && self.strikes(Fault::NoSpace, name) {
            return Err(full());
        }
        self.trace.call(what, name, 0, &[]);
        self.begin(self.boot)
    }
}

impl Disk for SimulatedDisk {
    fn open(&self, name: &str, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let mut state = self.state.lock();
        state.alive(state.boot)?;
        let file = match (mode, state.names.find(name)) {
            (OpenMode::CreateNew, Some(_)) => return Err(io::ErrorKind::AlreadyExists.into()),
            (OpenMode::CreateNew, None) => {
                let cut = state.begin_name("create", name, true)?;
                let file = state.files.len();
                state.files.push(Content::default());
                state.names.set(name, file);
                if cut {
                    return Err(crashed());
                }
                file
            }
            (_, Some(file)) => {
                if state.strikes(Fault::NameError, name) {
                    return Err(broken());
                }
                file
            }
            (_, None) => return Err(io::ErrorKind::NotFound.into()),
        };
        let read_only = mode == OpenMode::ReadOnly;
        Ok(Arc::new(SimulatedFile::new(Arc::clone(&self.state), state.boot, file, name, read_only)))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut state = self.state.lock();
        state.alive(state.boot)?;
        if state.strikes(Fault::NameError, "") {
            return Err(broken());
        }
        Ok(state.names.all().map(|(name, _)| name.to_owned()).collect())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state.lock();
        let cut = state.begin_name("rename", from, true)?;
        if !state.names.rename(from, to) {
            return Err(io::ErrorKind::NotFound.into());
        }
        if cut { Err(crashed()) } else { Ok(()) }
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state.lock();
        let cut = state.begin_name("remove", name, false)?;
        if !state.names.remove(name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        if cut { Err(crashed()) } else { Ok(()) }
    }

    fn sync_directory(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        let boot = state.boot;
        if state.begin(boot)? {
            return Err(crashed());
        }
        state.meter.sync();
        if state.strikes(Fault::DirectoryError, "the directory") {
            return Err(broken());
        }
        if state.strikes(Fault::SyncNoSpace, "the directory") {
            return Err(full());
        }
        state.trace.call("sync", "the directory", 0, &[]);
        state.names.sync();
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
