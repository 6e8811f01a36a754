//! `photondb demo`: three nodes on this machine with a few documents, for a first look.
//!
//! Each node is a process, so that it can be killed to see what the others do. All of them end with the one that started them,
//! however that ends: they hold its end of a pipe, and stop when it is closed.

mod member;
mod samples;

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::{Arg, ArgMatches, Command};
use photondb_runtime::random::Random;
use photondb_runtime::system::SystemRandom;

use super::connection::{ClientError, Connection};
use super::signals::Signals;
use member::{Member, Ports};

/// The command that the nodes of a demonstration are started by; nobody else does.
pub(super) const DEMO_NODE: &str = "demo-node";

/// How many nodes.
const NODES: u16 = 3;

/// Between the ports of one node and of the next.
const PORT_STEP: u16 = 10;

/// How long a node may take until it answers.
const START_TIME_MAX: Duration = Duration::from_secs(60);

/// Between looks at the nodes.
const LOOK_PERIOD: Duration = Duration::from_millis(200);

/// The file with what the nodes know each other by.
const SECRET: &str = "secret";

/// Why there is no demonstration.
#[derive(Debug, thiserror::Error)]
pub(super) enum DemoError {
    #[error("with --port-offset {0} a port would be above 65535")]
    Offset(u16),
    #[error("cannot make {}: {source}", path.display())]
    Directory { path: PathBuf, source: io::Error },
    #[error("cannot start a node: {0}")]
    Spawn(io::Error),
    #[error("cannot wait for signals: {0}")]
    Signals(io::Error),
    #[error("node {name} has ended with {status}; the end of its log:\n{log}")]
    Ended { name: String, status: String, log: String },
    #[error("node {name} does not answer; the end of its log:\n{log}")]
    Silent { name: String, log: String },
    #[error("the samples could not be stored: {0}")]
    Samples(#[from] ClientError),
    #[error("all nodes have ended")]
    AllEnded,
}

pub(super) fn command() -> Command {
    Command::new("demo")
        .about("Run three nodes on this machine with a few documents, for a first look; Ctrl-C ends them")
        .arg(
            Arg::new("port-offset")
                .long("port-offset")
                .short('o')
                .value_name("NUMBER")
                .value_parser(clap::value_parser!(u16))
                .default_value("0")
                .help("Added to every port of every node"),
        )
        .arg(
            Arg::new("keep")
                .long("keep")
                .value_name("DIR")
                .help("Keep the data there, and go on with what is there already [default: a directory that is removed at the end]"),
        )
}

pub(super) fn run(arguments: &ArgMatches) -> Result<(), DemoError> {
    let offset = arguments.get_one::<u16>("port-offset").copied().unwrap_or(0);
    let ports = (0..NODES).map(|number| Ports::at(offset, number * PORT_STEP).ok_or(DemoError::Offset(offset)));
    let ports = ports.collect::<Result<Vec<_>, _>>()?;
    let directory = match arguments.get_one::<String>("keep") {
        Some(kept) => Directory::kept(Path::new(kept))?,
        None => Directory::passing()?,
    };
    // Handlers stand before there is anything that has to be ended.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(DemoError::Signals)?;
    let mut signals = {
        let _inside = runtime.enter();
        Signals::new().map_err(DemoError::Signals)?
    };
    runtime.block_on(async {
        let mut stopped = std::pin::pin!(signals.next());
        // Dropped when a signal comes: the nodes end in any case, and before their directory does.
        let mut members = Vec::new();
        let shown = tokio::select! {
            biased;
            _ = &mut stopped => Ok(()),
            shown = show(&directory, &ports, &mut members) => shown,
        };
        if shown.is_ok() && !members.is_empty() {
            println!("\nEnding the nodes ...");
        }
        for member in &mut members {
            member.stop();
        }
        drop(members);
        shown
    })
}

/// Starts everything and looks after it until all nodes have ended.
async fn show(directory: &Directory, ports: &[Ports], members: &mut Vec<Member>) -> Result<(), DemoError> {
    let secret = directory.secret()?;
    println!("Starting {} nodes in {} ...", ports.len(), directory.path.display());
    for (number, own) in ports.iter().enumerate() {
        // The first founds the cluster, and each that follows finds the others. Those that are in it already do not answer before
        // more than half of them are there.
        let member = Member::start(&directory.path, &secret, number, *own, &ports[..number])?;
        let is_new = member.is_new;
        members.push(member);
        if is_new {
            await_answer(&mut members[number]).await?;
        }
    }
    for member in members.iter_mut() {
        await_answer(member).await?;
    }
    let address = ports[0].driver_address();
    // The samples are written by a client that blocks.
    let stored =
        tokio::task::spawn_blocking(move || samples::store(&mut Connection::open(&address, "admin", "")?)).await;
    stored.map_err(|_| DemoError::AllEnded)??;
    print!("{}", banner(directory, members));
    look_after(members).await
}

async fn await_answer(member: &mut Member) -> Result<(), DemoError> {
    let began = Instant::now();
    loop {
        if let Some(status) = member.ended() {
            return Err(DemoError::Ended { name: member.name.clone(), status, log: member.end_of_log() });
        }
        let address = member.ports.driver_address();
        let opened = tokio::task::spawn_blocking(move || Connection::open(&address, "admin", "").is_ok()).await;
        if matches!(opened, Ok(true)) {
            return Ok(());
        }
        if began.elapsed() > START_TIME_MAX {
            return Err(DemoError::Silent { name: member.name.clone(), log: member.end_of_log() });
        }
        tokio::time::sleep(LOOK_PERIOD).await;
    }
}

/// Says so when a node ends, until the last one has.
async fn look_after(members: &mut [Member]) -> Result<(), DemoError> {
    let mut running = vec![true; members.len()];
    while running.contains(&true) {
        for (member, runs) in members.iter_mut().zip(&mut running) {
            if let Some(status) = member.ended().filter(|_| *runs) {
                *runs = false;
                println!("Node {} has ended with {status}; the others go on while they are two", member.name);
            }
        }
        tokio::time::sleep(LOOK_PERIOD).await;
    }
    Err(DemoError::AllEnded)
}

fn banner(directory: &Directory, members: &[Member]) -> String {
    let mut text = String::from("\nNode      Process   Drivers           Cluster           HTTP\n");
    for member in members {
        let Ports { driver, cluster, http } = member.ports;
        let (name, process) = (&member.name, member.process());
        text.push_str(&format!(
            "{name:<9} {process:<9} 127.0.0.1:{driver:<7} 127.0.0.1:{cluster:<7} http://127.0.0.1:{http}/health\n"
        ));
    }
    let driver = members[0].ports.driver;
    text.push_str(&format!(
        "\nConnect any RethinkDB driver to one of them, as `admin` without a password:\n\n    \
         r.connect({{host: \"127.0.0.1\", port: {driver}}})\n\nand ask, for example:\n\n{}\n\
         Kill a node (`kill -9 PROCESS`): the other two go on with everything that was acknowledged.\n\
         {}\nCtrl-C ends the demonstration.\nDemo ready\n",
        samples::EXAMPLES.iter().map(|example| format!("    {example}\n")).collect::<String>(),
        match directory.is_kept {
            true => format!("The data stay in {}.", directory.path.display()),
            false => "The data are removed at the end; `--keep DIR` keeps them.".to_owned(),
        }
    ));
    text
}

/// Where the nodes have their data.
struct Directory {
    path: PathBuf,
    is_kept: bool,
}

impl Directory {
    fn kept(path: &Path) -> Result<Directory, DemoError> {
        std::fs::create_dir_all(path).map_err(|source| DemoError::Directory { path: path.to_owned(), source })?;
        Ok(Directory { path: path.to_owned(), is_kept: true })
    }

    fn passing() -> Result<Directory, DemoError> {
        let path = std::env::temp_dir().join(format!("photondb-demo-{:016x}", SystemRandom.next_u64()));
        // It must not be somebody else's: everything in it is removed.
        std::fs::create_dir(&path).map_err(|source| DemoError::Directory { path: path.clone(), source })?;
        Ok(Directory { path, is_kept: false })
    }

    /// The file with the secret, made when it is not there.
    fn secret(&self) -> Result<PathBuf, DemoError> {
        use std::io::Write;
        use std::os::unix::fs::OpenOptionsExt;
        let path = self.path.join(SECRET);
        let mut bytes = [0; 32];
        SystemRandom.fill(&mut bytes);
        let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let made = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        match made.and_then(|mut file| file.write_all(text.as_bytes())) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                Err(DemoError::Directory { path, source: error })
            }
            _ => Ok(path),
        }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if !self.is_kept
            && let Err(error) = std::fs::remove_dir_all(&self.path)
        {
            eprintln!("photondb: {} could not be removed: {error}", self.path.display());
        }
    }
}
