//! A disk that can be filled: a file system in memory, which only the processes that enter it see.
//!
//! It takes the right to mount, as `root` has it, or whoever may make a namespace of users of his own.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// The disk. Dropping it removes it; the processes on it must be gone by then.
pub struct SmallDisk {
    folder: TempDir,
    /// Keeps the namespace in which the disk is mounted.
    holder: Child,
    is_root: bool,
}

impl SmallDisk {
    /// An empty disk of so many mebibytes. Panics where no file system can be mounted.
    pub fn new(mebibytes: u64) -> SmallDisk {
        let folder = tempfile::Builder::new().prefix("photondb-disk-").tempdir().expect("a temporary directory");
        let mount = r#"mount -t tmpfs -o "size=$1m" tmpfs "$0" && echo mounted && exec cat"#;
        let is_root = std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
        let mut holder = Command::new("unshare")
            .args(["--mount"].into_iter().chain((!is_root).then_some("--map-root-user")))
            .args(["sh", "-c", mount])
            .arg(folder.path())
            .arg(mebibytes.to_string())
            // It ends with this process, or before.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("`unshare` of util-linux is there");
        let mut said = String::new();
        let output = holder.stdout.as_mut().expect("its output is a pipe");
        BufReader::new(output).read_line(&mut said).expect("its output can be read");
        assert_eq!(
            said, "mounted\n",
            "a test that fills a disk needs the right to mount one: root, or user namespaces"
        );
        SmallDisk { folder, holder, is_root }
    }

    /// What a process on it is started by.
    pub fn entrance(&self) -> Vec<String> {
        let holder = self.holder.id().to_string();
        let user: &[&str] = if self.is_root { &[] } else { &["--user", "--preserve-credentials"] };
        let words = ["nsenter", "--target", &holder, "--mount"].into_iter().chain(user.iter().copied());
        words.map(str::to_owned).collect()
    }

    /// Where it is, for the processes on it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Fills it to the last byte.
    pub fn fill(&self) {
        let mut ballast = File::options().create(true).append(true).open(self.ballast()).expect("the disk is mounted");
        for bytes in [1 << 20, 4096] {
            while ballast.write_all(&vec![0; bytes]).is_ok() {}
        }
    }

    /// Takes away what [`SmallDisk::fill`] has put there.
    pub fn clear(&self) {
        std::fs::remove_file(self.ballast()).expect("the disk was filled");
    }

    fn ballast(&self) -> PathBuf {
        let seen_from = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        seen_from.join(self.folder.path().strip_prefix("/").expect("an absolute path")).join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.holder.kill());
        drop(self.holder.wait());
    }
}
