//! The real disk: positioned reads and writes, `fdatasync`, `fallocate`, `flock`.
//!
//! The only file of this crate, and below the server the only one of the product, that names the file system.

use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{DirectoryLock, Disk, File, OpenMode};

/// The file whose lock stands for the directory's.
const LOCK_NAME: &str = "LOCK";

/// Zeros are written in pieces of this many bytes.
const ZERO_FILL_BYTES: usize = 1 << 20;

/// A data directory of the machine.
#[derive(Debug)]
pub struct SystemDisk {
    directory: PathBuf,
}

impl SystemDisk {
    /// Opens the directory, creating it (and those above it) when it is not there.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let directory = std::path::absolute(path)?;
        let missing: Vec<_> = directory.ancestors().take_while(|above| !above.is_dir()).collect();
        fs::create_dir_all(&directory)?;
        // A directory whose own name is not durable would take everything in it along.
        for parent in missing.iter().filter_map(|created| created.parent()) {
            fs::File::open(parent)?.sync_all()?;
        }
        Ok(Self { directory })
    }

    fn path(&self, name: &str) -> io::Result<PathBuf> {
        let plain = !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\0']);
        if !plain {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{name:?} is not a plain file name")));
        }
        Ok(self.directory.join(name))
    }
}

impl Disk for SystemDisk {
    fn open(&self, name: &str, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let path = self.path(name)?;
        let mut options = fs::OpenOptions::new();
        match mode {
            OpenMode::Existing => options.read(true).write(true),
            OpenMode::CreateNew => options.read(true).write(true).create_new(true),
            OpenMode::ReadOnly => options.read(true),
        };
        Ok(Arc::new(SystemFile { file: options.open(path)? }))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            // A name that is not UTF-8 was not given by us, and nobody here could open it again.
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from)?, self.path(to)?)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path(name)?)
    }

    fn sync_directory(&self) -> io::Result<()> {
        fs::File::open(&self.directory)?.sync_all()
    }

    fn lock(&self) -> io::Result<Box<dyn DirectoryLock>> {
        let path = self.path(LOCK_NAME)?;
        let file = fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        Ok(Box::new(SystemLock::take(file)?))
    }

    fn lock_present(&self) -> io::Result<Option<Box<dyn DirectoryLock>>> {
        // Reading is enough for a lock, and all that a read-only file system grants.
        match fs::File::open(self.path(LOCK_NAME)?) {
            Ok(file) => Ok(Some(Box::new(SystemLock::take(file)?))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn describe(&self) -> String {
        self.directory.display().to_string()
    }
}

/// Holds the `flock`; the system releases it when the file is closed, also when the process is killed.
struct SystemLock {
    _file: fs::File,
}

impl SystemLock {
    fn take(file: fs::File) -> io::Result<Self> {
        rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive)?;
        Ok(Self { _file: file })
    }
}

impl DirectoryLock for SystemLock {}

struct SystemFile {
    file: fs::File,
}

impl File for SystemFile {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        let present = self.len()?;
        if present >= length {
            return Ok(());
        }
        reserve(&self.file, present, length - present)?;
        // Reserved extents are "unwritten": the first write to each would change metadata, and the sync after it would
        // have to journal that. Writing the zeros now takes this cost off every later commit.
        let zeros = vec![0u8; ZERO_FILL_BYTES.min(usize::try_from(length - present).unwrap_or(ZERO_FILL_BYTES))];
        let mut offset = present;
        while offset < length {
            let piece = (length - offset).min(zeros.len() as u64);
            self.file.write_all_at(&zeros[..piece as usize], offset)?;
            offset += piece;
        }
        self.file.sync_data()
    }
}

/// Asks for the space first, so that a full disk is known before anything is written. A file system without
/// `fallocate` finds out while the zeros are written.
#[cfg(target_os = "linux")]
fn reserve(file: &fs::File, offset: u64, length: u64) -> io::Result<()> {
    match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), offset, length) {
        Ok(()) | Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(target_os = "linux"))]
fn reserve(_file: &fs::File, _offset: u64, _length: u64) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_locked_by_one_owner_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let disk = SystemDisk::open(directory.path().join("a/b")).unwrap();
        let held = disk.lock().unwrap();
        let again = SystemDisk::open(directory.path().join("a/b")).unwrap();
        assert_eq!(again.lock().err().map(|error| error.kind()), Some(io::ErrorKind::WouldBlock));
        assert_eq!(again.lock_present().err().map(|error| error.kind()), Some(io::ErrorKind::WouldBlock));
        drop(held);
        assert!(again.lock_present().unwrap().is_some());
        assert!(again.lock().is_ok());
        let copy = SystemDisk::open(directory.path().join("copy")).unwrap();
        assert!(copy.lock_present().unwrap().is_none());
        assert!(copy.list().unwrap().is_empty(), "looking creates nothing");
    }

    #[test]
    fn allocated_space_is_zero_and_what_was_there_stays() {
        let directory = tempfile::tempdir().unwrap();
        let disk = SystemDisk::open(directory.path()).unwrap();
        let file = disk.open("a", OpenMode::CreateNew).unwrap();
        file.write_all_at(b"kept", 0).unwrap();
        file.allocate(3 << 20).unwrap();
        assert_eq!(file.len().unwrap(), 3 << 20);
        let mut all = vec![1; 3 << 20];
        file.read_exact_at(&mut all, 0).unwrap();
        assert_eq!(&all[..4], b"kept");
        assert!(all[4..].iter().all(|byte| *byte == 0));
        assert_eq!(file.read_exact_at(&mut [0; 2], (3 << 20) - 1).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(disk.list().unwrap(), ["a"]);
        assert_eq!(disk.open("a/../b", OpenMode::Existing).err().unwrap().kind(), io::ErrorKind::InvalidInput);
    }
}
