//! A list that everybody appends to: each element is there once, every reader sees a beginning of the same list, nothing
//! that was acknowledged or seen is ever missing later, and nothing is seen before it was asked for.
//!
//! Weaker than `linearizable` and much cheaper: one pass over the calls, so that it holds any number of them.

use std::collections::BTreeMap;

use crate::checker::Violation;
use crate::ledger::{Call, Fate, Moment};

const PROPERTY: &str = "list keeps what is appended";

/// What a client asks of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListInput {
    /// All of it.
    Read,
    /// Appends an element that nobody else appends.
    Append(i64),
}

/// The list as a call saw it; an append sees it with its own element at the end.
pub type Seen = Vec<i64>;

/// Checks all calls on one list, which was empty in the beginning.
pub fn check(calls: &[Call<ListInput, Seen>]) -> Result<(), Violation> {
    let violation = |evidence| Err(Violation { property: PROPERTY, evidence });
    let mut longest: &[i64] = &[];
    for call in calls {
        let Some(seen) = call.answer() else { continue };
        if let ListInput::Append(element) = call.input
            && seen.last() != Some(&element)
        {
            return violation(format!("{call:?} answered a list without its own element at the end"));
        }
        let shared = seen.len().min(longest.len());
        if seen[..shared] != longest[..shared] {
            return violation(format!("{call:?} saw {seen:?}, but somebody saw {longest:?}"));
        }
        longest = if seen.len() > longest.len() { seen } else { longest };
    }
    let mut places: BTreeMap<i64, usize> = BTreeMap::new();
    for (place, element) in longest.iter().enumerate() {
        if let Some(other) = places.insert(*element, place) {
            return violation(format!("{element} is at {other} and again at {place} of {longest:?}"));
        }
    }
    elements_were_asked_for(calls, &places)?;
    nothing_gets_lost(calls, &places)
}

/// Every element is one that somebody asked for, and seen only after that.
fn elements_were_asked_for(calls: &[Call<ListInput, Seen>], places: &BTreeMap<i64, usize>) -> Result<(), Violation> {
    let mut asked: BTreeMap<i64, &Call<ListInput, Seen>> = BTreeMap::new();
    for call in calls {
        if let ListInput::Append(element) = call.input {
            asked.insert(element, call);
        }
    }
    // For each place the earliest end of a call that saw something there.
    let mut first_seen = vec![Moment(u64::MAX); places.len() + 1];
    for call in calls {
        if let (Some(seen), Some(ended)) = (call.answer(), call.ended) {
            first_seen[seen.len()] = first_seen[seen.len()].min(ended);
        }
    }
    for length in (1..first_seen.len()).rev() {
        first_seen[length - 1] = first_seen[length - 1].min(first_seen[length]);
    }
    for (element, place) in places {
        let evidence = match asked.get(element) {
            None => format!("{element} is in the list and nobody appended it"),
            Some(call) if call.fate == Fate::Nothing => format!("{element} is in the list, but {call:?} did nothing"),
            Some(call) if first_seen[place + 1] < call.began => format!("{element} was seen before {call:?}"),
            Some(_) => continue,
        };
        return Err(Violation { property: PROPERTY, evidence });
    }
    Ok(())
}

/// What a call has seen or has appended, every call that begins later sees.
fn nothing_gets_lost(calls: &[Call<ListInput, Seen>], places: &BTreeMap<i64, usize>) -> Result<(), Violation> {
    let mut ends: Vec<(Moment, usize, usize)> = Vec::new();
    for (index, call) in calls.iter().enumerate() {
        let (Some(seen), Some(ended)) = (call.answer(), call.ended) else { continue };
        if let ListInput::Append(element) = call.input
            && !places.contains_key(&element)
        {
            return Err(Violation { property: PROPERTY, evidence: format!("{call:?} is in nobody's list") });
        }
        ends.push((ended, seen.len(), index));
    }
    ends.sort_unstable();
    let (mut ended, mut known, mut by) = (0, 0, 0);
    for call in calls {
        while ended < ends.len() && ends[ended].0 < call.began {
            if ends[ended].1 > known {
                (known, by) = (ends[ended].1, ends[ended].2);
            }
            ended += 1;
        }
        if let Some(seen) = call.answer()
            && seen.len() < known
        {
            let evidence = format!("{call:?} is behind {known} elements that {:?} had seen before", calls[by]);
            return Err(Violation { property: PROPERTY, evidence });
        }
    }
    Ok(())
}
