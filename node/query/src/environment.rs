//! What one query is given from outside.

use std::rc::Rc;
use std::sync::Arc;

use photondb_reql::Str;
use photondb_runtime::clock::Clock;
use photondb_runtime::random::Random;

use crate::catalog::Catalog;
use crate::fetch::Fetch;
use crate::memory::MemoryBudget;
use crate::script::Scripts;

/// The surroundings of a query: one for each session is enough.
#[derive(Clone)]
pub struct Environment {
    /// Names, DDL, users, and through it the tables.
    pub catalog: Rc<dyn Catalog>,
    /// What `http` fetches with.
    pub fetch: Rc<dyn Fetch>,
    /// What runs `r.js`.
    pub scripts: Rc<dyn Scripts>,
    /// Who asks.
    pub user: Str,
    /// For `now()`, squashing and fairness.
    pub clock: Arc<dyn Clock>,
    /// For generated keys, `random()`, `sample` and `uuid()`.
    pub random: Arc<dyn Random>,
    /// Bytes that one query may hold at once.
    pub memory_max: usize,
    /// What all queries of the node may hold together.
    pub memory: Arc<MemoryBudget>,
}
