//! The processes that run scripts of `r.js`: this program again, as `photondb javascript-worker`, each for one query at a
//! time.
//!
//! A process can be ended whatever it is at, and an engine written in C that is led astray takes nothing along. Why not a
//! thread: docs/decisions/0005.

mod places;
mod process;
mod realm;

use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use metrics::{counter, gauge};
use parking_lot::Mutex;
use photondb_query::script::{Realm, Scripts};
use photondb_reql::Str;
use photondb_reql::error::{Error, Result};

use crate::limits::SCRIPT_PROCESSES_IDLE_MAX;
use places::Places;
use process::{Ending, Idle, Process};
use realm::ProcessRealm;

/// What a node may run scripts with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScriptProgram {
    /// Nothing: an option says so.
    Off,
    /// Nothing: this process is not `photondb`.
    Missing,
    /// The program, which knows `javascript-worker`.
    At(PathBuf),
}

/// The processes of one node.
pub struct ScriptProcesses {
    program: ScriptProgram,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Held by queries.
    places: Places,
    /// Those that wait for the next query; their realm is fresh.
    idle: Vec<Idle>,
    /// Those that were killed; forgotten when a later query begins or ends and finds them gone.
    ending: Vec<Ending>,
}

impl ScriptProcesses {
    /// None runs before it is needed.
    pub fn new(program: ScriptProgram) -> Arc<ScriptProcesses> {
        Arc::new(ScriptProcesses { program, state: Mutex::default() })
    }

    /// The engine as sessions see it.
    pub fn engine(self: &Arc<Self>) -> Rc<dyn Scripts> {
        Rc::new(Engine(self.clone()))
    }

    fn take(&self, user: &Str) -> Result<Process> {
        let program = match &self.program {
            ScriptProgram::At(program) => program,
            ScriptProgram::Off => {
                return Err(Error::op_failed(
                    "JavaScript is not allowed on this server (it was started with `--no-javascript`).",
                ));
            }
            ScriptProgram::Missing => return Err(Error::op_failed("JavaScript cannot be run by this program.")),
        };
        let idle = {
            let mut state = self.state.lock();
            state.ending.retain_mut(|ending| !ending.is_over());
            state.places.take(user).map_err(|refusal| Error::resource(refusal.to_string()))?;
            let idle = std::iter::from_fn(|| state.idle.pop()).find_map(Idle::wake);
            state.report();
            idle
        };
        let process = match idle {
            Some(process) => Ok(process),
            None => Process::start(program),
        };
        process.map_err(|error| {
            let mut state = self.state.lock();
            state.places.give_back(user);
            state.report();
            tracing::error!(%error, "a process for JavaScript did not start");
            Error::op_failed(format!("A process for JavaScript did not start: {error}."))
        })
    }

    /// Keeps a process whose query is over, unless there are enough.
    fn give_back(&self, process: Process, user: &Str) {
        let mut state = self.state.lock();
        state.places.give_back(user);
        state.ending.retain_mut(|ending| !ending.is_over());
        if state.idle.len() < SCRIPT_PROCESSES_IDLE_MAX {
            match process.rest() {
                Ok(idle) => state.idle.push(idle),
                Err(ending) => state.ending.push(ending),
            }
        } else {
            state.ending.push(process.kill());
        }
        state.report();
    }

    /// Ends a process in the middle of a script, or one that is broken.
    fn kill(&self, process: Process, user: &Str) {
        counter!("photondb_javascript_killed_total").increment(1);
        let mut state = self.state.lock();
        state.places.give_back(user);
        state.ending.retain_mut(|ending| !ending.is_over());
        state.ending.push(process.kill());
        state.report();
    }
}

impl State {
    fn report(&self) {
        gauge!("photondb_javascript_processes").set((self.places.taken() + self.idle.len()) as f64);
    }
}

struct Engine(Arc<ScriptProcesses>);

impl Scripts for Engine {
    fn realm(&self, user: &str) -> Result<Box<dyn Realm>> {
        let user = Str::from(user);
        let process = self.0.take(&user)?;
        Ok(Box::new(ProcessRealm::new(self.0.clone(), process, user)))
    }
}
