//! The write hook of a shard's schema, compiled once.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use photondb_reql::eval::{Closure, Func, Function, Scope, stored::compile_hook};
use photondb_shard::shard::View;

use super::Proposer;
use crate::error::ReplicaError;

/// The hook that was compiled last.
#[derive(Default)]
pub(super) struct HookCache(ArcSwapOption<Compiled>);

struct Compiled {
    definition: Bytes,
    function: Arc<Function>,
}

impl Proposer {
    /// The write hook of a schema. Errors: it is of a newer version.
    pub(crate) fn hook(&self, view: &View) -> Result<Option<Func>, ReplicaError> {
        let Some(definition) = &view.schema.write_hook else { return Ok(None) };
        let known = self.hook.0.load_full().filter(|known| known.definition == *definition);
        let compiled = match known {
            Some(known) => known,
            None => {
                let compiled = Arc::new(compile(definition)?);
                self.hook.0.store(Some(compiled.clone()));
                compiled
            }
        };
        Ok(Some(Func::Closure(Closure { function: compiled.function.clone(), scope: Scope::empty() })))
    }
}

fn compile(definition: &Bytes) -> Result<Compiled, ReplicaError> {
    match compile_hook(definition).map_err(ReplicaError::Query)? {
        Func::Closure(closure) => Ok(Compiled { definition: definition.clone(), function: closure.function }),
        _ => Err(ReplicaError::Elsewhere("a write hook is no function literal".to_owned())),
    }
}
