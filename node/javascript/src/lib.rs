//! JavaScript for `r.js`: an engine with limits, and the messages by which another process is asked to run it.
//!
//! Only this crate names the engine (QuickJS). It has no module loader, no file, no socket and no timer: what a script
//! sees is the language and its arguments. Memory, stack, and the size of what comes back are bounded here; time is
//! bounded by whoever started the process, which ends it (docs/decisions/0005).
//!
//! Reading order: [`message`] (what is asked and answered), [`realm`] (one query's scripts), [`worker`] (the loop of the
//! process).

pub mod limits;
pub mod message;
pub mod realm;
pub mod worker;

pub use message::{MessageError, Reply, Request, Run};
pub use realm::Realm;
