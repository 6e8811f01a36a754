//! Changes take memory until they are written. Who is about to make some waits here until they may.
//!
//! Three kinds of changes there are, and each waits in its own way. Writers wait before they are evaluated, index builders
//! before each turn. What a leader applies waits for nobody: its writers have waited. What another member applies nobody has
//! waited for (the log of a node that starts is all there at once), so that one waits before each transaction.

use photondb_storage::wal::Purpose;
use photondb_storage::{Engine, StorageError};
use tokio::sync::oneshot;

/// Waits until changes may take memory; dropping the future ends the waiting.
///
/// Errors: [`Engine::admit`]'s. Nobody waits for memory that does not come.
pub(crate) async fn wait_for_memory(engine: &Engine) -> Result<(), StorageError> {
    loop {
        drop(engine.admit(0, Purpose::Write)?);
        if !engine.is_memory_short() {
            return Ok(());
        }
        let (free, freed) = oneshot::channel();
        engine.when_memory_is_free(Box::new(move || {
            // Who no longer waits need not know.
            let _ = free.send(());
        }));
        // It is called, unless the engine is gone; then the next look says so.
        let _ = freed.await;
    }
}

/// Waits on the calling thread until changes may take memory, and helps to write pages meanwhile. When they cannot be
/// written the change is made all the same: it is decided.
pub(crate) fn make_room(engine: &Engine) {
    if engine.is_memory_short()
        && let Err(error) = engine.wait_for_memory()
    {
        tracing::debug!(%error, "a change is applied although memory is short and pages cannot be written");
    }
}
