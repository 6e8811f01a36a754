//! Each document behaves as if every operation on it took effect at one moment between its beginning and its end.
//!
//! Just-in-time linearization (G. Lowe, "Testing for linearizability", 2017, section 3): walk over beginnings and ends
//! in order, holding every configuration that the answers so far allow: the document's value, and which of the operations
//! that go on have taken effect. An operation takes effect no earlier than some end makes it necessary. One whose outcome
//! is not known may have taken effect until the node that had it was followed by another, or never.

use std::collections::BTreeSet;

use crate::checker::Violation;
use crate::history::{Key, Operation, Outcome, Value};

/// One possible past: the value, and a bit for each slot whose operation has taken effect.
type Configuration = (Value, u64);

/// Slots of operations that go on at once; more are not simulated.
const SLOTS: usize = 64;

/// Checks the operations on document `key`. Those that have not ended are taken as unknown.
pub fn check(operations: &[Operation], key: Key) -> Result<(), Violation> {
    let concerned: Vec<_> = operations
        .iter()
        .filter(|operation| operation.key == key && operation.outcome != Some(Outcome::Failed))
        .collect();
    let mut moments = Vec::with_capacity(2 * concerned.len());
    for (index, operation) in concerned.iter().enumerate() {
        moments.push((operation.began, index, true));
        moments.push((operation.ended.unwrap_or(u64::MAX), index, false));
    }
    moments.sort_unstable();
    let mut pasts = Pasts { configurations: BTreeSet::from([(None, 0)]), slots: vec![None; SLOTS] };
    let mut slot_of = vec![0; concerned.len()];
    for (_, index, begins) in moments {
        let operation = concerned[index];
        if begins {
            slot_of[index] = pasts.begin(operation);
            continue;
        }
        let before = pasts.configurations.clone();
        pasts.end(slot_of[index], operation);
        if pasts.configurations.is_empty() {
            let evidence = format!("document {key}: {operation:?} fits none of {before:?}");
            return Err(Violation { property: "linearizable", evidence });
        }
    }
    Ok(())
}

struct Pasts<'a> {
    configurations: BTreeSet<Configuration>,
    /// Operations that go on.
    slots: Vec<Option<&'a Operation>>,
}

impl<'a> Pasts<'a> {
    fn begin(&mut self, operation: &'a Operation) -> usize {
        let slot = self.slots.iter().position(Option::is_none).expect("a run has fewer clients than there are slots");
        self.slots[slot] = Some(operation);
        slot
    }

    fn end(&mut self, slot: usize, operation: &Operation) {
        let bit = 1 << slot;
        let mut after = BTreeSet::new();
        let mut seen = self.configurations.clone();
        let mut open: Vec<Configuration> = seen.iter().copied().collect();
        let is_known = !matches!(operation.outcome, None | Some(Outcome::Unknown));
        if !is_known {
            after.extend(self.configurations.iter().filter(|(_, done)| done & bit == 0));
        }
        while let Some((value, done)) = open.pop() {
            if done & bit != 0 {
                after.insert((value, done & !bit));
                continue;
            }
            for (other, operation) in self.slots.iter().enumerate() {
                let Some(operation) = operation.filter(|_| done & (1 << other) == 0) else { continue };
                let (next, outcome) = operation.action.step(value);
                let fits = operation.outcome.is_none_or(|seen| seen == Outcome::Unknown || seen == outcome);
                if fits && seen.insert((next, done | 1 << other)) {
                    open.push((next, done | 1 << other));
                }
            }
        }
        self.configurations = after;
        self.slots[slot] = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Action;

    fn operation(action: Action, began: u64, ended: Option<u64>, outcome: Option<Outcome>) -> Operation {
        Operation { client: 1, life: 1, key: 0, action, began, ended, outcome }
    }

    fn read(began: u64, ended: u64, value: Value) -> Operation {
        operation(Action::Read, began, Some(ended), Some(Outcome::Found(value)))
    }

    fn put(value: i64, began: u64, ended: u64, old: Value) -> Operation {
        operation(Action::Put(value), began, Some(ended), Some(Outcome::Changed { old, new: Some(value) }))
    }

    #[test]
    fn a_read_sees_the_last_write() {
        assert!(check(&[put(1, 1, 2, None), read(3, 4, Some(1))], 0).is_ok());
        assert!(check(&[put(1, 1, 2, None), read(3, 4, None)], 0).is_err());
        assert!(check(&[put(1, 1, 5, None), read(2, 3, None), read(4, 6, Some(1))], 0).is_ok());
    }

    #[test]
    fn nobody_sees_a_value_go_back() {
        let history = [put(1, 1, 8, None), read(2, 3, Some(1)), read(4, 5, None)];
        assert!(check(&history, 0).is_err());
    }

    #[test]
    fn an_unknown_write_happens_once_or_never() {
        let unknown = |ended| operation(Action::Increment, 3, ended, Some(Outcome::Unknown));
        let begin = put(10, 1, 2, None);
        for value in [10, 11] {
            assert!(check(&[begin.clone(), unknown(Some(9)), read(4, 5, Some(value))], 0).is_ok());
        }
        assert!(check(&[begin.clone(), unknown(Some(9)), read(4, 5, Some(12))], 0).is_err());
        assert!(check(&[begin.clone(), unknown(Some(9)), read(10, 11, Some(10)), read(12, 13, Some(11))], 0).is_err());
        assert!(check(&[begin, unknown(None), read(10, 11, Some(10)), read(12, 13, Some(11))], 0).is_ok());
    }

    #[test]
    fn answers_of_writes_are_looked_at() {
        let increments = |second_old, second_new| {
            let changed = |old, new| Some(Outcome::Changed { old: Some(old), new: Some(new) });
            vec![
                put(0, 1, 2, None),
                operation(Action::Increment, 3, Some(5), changed(0, 1)),
                operation(Action::Increment, 4, Some(6), changed(second_old, second_new)),
            ]
        };
        assert!(check(&increments(1, 2), 0).is_ok());
        assert!(check(&increments(0, 1), 0).is_err());
    }
}
