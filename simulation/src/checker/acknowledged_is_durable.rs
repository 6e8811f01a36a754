//! After a restart each document is what an acknowledged write made it, or one whose outcome is not known, and no write
//! acknowledged later is missing. `linearizable` implies it; this says it in words, at the restart where it breaks.

use crate::checker::Violation;
use crate::history::{Action, Key, Operation, Outcome, Value};

/// Whether `found`, read after a restart, may be what document `key` holds.
pub fn check(operations: &[Operation], key: Key, found: Value) -> Result<(), Violation> {
    let writes: Vec<_> = operations.iter().filter(|operation| operation.key == key).collect();
    let acknowledged = |operation: &&&Operation| operation.acknowledged().is_some();
    let newest_beginning = writes.iter().filter(acknowledged).map(|write| write.began).max();
    let explained = match newest_beginning {
        None => found.is_none() || writes.iter().any(|write| may_have_made(write, found)),
        // What had ended before the newest acknowledged write began was overwritten by it.
        Some(newest) => writes.iter().any(|write| {
            let was_overwritten = write.ended.is_some_and(|ended| ended < newest);
            !was_overwritten && may_have_made(write, found)
        }),
    };
    if explained {
        return Ok(());
    }
    let newest = writes.iter().rfind(acknowledged);
    let evidence = format!("document {key} is {found:?} after a restart; the newest acknowledged write was {newest:?}");
    Err(Violation { property: "acknowledged is durable", evidence })
}

fn may_have_made(write: &Operation, found: Value) -> bool {
    match (write.outcome, write.action) {
        (Some(Outcome::Changed { new, .. }), _) => new == found,
        (Some(Outcome::Found(_) | Outcome::Refused | Outcome::Failed), _) | (_, Action::Read) => false,
        (None | Some(Outcome::Unknown), Action::Insert(value) | Action::Put(value) | Action::Update(value)) => {
            found == Some(value)
        }
        (None | Some(Outcome::Unknown), Action::Increment) => found.is_some(),
        (None | Some(Outcome::Unknown), Action::Delete) => found.is_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(began: u64, ended: Option<u64>, value: i64, outcome: Option<Outcome>) -> Operation {
        Operation { client: 1, life: 1, key: 0, action: Action::Put(value), began, ended, outcome }
    }

    fn changed(old: Value, new: i64) -> Option<Outcome> {
        Some(Outcome::Changed { old, new: Some(new) })
    }

    #[test]
    fn the_newest_acknowledged_write_is_there_or_an_unknown_one() {
        let history = [
            put(1, Some(2), 10, changed(None, 10)),
            put(3, Some(4), 20, changed(Some(10), 20)),
            put(5, None, 30, None),
        ];
        assert!(check(&history, 0, Some(20)).is_ok());
        assert!(check(&history, 0, Some(30)).is_ok());
        assert!(check(&history, 0, Some(10)).is_err(), "it was overwritten");
        assert!(check(&history, 0, None).is_err(), "it is lost");
        assert!(check(&history, 0, Some(40)).is_err(), "nobody wrote it");
    }

    #[test]
    fn writes_side_by_side_come_in_either_order() {
        let history = [put(1, Some(4), 10, changed(None, 10)), put(2, Some(3), 20, changed(Some(10), 20))];
        assert!(check(&history, 0, Some(10)).is_ok());
        assert!(check(&history, 0, Some(20)).is_ok());
        assert!(check(&history, 0, None).is_err());
    }
}
