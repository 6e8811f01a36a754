//! Each object behaves as if every call on it took effect at one moment between its beginning and its end.
//!
//! The algorithm of Wing and Gong with Lowe's memory (J. Wing, C. Gong, "Testing and verifying concurrent objects", 1993; G.
//! Lowe, "Testing for linearizability", 2017, section 2): a search over the orders that the real time of the calls allows,
//! depth first, which never looks twice at the same set of calls done with the same state. Calls whose fate is unknown may
//! come in at any place after their beginning, or nowhere; two rules keep them from multiplying the search (see `Search`).
//!
//! Objects are checked apart: a history is linearizable if and only if each object's part is (M. Herlihy, J. Wing, 1990).

mod search;

use std::fmt;

use crate::ledger::{Call, Fate, Moment};

use search::{Search, Searched};

/// What calls are made on: a state, and what a call does to it.
pub trait Object {
    /// All that is known between two calls.
    type State: Clone + Ord + fmt::Debug;
    /// What is asked.
    type Input: Clone + fmt::Debug;
    /// What is answered.
    type Output: Clone + PartialEq + fmt::Debug;

    /// The state before the first call.
    fn initial(&self) -> Self::State;

    /// What `input` makes of `state`, and what it answers.
    fn step(&self, state: &Self::State, input: &Self::Input) -> (Self::State, Self::Output);
}

/// A call on an object.
pub type CallOf<O> = Call<<O as Object>::Input, <O as Object>::Output>;

/// How many steps a search may take before it gives up: about a second of work, counted in steps so that a run stays a
/// function of its seed.
pub const STEPS_MAX: u64 = 2_000_000;

/// How many calls before the one that fits nowhere the evidence lists.
const LISTED_MAX: usize = 12;

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is an order.
    Linearizable,
    /// There is none.
    Violated(Counterexample),
    /// The search gave up.
    Undecided {
        /// After so many steps.
        steps: u64,
    },
}

/// The shortest beginning of a history that has no order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counterexample {
    /// How many answers it has. Without the last there is an order.
    pub answers: usize,
    /// Its last calls, and what the object could have been before.
    pub evidence: String,
}

/// Checks the calls on one object, in `steps_max` steps for each search.
pub fn check_object<O: Object>(object: &O, calls: &[CallOf<O>], steps_max: u64) -> Verdict {
    let relevant: Vec<&CallOf<O>> = calls.iter().filter(|call| call.fate != Fate::Nothing).collect();
    match Search::new(object, &relevant, steps_max).run() {
        Searched::Found => Verdict::Linearizable,
        Searched::GaveUp { steps } => Verdict::Undecided { steps },
        Searched::None => shortest(object, &relevant, steps_max),
    }
}

/// Every beginning of a linearizable history is linearizable, so that the shortest that is not is found by halving.
fn shortest<O: Object>(object: &O, calls: &[&CallOf<O>], steps_max: u64) -> Verdict {
    let mut ends: Vec<Moment> =
        calls.iter().filter(|call| call.answer().is_some()).filter_map(|call| call.ended).collect();
    ends.sort_unstable();
    let (mut good, mut bad) = (0, ends.len());
    while good + 1 < bad {
        let middle = good.midpoint(bad);
        let beginning = beginning(calls, ends[middle - 1]);
        match Search::new(object, &beginning.iter().collect::<Vec<_>>(), steps_max).run() {
            Searched::Found => good = middle,
            // What cannot be decided is not claimed to be shorter.
            Searched::None => bad = middle,
            Searched::GaveUp { .. } => break,
        }
    }
    let last = ends.get(bad.saturating_sub(1)).copied().unwrap_or(Moment(0));
    let shown = beginning(calls, last);
    Verdict::Violated(Counterexample { answers: bad, evidence: evidence::<O>(&shown, last) })
}

/// The history up to `last`: what began by then, with the answers that had come.
fn beginning<I: Clone, O: Clone>(calls: &[&Call<I, O>], last: Moment) -> Vec<Call<I, O>> {
    let begun = calls.iter().filter(|call| call.began < last);
    let cut = begun.map(|call| match call.ended {
        Some(ended) if ended <= last => (*call).clone(),
        _ => Call { fate: Fate::Unknown, ended: None, ..(*call).clone() },
    });
    cut.collect()
}

fn evidence<O: Object>(calls: &[CallOf<O>], last: Moment) -> String {
    let mut shown: Vec<_> = calls.iter().filter(|call| call.ended != Some(last)).collect();
    shown.sort_by_key(|call| call.ended.unwrap_or(Moment(u64::MAX)));
    let unknown = shown.iter().filter(|call| call.ended.is_none()).count();
    shown.retain(|call| call.ended.is_some());
    let from = shown.len().saturating_sub(LISTED_MAX);
    let culprit = calls.iter().find(|call| call.ended == Some(last));
    let culprit = culprit.map_or_else(String::new, show);
    let before: Vec<_> = shown[from..].iter().map(|call| show(call)).collect();
    format!("{culprit} fits no order; before it: {}; {unknown} calls without an answer", before.join(", "))
}

fn show<I: fmt::Debug, O: fmt::Debug>(call: &Call<I, O>) -> String {
    let ended = call.ended.map_or_else(|| "..".to_owned(), |ended| ended.0.to_string());
    format!(
        "client {} [{} to {ended}, {} us] {:?} -> {:?}",
        call.client.0, call.began.0, call.at.0, call.input, call.fate
    )
}

#[cfg(test)]
mod tests;
