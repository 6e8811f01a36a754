//! The deterministic function that gives a document its index values.

use std::sync::Arc;

use bytes::Bytes;
use photondb_reql::datum::Datum;
use photondb_reql::eval::stored::version;
use photondb_reql::eval::{Closure, Cx, Func, Function, Scope, compile_function};

use crate::error::ShardError;
use crate::limits::MULTI_INDEX_ENTRIES_MAX;

/// A stored index function, compiled.
#[derive(Clone, Debug)]
pub struct IndexFunction(Arc<Function>);

impl IndexFunction {
    /// Compiles stored bytes.
    pub fn compile(index: &str, definition: &Bytes) -> Result<IndexFunction, ShardError> {
        let fails = |reason: String| ShardError::IndexFunction { index: index.to_owned(), reason };
        match compile_function(definition).map_err(|error| fails(error.to_string()))? {
            Func::Closure(closure) => Ok(IndexFunction(closure.function)),
            _ => Err(fails("it is no function literal".to_owned())),
        }
    }

    /// Whether every version of the evaluator gives the same values by it.
    pub fn is_same_in_every_version(&self) -> bool {
        version::is_same_in_every_version(&self.0)
    }

    /// The values under which `document` stands in the index. None where the function fails: as in RethinkDB, such a
    /// document is simply not in the index.
    pub fn values(&self, document: &Datum, multi: bool, cx: &Cx) -> Vec<Datum> {
        let func = Func::Closure(Closure { function: self.0.clone(), scope: Scope::empty() });
        match func.call_datum(std::slice::from_ref(document), cx) {
            Err(_) => Vec::new(),
            Ok(Datum::Array(elements)) if multi => elements.iter().take(MULTI_INDEX_ENTRIES_MAX).collect(),
            Ok(value) => vec![value],
        }
    }
}
