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
            (_, Datum::Null) => {
                Err(Error::op_failed("It's illegal to delete rows from the `rethinkdb.cluster_config` table."))
            }
            (Datum::Null, _) => {
                Err(Error::op_failed("It's illegal to insert new rows into the `rethinkdb.cluster_config` table."))
            }
            (old, new) => {
                let seconds = seconds(new.as_object()?).map_err(Error::op_failed)?;
                if new != old {
                    viewer.ground.propose(Command::SetHeartbeatTimeout { seconds })?;
                }
                Ok(new.clone())
            }
        }
    }
}

/// What a row says. Errors say what is wrong with it.
fn seconds(row: &Object) -> std::result::Result<u64, String> {
    let seconds = match fields::required(row, TIMEOUT)? {
        Datum::Number(seconds) if seconds < 2.0 => {
            return Err("The heartbeat timeout must be at least two seconds".to_owned());
        }
        Datum::Number(seconds) => seconds,
        other => return Err(format!("Expected a number; got {}", other.print())),
    };
    fields::no_others(row, &["id", TIMEOUT])?;
    // Whole seconds are kept; a fraction is rounded up so that nobody is declared dead early.
    Ok(seconds.ceil().min(f64::from(u32::MAX)) as u64)
}
