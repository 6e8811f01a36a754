//! One query's process.

use std::sync::Arc;
use std::time::Duration;

use photondb_javascript::message::{MessageError, Reply, Request, Run};
use photondb_query::script::{Realm, ScriptError};
use photondb_reql::Str;
use photondb_reql::datum::Datum;
use photondb_reql::eval::{Cx, Script, Scripted};
use photondb_runtime::fiber;
use photondb_runtime::task::timeout;

use super::ScriptProcesses;
use super::process::{ExchangeError, Process};
use crate::limits::SCRIPT_REQUEST_BYTES_MAX;

pub(super) struct ProcessRealm {
    processes: Arc<ScriptProcesses>,
    /// Nothing once it was killed.
    process: Option<Process>,
    /// Whose query it is.
    user: Str,
    /// A request is out, or a reply was no reply: nobody else may have the process.
    spoilt: bool,
}

impl ProcessRealm {
    pub fn new(processes: Arc<ScriptProcesses>, process: Process, user: Str) -> ProcessRealm {
        ProcessRealm { processes, process: Some(process), user, spoilt: false }
    }
}

impl Realm for ProcessRealm {
    fn run(&mut self, script: &Script, arguments: Option<&[Datum]>, cx: &Cx) -> Result<Scripted, ScriptError> {
        // Arguments share memory, a message has each for itself.
        let bytes = arguments.iter().flat_map(|all| all.iter()).map(Datum::size_hint);
        let bytes = bytes.fold(script.source.len(), usize::saturating_add);
        if bytes > SCRIPT_REQUEST_BYTES_MAX {
            return Err(ScriptError::TooLong { bytes });
        }
        cx.hold(bytes).map_err(ScriptError::Memory)?;
        let array_limit = cx.limits().array;
        let run =
            Run { source: script.source.as_str().to_owned(), arguments: arguments.map(<[Datum]>::to_vec), array_limit };
        let request = Request::Run(run).encode().map_err(|error| match error {
            MessageError::TooLong { bytes, .. } => ScriptError::TooLong { bytes },
            _ => ScriptError::Crashed,
        })?;
        let Some(process) = &mut self.process else { return Err(ScriptError::Crashed) };
        self.spoilt = true;
        let time = Duration::from_millis(script.timeout_ms);
        match fiber::wait(timeout(time, process.exchange(&request, cx))) {
            Ok(Ok(reply)) => {
                self.spoilt = false;
                match reply {
                    Reply::Value(datum) => Ok(Scripted::Value(datum)),
                    Reply::Function => Ok(Scripted::Function),
                    Reply::Failed(text) => Err(ScriptError::Failed(text)),
                }
            }
            Ok(Err(ExchangeError::Memory(error))) => Err(ScriptError::Memory(error)),
            Ok(Err(error)) => {
                tracing::warn!(%error, "a process for JavaScript failed");
                Err(ScriptError::Crashed)
            }
            Err(_) => Err(ScriptError::TimedOut),
        }
    }
}

impl Drop for ProcessRealm {
    fn drop(&mut self) {
        match self.process.take() {
            Some(process) if self.spoilt => self.processes.kill(process, &self.user),
            Some(process) => self.processes.give_back(process, &self.user),
            None => {}
        }
    }
}
