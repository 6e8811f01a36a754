//! `table_status`: how ready each table is.

use photondb_reql::datum::Datum;
use photondb_reql::error::Result;

use super::{Contents, Viewer};
use crate::catalog;

/// The table.
pub(super) struct TableStatus;

impl Contents for TableStatus {
    fn rows(&self, viewer: &Viewer<'_>) -> Result<Vec<Datum>> {
        let row = |table: &_| catalog::status_of(viewer.ground, &viewer.state, table, viewer.format);
        Ok(viewer.state.tables().map(|table| row(table)).collect())
    }
}
