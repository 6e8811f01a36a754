//! A table as a client asks for it: looked at, waited for where its shards are on their way, and changed by one command (K13).
//!
//! Until that command nothing has changed: a client that goes meanwhile ends it, and one that is refused finds its table as it was.

use std::sync::Arc;
use std::time::Duration;

use photondb_cluster_state::{ClusterState, Command, StateError, Table, TableSettings};
use photondb_proto::{DatabaseId, TableId};
use photondb_reql::error::{Error, Result as QueryResult};
use photondb_runtime::{fiber, task};

use super::resize::{Resize, Unplanned, Unsettled};
use super::{Failure, Ground};
use crate::limits::{RESHAPE_TIME_MAX, SHARDS_LOOK_PERIOD, SHARDS_LOOK_PERIOD_MAX};

/// What is wanted of a table beside its shards.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    /// Where it goes and what it is called there; `None`: it stays.
    pub named: Option<(DatabaseId, String)>,
    /// What of them changes.
    pub settings: TableSettings,
}

/// What somebody planned for a table, and the states before and with it.
pub(crate) struct Reshaping {
    pub before: Arc<ClusterState>,
    pub after: Arc<ClusterState>,
    command: Command,
}

impl Reshaping {
    /// Whether there is anything to propose.
    fn changes(&self) -> bool {
        self.before != self.after
    }

    /// What was looked at once this was carried out: as [`accepted`], if it was proposed.
    pub fn carried_out<T>(&self, looked_at: QueryResult<T>) -> QueryResult<T> {
        if self.changes() { accepted(looked_at) } else { looked_at }
    }
}

/// Changes the state so; the planner and the shards' leaders do the rest. What is planned for a state that changes meanwhile is planned
/// again.
///
/// Errors: those of `plan`; the shards did not come to rest; whatever else the state refuses. Then nothing has changed.
pub(crate) fn carry_out(
    ground: &Ground,
    id: TableId,
    wanted: &Wanted,
    plan: impl Fn(&ClusterState, &Arc<Table>) -> Result<Resize, Unplanned>,
) -> Result<Reshaping, Failure> {
    reshape(ground, id, wanted, plan, |reshaping| {
        if reshaping.changes() {
            ground.propose_raw(reshaping.command.clone()).map_err(hindrance)?;
        }
        Ok(())
    })
}

/// What [`carry_out`] would do, after as long a wait.
pub(crate) fn try_out(
    ground: &Ground,
    id: TableId,
    wanted: &Wanted,
    plan: impl Fn(&ClusterState, &Arc<Table>) -> Result<Resize, Unplanned>,
) -> Result<Reshaping, Failure> {
    reshape(ground, id, wanted, plan, |_| Ok(()))
}

/// What is not known any more of a change that was accepted is no sign that there was none.
pub(crate) fn accepted<T>(looked_at: QueryResult<T>) -> QueryResult<T> {
    looked_at.map_err(|error| {
        Error::op_indeterminate(format!(
            "The change was accepted, but it is not known what became of it: {}",
            error.message
        ))
    })
}

fn reshape(
    ground: &Ground,
    id: TableId,
    wanted: &Wanted,
    plan: impl Fn(&ClusterState, &Arc<Table>) -> Result<Resize, Unplanned>,
    carry: impl Fn(&Reshaping) -> Result<(), Unplanned>,
) -> Result<Reshaping, Failure> {
    let began = ground.now();
    let elapsed = || ground.now().since(began);
    let pause = |pause| fiber::wait(task::sleep(pause));
    let attempt = || -> Result<Reshaping, Unplanned> {
        let before = ground.newest_state()?;
        let stored = before.table(id).ok_or_else(|| Error::op_failed("The table was dropped meanwhile."))?;
        let shards = plan(&before, stored)?.shards(stored);
        let Wanted { named, settings } = wanted.clone();
        let command = Command::Reshape { table: id, named, settings, shards };
        // What would be refused is no entry of the log.
        let (after, _) = before.applied(&command).map_err(|refused| hindrance(Failure::Refused(refused)))?;
        let reshaping = Reshaping { before, after, command };
        carry(&reshaping)?;
        Ok(reshaping)
    };
    insist(elapsed, pause, attempt).map_err(|unplanned| match unplanned {
        Unplanned::Failed(failure) => failure,
        Unplanned::Unsettled(why) => {
            let state = ground.state();
            let name = state.table(id).map_or_else(|| id.to_string(), |table| table.name.clone());
            Failure::Other(refusal(why, &name))
        }
    })
}

/// Tries again what only has to be waited for, until it has lasted too long.
fn insist<T>(
    elapsed: impl Fn() -> Duration,
    pause: impl Fn(Duration),
    attempt: impl Fn() -> Result<T, Unplanned>,
) -> Result<T, Unplanned> {
    let mut period = SHARDS_LOOK_PERIOD;
    loop {
        match attempt() {
            Err(Unplanned::Unsettled(_)) if elapsed() < RESHAPE_TIME_MAX => pause(period),
            outcome => return outcome,
        }
        period = (period * 2).min(SHARDS_LOOK_PERIOD_MAX);
    }
}

/// Refusals that are about the moment end with it.
fn hindrance(failure: Failure) -> Unplanned {
    match failure {
        Failure::Refused(StateError::ShardBusy { .. } | StateError::ShardsChanged { .. }) => {
            Unplanned::Unsettled(Unsettled::Changing)
        }
        Failure::Refused(StateError::ShardJoining { .. }) => Unplanned::Unsettled(Unsettled::Joining),
        failure => Unplanned::Failed(failure),
    }
}

fn refusal(why: Unsettled, table: &str) -> Error {
    let what = match why {
        Unsettled::Splitting => "are still being split",
        Unsettled::Joining => "are still being joined",
        Unsettled::Changing => "have not come to rest",
    };
    Error::op_failed(format!(
        "The shards of table `{table}` {what}; nothing was changed. Wait for the table, and try again."
    ))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use photondb_proto::ShardId;
    use photondb_reql::error::ErrorKind;

    use super::super::samples::{TABLE, cluster, whole};
    use super::*;

    /// What comes of attempts that are hindered until so much time has passed, and how many there were.
    fn insisted(hindered: Duration, by: fn() -> Unplanned) -> (Result<(), Unplanned>, usize, Duration) {
        let (now, attempts) = (Cell::new(Duration::ZERO), Cell::new(0));
        let outcome = insist(
            || now.get(),
            |pause| now.set(now.get() + pause),
            || {
                attempts.set(attempts.get() + 1);
                if now.get() < hindered { Err(by()) } else { Ok(()) }
            },
        );
        (outcome, attempts.get(), now.get())
    }

    #[test]
    fn shards_on_their_way_are_waited_for_and_refused_only_after_the_limit() {
        for why in [Unsettled::Splitting, Unsettled::Joining, Unsettled::Changing] {
            let text = refusal(why, "t").message;
            assert!(
                text.contains("`t`") && text.contains("nothing was changed") && text.contains("try again"),
                "{text}"
            );
        }
        let splitting = || Unplanned::Unsettled(Unsettled::Splitting);
        let (outcome, attempts, _) = insisted(Duration::ZERO, splitting);
        assert!(outcome.is_ok() && attempts == 1);
        let (outcome, ..) = insisted(RESHAPE_TIME_MAX / 2, splitting);
        assert!(outcome.is_ok(), "it came to its end in time");
        let (outcome, attempts, waited) = insisted(Duration::MAX, splitting);
        assert!(matches!(outcome, Err(Unplanned::Unsettled(Unsettled::Splitting))));
        let limits = RESHAPE_TIME_MAX..RESHAPE_TIME_MAX + SHARDS_LOOK_PERIOD_MAX;
        assert!(limits.contains(&waited), "{waited:?}");
        assert!(attempts < 100, "each of them asks other nodes: {attempts}");
    }

    #[test]
    fn what_was_planned_for_what_has_changed_is_planned_again_and_nothing_else_is_tried_twice() {
        let shard = ShardId(4);
        for refused in [
            StateError::ShardBusy { shard },
            StateError::ShardJoining { shard },
            StateError::ShardsChanged { table: "t".into() },
        ] {
            let hindered = hindrance(Failure::Refused(refused.clone()));
            assert!(matches!(hindered, Unplanned::Unsettled(_)), "{refused:?}");
        }
        let (outcome, attempts, _) = insisted(Duration::MAX, || {
            hindrance(Failure::Refused(StateError::TableExists { database: "d".into(), table: "t".into() }))
        });
        assert!(matches!(outcome, Err(Unplanned::Failed(Failure::Refused(StateError::TableExists { .. })))));
        assert_eq!(attempts, 1);
        // It may have been accepted.
        let (outcome, attempts, _) =
            insisted(Duration::MAX, || hindrance(Failure::Other(Error::op_indeterminate("no answer"))));
        assert!(
            matches!(outcome, Err(Unplanned::Failed(Failure::Other(error))) if error.kind == ErrorKind::OpIndeterminate)
        );
        assert_eq!(attempts, 1);
    }

    #[test]
    fn what_is_not_known_of_a_change_that_was_accepted_is_told_apart_from_a_refusal() {
        let unknown = accepted::<()>(Err(Error::op_failed("nobody leads"))).expect_err("is an error still");
        assert_eq!(unknown.kind, ErrorKind::OpIndeterminate);
        let text = "The change was accepted, but it is not known what became of it: nobody leads";
        assert_eq!(unknown.message, text);
        let before = cluster(whole(&[1]));
        let command = Command::DropTable { id: TABLE };
        let after = before.applied(&command).expect("is there").0;
        let look = |after: &Arc<ClusterState>| {
            let reshaping = Reshaping { before: before.clone(), after: after.clone(), command: command.clone() };
            reshaping.carried_out::<()>(Err(Error::op_failed("nobody leads"))).expect_err("is an error still")
        };
        assert_eq!(look(&after).message, text);
        let nothing_proposed = look(&before);
        assert_eq!((nothing_proposed.kind, &*nothing_proposed.message), (ErrorKind::OpFailed, "nobody leads"));
    }
}
