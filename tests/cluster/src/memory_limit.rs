//! A control group that limits the memory of one process.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A group below this process's own. Dropping it removes it; the process in it must be gone by then.
pub struct MemoryLimit {
    group: PathBuf,
    peak_file: &'static str,
}

impl MemoryLimit {
    /// A group that may take `bytes`, files' cached pages included; without swap where that can be said. `None` where this
    /// process may not make one.
    pub fn new(bytes: u64) -> Option<MemoryLimit> {
        let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
        let candidates = groups.lines().filter_map(|line| {
            let mut fields = line.splitn(3, ':');
            let (_, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
            let path = path.trim_start_matches('/');
            match controllers {
                "" => Some((Path::new("/sys/fs/cgroup").join(path), "memory.max", "memory.peak")),
                "memory" => Some((
                    Path::new("/sys/fs/cgroup/memory").join(path),
                    "memory.limit_in_bytes",
                    "memory.max_usage_in_bytes",
                )),
                _ => None,
            }
        });
        candidates.into_iter().find_map(|(own, limit_file, peak_file)| {
            let group = own.join(format!("photondb-test-{}", std::process::id()));
            fs::create_dir(&group).ok()?;
            let limit = MemoryLimit { group, peak_file };
            // Writing would create a file where the controller is not there, were this not a file system of its own.
            fs::write(limit.group.join(limit_file), bytes.to_string()).ok()?;
            for (swap_file, most) in [("memory.memsw.limit_in_bytes", bytes), ("memory.swap.max", 0)] {
                // Some systems count no swap; then there is none to be limited.
                let _ = fs::write(limit.group.join(swap_file), most.to_string());
            }
            Some(limit)
        })
    }

    /// The file into which a process writes its id to enter.
    pub fn entrance(&self) -> PathBuf {
        self.group.join("cgroup.procs")
    }

    /// The most that was taken at once, cached pages of files included, in bytes.
    pub fn peak(&self) -> Option<u64> {
        fs::read_to_string(self.group.join(self.peak_file)).ok()?.trim().parse().ok()
    }
}

impl Drop for MemoryLimit {
    fn drop(&mut self) {
        // The system takes a moment to notice that the group is empty.
        for _ in 0..100 {
            if fs::remove_dir(&self.group).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        eprintln!("the control group {} could not be removed", self.group.display());
    }
}
