//! What runs the scripts of `r.js`, as a query sees it.

use photondb_reql::datum::Datum;
use photondb_reql::error::{Error, Result};
use photondb_reql::eval::{Cx, Script, Scripted};

/// The engine. One for each session is enough.
pub trait Scripts {
    /// A realm for the scripts of one query of `user`. Errors: scripts are not allowed; too many queries run some, or too many
    /// of this user.
    fn realm(&self, user: &str) -> Result<Box<dyn Realm>>;
}

/// The scripts of one query: they share a global object that nobody else sees. Dropping a realm ends what runs in it.
pub trait Realm {
    /// Runs a script, or with `arguments` calls the function that it gives; parks the fiber. What goes over and comes back is
    /// counted in `cx`, and left for the caller to give back. After [`ScriptError::TimedOut`],
    /// [`ScriptError::Crashed`] and [`ScriptError::Memory`] the realm is good for nothing.
    fn run(
        &mut self,
        script: &Script,
        arguments: Option<&[Datum]>,
        cx: &Cx,
    ) -> std::result::Result<Scripted, ScriptError>;
}

/// Why a script gave nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    /// It is wrong, threw, or gave something that is no value. The text is for the client.
    #[error("{0}")]
    Failed(String),
    /// It did not end in its time.
    #[error("timed out")]
    TimedOut,
    /// What ran it has gone.
    #[error("crashed")]
    Crashed,
    /// The query may not hold what goes over, or what comes back.
    #[error(transparent)]
    Memory(Error),
    /// Arguments and source are more than can be handed over.
    #[error("a message of {bytes} bytes is too long")]
    TooLong { bytes: usize },
}

impl ScriptError {
    /// The error of the query, in RethinkDB's words.
    pub(crate) fn of(self, script: &Script) -> Error {
        let source = &script.source;
        match self {
            ScriptError::Failed(text) => Error::logic(text),
            ScriptError::TimedOut => {
                let (seconds, millis) = (script.timeout_ms / 1_000, script.timeout_ms % 1_000);
                Error::logic(format!("JavaScript query `{source}` timed out after {seconds}.{millis:03} seconds."))
            }
            ScriptError::Crashed => {
                Error::internal(format!("Javascript query `{source}` caused a crash in a worker process."))
            }
            ScriptError::Memory(error) => error,
            ScriptError::TooLong { bytes } => Error::resource(format!(
                "The arguments of a JavaScript function take {bytes} bytes, which is too much."
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use photondb_reql::error::ErrorKind;
    use photondb_reql::{BacktraceId, Str};

    use super::*;

    #[test]
    fn a_crash_is_nothing_that_the_query_did() {
        let script = Script { source: Str::from("f()"), timeout_ms: 1_500, id: BacktraceId::NONE };
        let crashed = ScriptError::Crashed.of(&script);
        assert_eq!(crashed.kind, ErrorKind::Internal);
        assert_eq!(crashed.message, "Javascript query `f()` caused a crash in a worker process.");
        let late = ScriptError::TimedOut.of(&script);
        assert_eq!(late.kind, ErrorKind::QueryLogic);
        assert_eq!(late.message, "JavaScript query `f()` timed out after 1.500 seconds.");
    }
}
