//! One node of a demonstration: a process that ends when the pipe to it is closed.

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{DEMO_NODE, DemoError};
use crate::limits::CLUSTER_PORT;

/// How long it may take to stop; then it is killed, which loses nothing.
const STOP_TIME_MAX: Duration = Duration::from_secs(10);

/// Of the log that is shown when it does not start, in bytes.
const LOG_SHOWN_BYTES: usize = 2_000;

/// Its ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ports {
    pub driver: u16,
    pub cluster: u16,
    pub http: u16,
}

impl Ports {
    /// The usual ones, so much higher; `None`: there are none so high.
    pub fn at(offset: u16, more: u16) -> Option<Ports> {
        let offset = offset.checked_add(more)?;
        let port = |usual: u16| usual.checked_add(offset);
        Some(Ports { driver: port(28015)?, cluster: port(CLUSTER_PORT)?, http: port(8080)? })
    }

    pub fn driver_address(self) -> String {
        format!("127.0.0.1:{}", self.driver)
    }
}

/// A node.
pub(super) struct Member {
    pub name: String,
    pub ports: Ports,
    /// It has no data of an earlier demonstration.
    pub is_new: bool,
    process: Child,
    log: PathBuf,
}

impl Member {
    /// Starts one, which finds those that listen at `others`.
    pub fn start(
        directory: &Path,
        secret: &Path,
        number: usize,
        ports: Ports,
        others: &[Ports],
    ) -> Result<Member, DemoError> {
        let name = format!("node-{}", number + 1);
        let log = directory.join(format!("{name}.log"));
        let output = File::options().create(true).append(true).open(&log).map_err(DemoError::Spawn)?;
        let program = std::env::current_exe().map_err(DemoError::Spawn)?;
        let data = directory.join(&name);
        let is_new = !data.exists();
        let mut command = Command::new(program);
        command.arg(DEMO_NODE).args(["--dev-mode", "--cache-size", "64", "--server-name", &name]);
        command.arg("--directory").arg(&data).arg("--cluster-secret-file").arg(secret);
        for (option, port) in
            [("--driver-port", ports.driver), ("--cluster-port", ports.cluster), ("--http-port", ports.http)]
        {
            command.args([option, &port.to_string()]);
        }
        for other in others {
            command.args(["--join", &format!("127.0.0.1:{}", other.cluster)]);
        }
        // What is said of one node in the environment is not meant for three.
        for (variable, _) in std::env::vars_os() {
            if variable.to_string_lossy().starts_with("PHOTONDB_") || variable == "DEV_MODE" {
                command.env_remove(variable);
            }
        }
        let output_too = output.try_clone().map_err(DemoError::Spawn)?;
        // In a group of its own: Ctrl-C is for the one that started it.
        command.process_group(0).stdin(Stdio::piped()).stdout(output_too).stderr(output);
        let process = command.spawn().map_err(DemoError::Spawn)?;
        Ok(Member { name, ports, is_new, process, log })
    }

    /// The number of its process.
    pub fn process(&self) -> u32 {
        self.process.id()
    }

    /// How it has ended, if it has.
    pub fn ended(&mut self) -> Option<String> {
        match self.process.try_wait() {
            Ok(None) => None,
            Ok(Some(status)) => Some(status.to_string()),
            Err(error) => Some(error.to_string()),
        }
    }

    /// Asks it to end.
    pub fn stop(&mut self) {
        self.process.stdin = None;
    }

    /// What it said last.
    pub fn end_of_log(&self) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&log[log.len().saturating_sub(LOG_SHOWN_BYTES)..]).into_owned()
    }

    fn await_end(&mut self) -> io::Result<()> {
        let began = Instant::now();
        while self.process.try_wait()?.is_none() {
            if began.elapsed() > STOP_TIME_MAX {
                self.process.kill()?;
                self.process.wait()?;
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.stop();
        if let Err(error) = self.await_end() {
            eprintln!("photondb: {} could not be ended: {error}", self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_the_usual_ones_higher_or_none() {
        assert_eq!(Ports::at(0, 0), Some(Ports { driver: 28015, cluster: 29015, http: 8080 }));
        assert_eq!(Ports::at(100, 10).map(|ports| ports.driver), Some(28125));
        assert_eq!(Ports::at(36_520, 0).map(|ports| ports.cluster), Some(65_535));
        assert_eq!(Ports::at(36_520, 10), None);
        assert_eq!(Ports::at(u16::MAX, 10), None);
    }
}
