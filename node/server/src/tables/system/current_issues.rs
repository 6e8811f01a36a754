//! `current_issues`: problems that need an administrator, in RethinkDB's kinds, and `foreign_cluster`. Names collide in no cluster
//! of PhotonDB: the cluster state refuses the second of a name.

mod availability;
mod indexes;
mod servers;

use photondb_reql::datum::Datum;
use photondb_reql::error::Result;

use super::issue::{Issue, examine, foreign_clusters};
use super::{Contents, News, Viewer};

/// The table.
pub(super) struct CurrentIssues;

impl Contents for CurrentIssues {
    fn rows(&self, viewer: &Viewer<'_>) -> Result<Vec<Datum>> {
        let patients = examine(viewer);
        let mut issues = availability::of_tables(viewer);
        issues.extend(servers::log_write_errors(viewer, &patients));
        issues.extend(servers::memory_errors(viewer, &patients));
        issues.extend(servers::non_transitive(viewer, &patients));
        issues.extend(indexes::outdated(viewer, &patients));
        issues.extend(foreign_clusters(viewer, &patients));
        Ok(issues.into_iter().map(Issue::document).collect())
    }

    fn news(&self) -> News {
        News::FromTimeToTime
    }
}
