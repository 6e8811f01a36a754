//! Histories of documents that are right, the same made wrong in one place, and small ones whose verdict is plain.

use serde_json::json;

use super::*;
use crate::imagined::{Shape, history};
use crate::ledger::{Call, ClientId, Fate, Ledger, Micros};
use crate::linearizable::{STEPS_MAX, Verdict, check_object};
use crate::random::Random;

type Calls = Vec<Call<Ask, Said>>;

fn is_right(calls: &Calls) -> bool {
    match check_object(&Document, calls, STEPS_MAX) {
        Verdict::Linearizable => true,
        Verdict::Violated(_) => false,
        Verdict::Undecided { steps } => panic!("undecided after {steps}"),
    }
}

/// One call after the other.
fn in_a_row(calls: &[(Ask, Fate<Said>)]) -> Calls {
    let mut ledger = Ledger::default();
    for (ask, fate) in calls {
        let id = ledger.begin(ClientId(0), Micros(0), *ask);
        ledger.end(id, fate.clone());
    }
    ledger.calls().to_vec()
}

fn found(value: impl Into<Option<i64>>) -> (Ask, Fate<Said>) {
    (Ask::Read, Fate::Answered(Said::Found(value.into())))
}

fn set(old: impl Into<Option<i64>>, new: i64) -> (Ask, Fate<Said>) {
    (Ask::Set(new), Fate::Answered(Said::Changed { old: old.into(), new: Some(new) }))
}

fn swapped(old: i64, new: i64) -> (Ask, Fate<Said>) {
    (Ask::Swap(old, new), Fate::Answered(Said::Changed { old: Some(old), new: Some(new) }))
}

#[test]
fn an_acknowledged_write_stays() {
    assert!(is_right(&in_a_row(&[set(None, 1), found(1)])));
    assert!(!is_right(&in_a_row(&[set(None, 1), found(None)])));
    assert!(!is_right(&in_a_row(&[set(None, 1), set(1, 2), found(1)])));
    assert!(!is_right(&in_a_row(&[set(None, 1), set(None, 2)])), "the second did not see the first");
}

#[test]
fn a_value_is_swapped_once() {
    assert!(is_right(&in_a_row(&[set(None, 1), swapped(1, 2), found(2)])));
    assert!(!is_right(&in_a_row(&[set(None, 1), swapped(1, 2), swapped(1, 3)])));
}

#[test]
fn a_write_of_unknown_fate_is_seen_or_not_but_does_not_come_and_go() {
    let unknown = (Ask::Set(2), Fate::Unknown);
    for seen in [[1, 1], [1, 2], [2, 2]] {
        let calls = in_a_row(&[set(None, 1), unknown.clone(), found(seen[0]), found(seen[1])]);
        assert!(is_right(&calls), "{seen:?}");
    }
    assert!(!is_right(&in_a_row(&[set(None, 1), unknown, found(2), found(1)])));
}

#[test]
fn a_write_that_failed_for_sure_is_never_seen() {
    let failed = (Ask::Set(2), Fate::Nothing);
    assert!(is_right(&in_a_row(&[set(None, 1), failed.clone(), found(1)])));
    assert!(!is_right(&in_a_row(&[set(None, 1), failed, found(2)])));
}

fn drawn(seed: u64) -> Calls {
    let (mut random, mut fresh) = (Random::new(seed), 0);
    let shape = Shape { clients: 6, calls: 200, unknown_in: 15, nothing_in: 30 };
    history(&Document, shape, &mut random, |random| {
        fresh += 1;
        match random.below(10) {
            0..4 => Ask::Read,
            4..6 => Ask::Set(fresh),
            6..9 => Ask::Swap(fresh - 1 - random.below(3) as i64, fresh),
            _ => Ask::Delete,
        }
    })
}

#[test]
fn what_a_right_server_does_is_right_and_one_old_answer_is_not() {
    let mut noticed = 0;
    for seed in 0..40 {
        let mut calls = drawn(seed);
        assert!(is_right(&calls), "seed {seed}");
        // The last read gives what the first one that found anything gave: long overwritten.
        let found = |call: &Call<Ask, Said>| matches!(call.answer(), Some(Said::Found(Some(_))));
        let reads: Vec<usize> = (0..calls.len()).filter(|at| found(&calls[*at])).collect();
        let (Some(first), Some(last)) = (reads.first(), reads.last()) else { continue };
        if calls[*first].fate != calls[*last].fate {
            calls[*last].fate = calls[*first].fate.clone();
            assert!(!is_right(&calls), "seed {seed}");
            noticed += 1;
        }
    }
    assert!(noticed > 30, "{noticed}");
}

#[test]
fn an_acknowledgement_that_nobody_kept_is_noticed() {
    let mut noticed = 0;
    for seed in 0..40 {
        let mut calls = drawn(seed);
        // Its value was never read and never replaced by anybody else's answer, if the server forgot it.
        let lost =
            calls.iter().position(|call| matches!(call.fate, Fate::Nothing) && matches!(call.input, Ask::Set(_)));
        let Some(lost) = lost else { continue };
        let Ask::Set(value) = calls[lost].input else { unreachable!("it was chosen so") };
        calls[lost].fate = Fate::Answered(Said::Changed { old: None, new: Some(value) });
        noticed += usize::from(!is_right(&calls));
    }
    assert!(noticed > 10, "{noticed}");
}

#[test]
fn answers_are_read_as_drivers_get_them() {
    let changed = json!({
        "inserted": 0, "replaced": 1, "deleted": 0, "unchanged": 0, "skipped": 0, "errors": 0,
        "changes": [{ "old_val": { "id": 0, "v": 1 }, "new_val": { "id": 0, "v": 2 } }],
    });
    assert_eq!(said(Ask::Set(2), &changed), Some(Said::Changed { old: Some(1), new: Some(2) }));
    assert_eq!(said(Ask::Read, &json!({ "id": 0, "v": 3 })), Some(Said::Found(Some(3))));
    assert_eq!(said(Ask::Read, &json!(null)), Some(Said::Found(None)));
    let mut both = changed;
    both["inserted"] = json!(1);
    assert_eq!(said(Ask::Set(2), &both), None, "one document is not inserted and replaced");
}
