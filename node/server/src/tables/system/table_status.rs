//! `table_status`: how ready each table is.

use photondb_reql::datum::Datum;
use photondb_reql::error::Result;

use super::{Contents, News, Viewer};

/// The table.
pub(super) struct TableStatus;

impl Contents for TableStatus {
    fn rows(&self, viewer: &Viewer<'_>) -> Result<Vec<Datum>> {
        let overview = viewer.ground.overview_of_all(&viewer.state);
        let row = |table: &_| overview.status_of(&viewer.state, table, viewer.format);
        Ok(viewer.state.tables().map(|table| row(table)).collect())
    }

    fn news(&self) -> News {
        News::FromTimeToTime
    }
}
