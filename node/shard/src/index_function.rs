//! The deterministic function that gives a document its index values.

use std::sync::Arc;

use bytes::Bytes;
use photondb_reql::datum::Datum;
use photondb_reql::eval::{Closure, Cx, Func, Function, Scope, compile_function};

use crate::error::ShardError;
use crate::limits::MULTI_INDEX_ENTRIES_MAX;

/// A stored index function, compiled.
#[derive(Clone, Debug)]
pub struct IndexFunction(Arc<Function>);

impl IndexFunction {
    /// Compiles stored bytes.
    pub fn compile(index: &str, definition: &Bytes) -> Result<IndexFunction, ShardError> {
        compile_function(definition)
            .map(IndexFunction)
            .map_err(|error| ShardError::IndexFunction { index: index.to_owned(), reason: error.to_string() })
    }

    /// The values under which `document` stands in the index. None where the function fails: as in RethinkDB, such a
    /// document is simply not in the index.
    pub fn values(&self, document: &Datum, multi: bool, cx: &Cx) -> Vec<Datum> {
        let func = Func::Closure(Closure { function: self.0.clone(), scope: Scope::empty() });
        match func.call_datum(std::slice::from_ref(document), cx) {
            Err(_) => Vec::new(),
            Ok(Datum::Array(elements)) if multi => {
                let mut values: Vec<Datum> = elements.iter().take(MULTI_INDEX_ENTRIES_MAX).collect();
                values.sort();
                values.dedup();
                values
            }
            Ok(value) => vec![value],
        }
    }
}
