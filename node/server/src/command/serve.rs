//! `photondb serve`: a node until it is told to stop.

use std::path::Path;
use std::sync::Arc;

use clap::ArgMatches;
use clap::parser::ValueSource;
use tokio::sync::Notify;

use super::signals::{Signals, Told};
use crate::config::options::OPTIONS;
use crate::config::{Config, ConfigError, Given};
use crate::node::{Node, StartError};
use crate::outside::{OnLeft, Outside};
use crate::scripts::ScriptProgram;
use crate::telemetry;

/// Why the node did not start, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Log(#[from] telemetry::BadLogLevel),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("cannot wait for signals: {0}")]
    Signals(std::io::Error),
    #[error("the node did not shut down cleanly (nothing acknowledged is lost; the next start replays the log): {0}")]
    Stop(photondb_storage::StorageError),
}

/// What the command line says.
pub fn flags(arguments: &ArgMatches) -> Given {
    let mut given = Given::default();
    for option in OPTIONS.iter().filter(|option| arguments.value_source(option.name) == Some(ValueSource::CommandLine))
    {
        match option.value {
            Some(_) => {
                for value in arguments.get_many::<String>(option.name).into_iter().flatten() {
                    given.add(option.name, value).expect("the table names options");
                }
            }
            None => given.add(option.name, "true").expect("the table names options"),
        }
    }
    given
}

/// What ends the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// A signal.
    Signal,
    /// A signal, or that whoever started it closes the pipe to it, by ending for one.
    EndOfInput,
}

pub(super) fn run(arguments: &ArgMatches, until: Until) -> Result<(), ServeError> {
    let mut config = Config::load(flags(arguments), std::env::vars())?;
    use_this_program_for_scripts(&mut config);
    use_small_pages();
    telemetry::start_log(&config)?;
    // Handlers stand before anything else does, so that a signal during the start is not lost.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(ServeError::Signals)?;
    let mut signals = {
        let _inside = runtime.enter();
        let signals = Signals::new().map_err(ServeError::Signals)?;
        match until {
            Until::Signal => signals,
            Until::EndOfInput => signals.and_end_of_input().map_err(ServeError::Signals)?,
        }
    };
    let left = Arc::new(Notify::new());
    let starting = Node::open(config, Outside { left: says(&left), ..Outside::system() });
    let node = runtime.block_on(async {
        tokio::select! {
            biased;
            node = starting => node.map(Some),
            signal = signals.next() => {
                tracing::info!("{signal} received before the node was in its cluster");
                Ok(None)
            }
        }
    })?;
    // Nothing was acknowledged, and what its threads are at the next start takes up again.
    let Some(node) = node else { std::process::exit(0) };
    print!("{}", node.banner());
    let told = runtime.block_on(async {
        tokio::select! {
            first = signals.next() => {
                tracing::info!("{first} received: no new connections; running queries may finish");
                Some(first)
            }
            () = left.notified() => None,
        }
    });
    std::thread::Builder::new()
        .name("second-signal".to_owned())
        .spawn(move || {
            if told.is_none() {
                let first = runtime.block_on(signals.next());
                tracing::info!("{first} received: the node is stopping already");
            }
            let second = runtime.block_on(signals.next());
            tracing::warn!("{second} received: ending at once");
            std::process::exit(1);
        })
        .map_err(ServeError::Signals)?;
    // Whoever started it, and others with it, is gone.
    let stopped = if told == Some(Told::EndOfInput) { node.stop_with_the_others() } else { node.stop() };
    stopped.map_err(ServeError::Stop)?;
    tracing::info!("stopped");
    Ok(())
}

/// What tells that the cluster has let the node go.
fn says(left: &Arc<Notify>) -> OnLeft {
    let left = left.clone();
    Arc::new(move |reason| {
        tracing::info!("{reason}; it stops now");
        left.notify_one();
    })
}

/// The very program that runs, also when its file has been replaced meanwhile.
fn use_this_program_for_scripts(config: &mut Config) {
    if config.scripts == ScriptProgram::Missing {
        let program = Path::new("/proc/self/exe");
        let program = if program.exists() { Some(program.to_owned()) } else { std::env::current_exe().ok() };
        config.scripts = program.map_or(ScriptProgram::Missing, ScriptProgram::At);
    }
}

/// The allocator asks for huge pages, of which each thread then touches a few: an idle node would take twice its memory.
fn use_small_pages() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::debug!(%error, "huge pages stay as the system has them");
    }
}
