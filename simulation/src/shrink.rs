//! The smallest part of a failing list that still fails.
//!
//! Delta debugging (A. Zeller, R. Hildebrandt, "Simplifying and isolating failure-inducing input", 2002, section 3: ddmin):
//! the list is cut into chunks; a chunk alone, or the list without a chunk, is tried; what still fails is gone on with, in
//! the finest cut with single elements. The result is 1-minimal: without any one element it no longer fails.

/// What is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shrunk<T> {
    /// Fails still.
    pub steps: Vec<T>,
    /// How often something was tried.
    pub tried: u64,
    /// Whether every single element is known to be needed; `false`: the budget ran out before.
    pub is_minimal: bool,
}

/// Shrinks `steps`, which fail, by at most `tries_max` runs of `fails`. Order is kept.
pub fn shrink<T: Clone>(steps: &[T], tries_max: u64, mut fails: impl FnMut(&[T]) -> bool) -> Shrunk<T> {
    let mut steps = steps.to_vec();
    let mut tried = 0;
    let mut tries = |candidate: &[T]| {
        tried += 1;
        fails(candidate)
    };
    let mut left = tries_max;
    // A failure that needs no step at all is found first, since nothing smaller can be.
    if left > 0 && !steps.is_empty() {
        left -= 1;
        if tries(&[]) {
            return Shrunk { steps: Vec::new(), tried, is_minimal: true };
        }
    }
    let mut chunks = 2;
    let mut is_minimal = steps.len() <= 1;
    while steps.len() >= 2 && !is_minimal {
        let chunk = steps.len().div_ceil(chunks);
        let mut smaller = None;
        let starts = || (0..steps.len()).step_by(chunk);
        let ends = |start: usize| (start + chunk).min(steps.len());
        let parts = starts().map(|start| (steps[start..ends(start)].to_vec(), 2));
        let rests = starts().map(|start| ([&steps[..start], &steps[ends(start)..]].concat(), (chunks - 1).max(2)));
        // With two chunks each rest is the other part.
        for (candidate, next) in parts.chain(rests.filter(|_| chunks > 2)) {
            if left == 0 {
                return Shrunk { steps, tried, is_minimal: false };
            }
            left -= 1;
            if tries(&candidate) {
                smaller = Some((candidate, next));
                break;
            }
        }
        match smaller {
            Some((candidate, next)) => {
                steps = candidate;
                chunks = next;
                is_minimal = steps.len() <= 1;
            }
            None if chunk == 1 => is_minimal = true,
            None => chunks = (2 * chunks).min(steps.len()),
        }
    }
    Shrunk { steps, tried, is_minimal }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    const PLENTY: u64 = 100_000;

    #[test]
    fn what_is_left_fails_and_needs_every_step() {
        let mut random = Random::new(1);
        for _ in 0..500 {
            let length = random.within(1..=40);
            let steps: Vec<u64> = (0..length).collect();
            let mut needed: Vec<u64> = (0..random.within(1..=5)).map(|_| random.below(length)).collect();
            needed.sort_unstable();
            needed.dedup();
            let fails = |steps: &[u64]| needed.iter().all(|step| steps.contains(step));
            let shrunk = shrink(&steps, PLENTY, fails);
            assert_eq!(shrunk.steps, needed);
            assert!(shrunk.is_minimal);
        }
    }

    #[test]
    fn a_failure_that_is_not_monotonic_is_shrunk_to_a_minimum_of_its_own() {
        let mut random = Random::new(2);
        for _ in 0..200 {
            let steps: Vec<u64> = (0..30).map(|_| random.below(10)).collect();
            let fails = |steps: &[u64]| steps.iter().sum::<u64>() % 3 == 1 && steps.len() % 2 == 1;
            if !fails(&steps) {
                continue;
            }
            let shrunk = shrink(&steps, PLENTY, fails);
            assert!(fails(&shrunk.steps) && shrunk.is_minimal);
            for without in 0..shrunk.steps.len() {
                let mut fewer = shrunk.steps.clone();
                fewer.remove(without);
                assert!(!fails(&fewer), "{:?} needs not its step {without}", shrunk.steps);
            }
        }
    }

    #[test]
    fn the_budget_is_kept_and_said() {
        let steps: Vec<u64> = (0..64).collect();
        let fails = |steps: &[u64]| steps.contains(&3) && steps.contains(&60);
        let shrunk = shrink(&steps, 7, fails);
        assert!(shrunk.tried <= 7 && !shrunk.is_minimal && fails(&shrunk.steps));
    }

    #[test]
    fn a_failure_without_any_step_is_told() {
        assert_eq!(shrink(&[1, 2, 3], PLENTY, |_| true).steps, Vec::<i32>::new());
    }
}
