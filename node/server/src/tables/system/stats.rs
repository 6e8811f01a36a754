//! `stats`: rates and totals. Nothing is measured by table yet, so there are no rows.

use photondb_reql::datum::Datum;
use photondb_reql::error::Result;

use super::{Contents, Viewer};

/// The table.
pub(super) struct Stats;

impl Contents for Stats {
    fn rows(&self, _viewer: &Viewer<'_>) -> Result<Vec<Datum>> {
        Ok(Vec::new())
    }
}
