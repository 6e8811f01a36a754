//! `photondb javascript-worker`: what a node starts to run scripts in. Its standard input is a socket to the node.

#[cfg(target_os = "linux")]
mod calls;

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use photondb_javascript::worker;
use rustix::process::{Resource, Rlimit, setrlimit};

use crate::limits::SCRIPT_ADDRESSES_BYTES_MAX;

/// Serves the socket until the node closes it. Exit code 1: this is no socket of a node, or the engine failed.
pub(super) fn run() -> ExitCode {
    let served =
        std::io::stdin().as_fd().try_clone_to_owned().map_err(worker::WorkerError::Connection).and_then(|socket| {
            give_up_rights();
            worker::serve(&mut UnixStream::from(socket))
        });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("photondb javascript-worker: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A script has no way to ask for a file, a socket or a process. Should it lead the engine astray, the system refuses too.
fn give_up_rights() {
    // When memory runs out, a script goes before the node does. Whoever may not say so is as everybody else.
    #[cfg(target_os = "linux")]
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    let nothing = Rlimit { current: Some(0), maximum: Some(0) };
    for resource in [Resource::Nofile, Resource::Fsize, Resource::Core, Resource::Nproc] {
        // What cannot be given up is kept; the engine has no use for it.
        let _ = setrlimit(resource, nothing);
    }
    let addresses = Some(SCRIPT_ADDRESSES_BYTES_MAX);
    let _ = setrlimit(Resource::As, Rlimit { current: addresses, maximum: addresses });
    #[cfg(target_os = "linux")]
    {
        let _ = rustix::thread::set_no_new_privs(true);
        // A script that runs on when the node is gone is ended.
        let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
        // A system that knows no filters, or not this machine, keeps the limits above.
        let _ = calls::allow_only_what_is_needed();
    }
}
