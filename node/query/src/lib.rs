//! Terms to answers, over tables: reads and writes, DDL, changefeeds. The pure language is `photondb-reql`; what it needs
//! of the world is here, and this crate in turn sees the world only through [`table::Table`], [`catalog::Catalog`], [`fetch::Fetch`] (`http`) and
//! [`script::Scripts`] (`r.js`).
//!
//! Reading order: [`run`] (a query's life), [`table`] and [`catalog`] (the seams), [`write`] (what becomes of a
//! document); then the private parts: `selection` and `row` (tables and documents as values), `plan` (by which index a table is
//! read), `terms` (one file a family), `changefeed`, `explain`.

pub mod catalog;
mod changefeed;
mod definition;
pub mod environment;
mod explain;
pub mod fetch;
mod index_function;
mod keys;
pub mod limits;
pub mod memory;
mod mismatch;
mod observed;
mod pace;
mod plan;
mod print;
mod row;
pub mod run;
pub mod script;
mod selection;
mod surroundings;
pub mod table;
mod terms;
mod times;
mod world;
pub mod write;

pub use environment::Environment;
pub use memory::{MemoryBudget, MemoryShare};
pub use pace::Pace;
pub use run::{Answer, Cursor, CursorBatch, Outcome, Prepared, prepare, start};
