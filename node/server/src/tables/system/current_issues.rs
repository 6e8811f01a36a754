//! `current_issues`: problems that need an administrator.

use photondb_reql::datum::Datum;
use photondb_reql::error::Result;

use super::{Contents, Viewer};

/// The table. A cluster of one node has none of RethinkDB's issues while it answers at all.
pub(super) struct CurrentIssues;

impl Contents for CurrentIssues {
    fn rows(&self, _viewer: &Viewer<'_>) -> Result<Vec<Datum>> {
        Ok(Vec::new())
    }
}
