//! How much memory this process may take, and the share of it that storage gets when nobody says.
//!
//! The limit is the smallest of what the machine has, what the control groups of the process allow (version 2 and
//! version 1, every group up to the root), and its resource limits of address space and data. Storage gets half of what
//! remains after a reserve: the other half is for queries, connections, and what an allocator holds back.

use std::path::{Path, PathBuf};

use photondb_reql::limits::QUERY_MEMORY_BYTES_MAX;
use rustix::process::{Resource, getrlimit};

use crate::limits::{
    ALL_QUERIES_MEMORY_BYTES_MIN, ALL_QUERIES_MEMORY_REST_SHARE, CACHE_BYTES_MIN, MEMORY_RESERVE_BYTES,
    MEMORY_RESERVE_SHARE, QUERY_MEMORY_BYTES_MIN, QUERY_MEMORY_SHARE,
};

/// The budget of `--cache-size auto`, in bytes.
pub(super) fn cache_bytes_auto() -> u64 {
    share(limit())
}

/// Storage's share of what the process may take.
fn share(limit: u64) -> u64 {
    let reserve = MEMORY_RESERVE_BYTES.min(limit / MEMORY_RESERVE_SHARE);
    ((limit - reserve) / 2).max(CACHE_BYTES_MIN)
}

/// What one query may hold, in bytes, beside a cache of `cache_bytes`.
pub(super) fn query_bytes(cache_bytes: u64) -> u64 {
    query_share(limit(), cache_bytes)
}

fn query_share(limit: u64, cache_bytes: u64) -> u64 {
    let share = limit.saturating_sub(cache_bytes) / QUERY_MEMORY_SHARE;
    share.clamp(QUERY_MEMORY_BYTES_MIN, QUERY_MEMORY_BYTES_MAX as u64)
}

/// What all queries may hold together, in bytes, beside a cache of `cache_bytes`.
pub(super) fn all_queries_bytes(cache_bytes: u64) -> u64 {
    all_queries_share(limit(), cache_bytes)
}

fn all_queries_share(limit: u64, cache_bytes: u64) -> u64 {
    let beside = limit.saturating_sub(cache_bytes);
    (beside - beside / ALL_QUERIES_MEMORY_REST_SHARE).max(ALL_QUERIES_MEMORY_BYTES_MIN)
}

/// What this process may take, in bytes.
fn limit() -> u64 {
    let machine = rustix::system::sysinfo();
    let physical = machine.totalram as u64 * u64::from(machine.mem_unit.max(1));
    let resources = [Resource::As, Resource::Data].map(|resource| getrlimit(resource).current);
    let read = |path: &Path| std::fs::read_to_string(path).ok();
    let groups = read(Path::new("/proc/self/cgroup")).and_then(|groups| group_limit(&groups, read));
    resources.into_iter().flatten().chain(groups).fold(physical, u64::min)
}

/// The smallest limit of the control groups that `/proc/self/cgroup` lists, and of those above them.
///
/// In a container the paths are often those of the host, of which only the root is to be seen; so the root is always asked.
fn group_limit(groups: &str, read: impl Fn(&Path) -> Option<String>) -> Option<u64> {
    let limits = groups.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':');
        let (_, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        let (mounts, file): (&[&str], _) = match controllers {
            "" => (&["/sys/fs/cgroup", "/sys/fs/cgroup/unified"], "memory.max"),
            _ if controllers.split(',').any(|name| name == "memory") => {
                (&["/sys/fs/cgroup/memory"], "memory.limit_in_bytes")
            }
            _ => return None,
        };
        mounts.iter().filter_map(|mount| smallest_above(Path::new(mount), path, file, &read)).min()
    });
    limits.min()
}

fn smallest_above(mount: &Path, path: &str, file: &str, read: impl Fn(&Path) -> Option<String>) -> Option<u64> {
    let group = path.trim_start_matches('/');
    let inner: PathBuf = if group.contains("..") { mount.to_owned() } else { mount.join(group) };
    let above = inner.ancestors().take_while(|directory| directory.starts_with(mount));
    // "max", where there is no limit, is no number.
    above.filter_map(|directory| read(&directory.join(file))?.trim().parse().ok()).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn check(groups: &str, files: &[(&str, &str)], expect: Option<u64>) {
        let read = |path: &Path| {
            let found = files.iter().find(|(name, _)| Path::new(name) == path);
            found.map(|(_, text)| format!("{text}\n"))
        };
        assert_eq!(group_limit(groups, read), expect, "{groups:?} with {files:?}");
    }

    #[test]
    fn the_smallest_limit_of_all_groups_counts() {
        check("0::/\n", &[("/sys/fs/cgroup/memory.max", "536870912")], Some(512 * MIB));
        check("0::/\n", &[("/sys/fs/cgroup/memory.max", "max")], None);
        let nested = [
            ("/sys/fs/cgroup/a/b/memory.max", "max"),
            ("/sys/fs/cgroup/a/memory.max", "1000"),
            ("/sys/fs/cgroup/memory.max", "2000"),
        ];
        check("0::/a/b\n", &nested, Some(1000));
        // The path is the host's, the root the container's.
        check("0::/docker/0123\n", &[("/sys/fs/cgroup/memory.max", "3000")], Some(3000));
        check("0::/../../other\n", &[("/sys/fs/cgroup/memory.max", "3000")], Some(3000));
        let first = "4:cpu,cpuacct:/x\n3:memory:/docker/0123\n1:name=systemd:/x\n";
        check(first, &[("/sys/fs/cgroup/memory/memory.limit_in_bytes", "4000")], Some(4000));
        check(
            first,
            &[("/sys/fs/cgroup/memory/docker/0123/memory.limit_in_bytes", "9223372036854771712")],
            Some(9223372036854771712),
        );
        check(
            "3:memory:/\n0::/\n",
            &[("/sys/fs/cgroup/unified/memory.max", "7"), ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "8")],
            Some(7),
        );
        check("nonsense\n", &[], None);
    }

    #[test]
    fn a_query_gets_half_of_what_storage_leaves() {
        assert_eq!(query_share(512 * MIB, 192 * MIB), 160 * MIB);
        assert_eq!(query_share(64 * 1024 * MIB, 1024 * MIB), 1024 * MIB);
        assert_eq!(query_share(64 * MIB, 1024 * MIB), 64 * MIB);
    }

    #[test]
    fn all_queries_get_three_quarters_of_it() {
        assert_eq!(all_queries_share(512 * MIB, 192 * MIB), 240 * MIB);
        assert_eq!(all_queries_share(64 * 1024 * MIB, 1024 * MIB), 63 * 768 * MIB);
        assert_eq!(all_queries_share(64 * MIB, 1024 * MIB), ALL_QUERIES_MEMORY_BYTES_MIN);
        for (limit, cache) in [(512, 192), (64, 16), (1 << 20, 64), (128, 1024)] {
            let (one, all) = (query_share(limit * MIB, cache * MIB), all_queries_share(limit * MIB, cache * MIB));
            assert!(one <= all, "one query may hold {one}, all together {all}");
        }
    }

    #[test]
    fn storage_gets_half_of_what_remains_after_the_reserve() {
        assert_eq!(share(512 * MIB), 192 * MIB);
        assert_eq!(share(8192 * MIB), 4032 * MIB);
        assert_eq!(share(128 * MIB), 32 * MIB);
        assert_eq!(share(64 * MIB), 16 * MIB);
        assert_eq!(share(0), CACHE_BYTES_MIN);
        assert!(cache_bytes_auto() >= CACHE_BYTES_MIN);
    }
}
