//! A counter: every read lies between what was acknowledged before it and what was asked for by its end, it never goes
//! back, and no two increments answer the same number.

use std::collections::BTreeMap;

use crate::Violation;
use crate::ledger::{Call, Fate, Moment};

const PROPERTY: &str = "counter counts each increment once";

/// What a client asks of the counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CounterInput {
    /// Its value.
    Read,
    /// One more.
    Increment,
}

/// Checks all calls; an answer is the value read, or the value after the increment. The counter began at zero.
pub fn check(calls: &[Call<CounterInput, u64>]) -> Result<(), Violation> {
    let violation = |evidence| Err(Violation { property: PROPERTY, evidence });
    let increments = || calls.iter().filter(|call| call.input == CounterInput::Increment && call.fate != Fate::Nothing);
    let begun: Vec<Moment> = increments().map(|call| call.began).collect();
    let mut acknowledged: Vec<Moment> = increments().filter_map(|call| call.answer().and(call.ended)).collect();
    acknowledged.sort_unstable();
    let mut ends: Vec<(Moment, u64)> = calls.iter().filter_map(|call| Some((call.ended?, *call.answer()?))).collect();
    ends.sort_unstable();
    let mut numbers: BTreeMap<u64, &Call<CounterInput, u64>> = BTreeMap::new();
    let (mut ended, mut seen) = (0, 0);
    for call in calls {
        while ended < ends.len() && ends[ended].0 < call.began {
            seen = seen.max(ends[ended].1);
            ended += 1;
        }
        let (Some(value), Some(end)) = (call.answer().copied(), call.ended) else { continue };
        let own = u64::from(call.input == CounterInput::Increment);
        let least = acknowledged.partition_point(|moment| *moment < call.began) as u64 + own;
        let most = begun.partition_point(|moment| *moment < end) as u64;
        if value < least || value > most {
            return violation(format!("{call:?}: {least} were acknowledged before it and {most} asked for by its end"));
        }
        if value < seen + own {
            return violation(format!("{call:?}: somebody had seen {seen} before"));
        }
        if own == 1
            && let Some(other) = numbers.insert(value, call)
        {
            return violation(format!("{call:?} and {other:?} made the same number"));
        }
    }
    Ok(())
}
