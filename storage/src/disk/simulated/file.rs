//! An open file of the simulated disk, and where the faults of reads, writes and syncs strike.

use std::io;
use std::sync::Arc;

use super::directory::{broken, full};
use super::{Fault, State, crashed};
use crate::disk::{File, SECTOR_SIZE};
use crate::sync::{Mutex, MutexGuard};

pub(super) struct SimulatedFile {
    state: Arc<Mutex<State>>,
    boot: u64,
    file: usize,
    /// As it was called when it was opened.
    name: String,
    read_only: bool,
}

impl SimulatedFile {
    pub(super) fn new(state: Arc<Mutex<State>>, boot: u64, file: usize, name: &str, read_only: bool) -> Self {
        Self { state, boot, file, name: name.to_owned(), read_only }
    }

    fn begin(&self) -> io::Result<(MutexGuard<'_, State>, bool)> {
        if self.read_only {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let mut state = self.state.lock();
        let cut = state.begin(self.boot)?;
        Ok((state, cut))
    }

    /// Puts `bytes` where they do not belong: another sector of this file, or the same place of another file.
    fn misdirect(&self, state: &mut State, bytes: &[u8], offset: usize) {
        let others: Vec<usize> = state.names.all().map(|(_, file)| file).filter(|file| *file != self.file).collect();
        let elsewhere = !others.is_empty() && state.faults.below(4) == 0;
        let file = if elsewhere { others[state.faults.below(others.len() as u64) as usize] } else { self.file };
        // The place moves by whole sectors, and what passes the end of the file is cut: a drive writes no longer file.
        let length = state.files[file].seen().len();
        let sectors = length / SECTOR_SIZE;
        let unit = [1, 8, 16, 128][state.faults.below(4) as usize];
        let away = (1 + state.faults.below(8) as usize) * unit;
        let (meant, back) = (offset / SECTOR_SIZE, state.faults.below(2) == 0);
        let sector = if back || meant + away >= sectors { meant.saturating_sub(away) } else { meant + away };
        let at = sector * SECTOR_SIZE + offset % SECTOR_SIZE;
        let kept = bytes.len().min(length.saturating_sub(at));
        let remember = state.faults.remembers();
        state.trace.fault(format_args!("{} bytes for {} at {offset} go to file {file} at {at}", kept, self.name));
        state.files[file].write(&bytes[..kept], at, remember);
    }
}

impl File for SimulatedFile {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let mut state = self.state.lock();
        state.alive(self.boot)?;
        state.meter.read(buffer.len());
        state.trace.read(&self.name, offset, buffer.len());
        if state.strikes(Fault::ReadError, &self.name) {
            return Err(broken());
        }
        let bytes = state.files[self.file].seen();
        let start = usize::try_from(offset).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        let end = start.checked_add(buffer.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes.get(start..end).ok_or(io::ErrorKind::UnexpectedEof)?);
        if state.strikes(Fault::StaleRead, &self.name) && !state.files[self.file].make_stale(buffer, start) {
            state.trace.fault(format_args!("nothing older is known there"));
        }
        Ok(())
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let (mut state, cut) = self.begin()?;
        state.meter.write(bytes.len());
        state.trace.call("write", &self.name, offset, bytes);
        if state.strikes(Fault::WriteError, &self.name) {
            return Err(broken());
        }
        if state.strikes(Fault::NoSpace, &self.name) {
            return Err(full());
        }
        let offset = usize::try_from(offset).map_err(|_| io::ErrorKind::StorageFull)?;
        state.check_growth(self.file, (offset + bytes.len()) as u64)?;
        let remember = state.faults.remembers();
        if state.strikes(Fault::ShortWrite, &self.name) {
            let kept = state.faults.below(bytes.len() as u64) as usize;
            state.files[self.file].write(&bytes[..kept], offset, remember);
            return Err(broken());
        }
        if state.strikes(Fault::MisdirectedWrite, &self.name) {
            self.misdirect(&mut state, bytes, offset);
        } else if !state.strikes(Fault::LostWrite, &self.name) {
            state.files[self.file].write(bytes, offset, remember);
        }
        if cut { Err(crashed()) } else { Ok(()) }
    }

    fn sync_data(&self) -> io::Result<()> {
        let (mut state, cut) = self.begin()?;
        state.meter.sync();
        if cut {
            return Err(crashed());
        }
        let failed = state.strikes(Fault::SyncError, &self.name);
        if failed || state.strikes(Fault::SyncNoSpace, &self.name) {
            let State { files, random, .. } = &mut *state;
            files[self.file].lose_pending(random);
            return Err(if failed { broken() } else { full() });
        }
        state.trace.call("sync", &self.name, 0, &[]);
        state.files[self.file].sync();
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        let mut state = self.state.lock();
        state.alive(self.boot)?;
        if state.strikes(Fault::NameError, &self.name) {
            return Err(broken());
        }
        Ok(state.files[self.file].seen().len() as u64)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let (mut state, cut) = self.begin()?;
        state.trace.call("set length", &self.name, length, &[]);
        if state.strikes(Fault::NoSpace, &self.name) {
            return Err(full());
        }
        state.check_growth(self.file, length)?;
        let length = usize::try_from(length).map_err(|_| io::ErrorKind::StorageFull)?;
        state.files[self.file].set_len(length);
        if cut { Err(crashed()) } else { Ok(()) }
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        let (mut state, cut) = self.begin()?;
        state.meter.sync();
        state.trace.call("allocate", &self.name, length, &[]);
        if state.strikes(Fault::NoSpace, &self.name) {
            // Some file systems leave what they had found until then.
            let present = state.files[self.file].seen().len() as u64;
            let some = present + state.faults.below(length.saturating_sub(present) + 1);
            if let (Ok(some), true) = (usize::try_from(some), some > present) {
                state.files[self.file].set_len(some);
            }
            return Err(full());
        }
        state.check_growth(self.file, length)?;
        let length = usize::try_from(length).map_err(|_| io::ErrorKind::StorageFull)?;
        let content = &mut state.files[self.file];
        if content.seen().len() < length {
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
