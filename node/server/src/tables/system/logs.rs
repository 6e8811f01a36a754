//! `logs`: what the servers logged. Lines go to the process's own output and are not kept, so there are none.

use photondb_reql::datum::Datum;
use photondb_reql::error::Result;

use super::{Contents, Viewer};

/// The table.
pub(super) struct Logs;

impl Contents for Logs {
    fn rows(&self, _viewer: &Viewer<'_>) -> Result<Vec<Datum>> {
        Ok(Vec::new())
    }
}
