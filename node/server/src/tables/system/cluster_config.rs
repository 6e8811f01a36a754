//! `cluster_config`: one row, `{id: "heartbeat", heartbeat_timeout_secs}`.

use photondb_cluster_state::Command;
use photondb_reql::datum::{Datum, Object};
use photondb_reql::error::{Error, Result};

use super::{Contents, Viewer, fields};

const HEARTBEAT: &str = "heartbeat";
const TIMEOUT: &str = "heartbeat_timeout_secs";

/// The table.
pub(super) struct ClusterConfig;

impl Contents for ClusterConfig {
    fn is_agreed(&self) -> bool {
        true
    }

    fn rows(&self, viewer: &Viewer<'_>) -> Result<Vec<Datum>> {
        let seconds = viewer.state.heartbeat_timeout_secs();
        Ok(vec![Datum::Object(Object::from([("id", Datum::from(HEARTBEAT)), (TIMEOUT, Datum::from(seconds))]))])
    }

    fn write(&self, viewer: &Viewer<'_>, _key: &Datum, old: &Datum, new: &Datum) -> Result<Datum> {
        match (old, new) {
            (Datum::Null, Datum::Null) => Ok(Datum::Null),
            (Datum::Null, _) => {
                Err(Error::op_failed("It's illegal to insert new rows into the `rethinkdb.cluster_config` table."))
            }
            (_, Datum::Null) => {
                Err(Error::op_failed("It's illegal to delete rows from the `rethinkdb.cluster_config` table."))
            }
            (_, new) => {
                let wrong = |what: &str| fields::wrong_format(viewer.table, what);
                let document = new.as_object()?;
                let unknown = fields::unknown(document, &["id", TIMEOUT]);
                if !unknown.is_empty() {
                    return Err(wrong(&format!("Unexpected key(s): {}", unknown.join(", "))));
                }
                let seconds = new.field(TIMEOUT)?.as_number()?;
                if seconds < 2.0 {
                    return Err(wrong("The heartbeat timeout must be at least two seconds"));
                }
                // Whole seconds are kept; a fraction is rounded up so that nobody is declared dead early.
                let seconds = seconds.ceil().min(f64::from(u32::MAX)) as u64;
                viewer.ground.propose(Command::SetHeartbeatTimeout { seconds })?;
                Ok(new.clone())
            }
        }
    }
}
