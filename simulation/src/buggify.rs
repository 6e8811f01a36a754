//! Rare but right behaviour of the product made frequent: which points there are, which of them a run has, and when they strike.
//!
//! A point is a `buggify!` in the product (`storage/src/fault.rs`). Each run with any has about a quarter of them, so that one does
//! not hide what another would show. Each draws from a stream of its own: a point more or less changes nobody else's numbers.
//! They strike more often for a while after something went wrong, because transitions are where the product has most to do at
//! once; and never while checkers look, or once everything is healed.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use photondb_storage::fault;

use crate::random::Random;

mod points;

pub use points::POINTS;

/// A place in the product that can behave rarely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// What `buggify!` asks by: the crate, and what happens.
    pub name: &'static str,
    /// What is then so.
    pub what: &'static str,
    /// It strikes once in about so many times: few for what comes by seldom.
    pub one_of: u64,
}

/// The point of this name.
pub fn named(name: &str) -> Option<&'static Point> {
    POINTS.iter().find(|point| point.name == name)
}

/// One run in so many has no points: what is rare must be found by itself too.
const RUNS_WITHOUT_ONE_OF: u64 = 4;

/// A run with points has each with this chance, one in so many.
const HAD_ONE_OF: u64 = 4;

/// How much more often a point strikes after a fault.
const STIRRED_FACTOR: u64 = 6;

/// Points that make several batches of what would be one. Each batch is of a snapshot of its own.
const CUT: [&str; 4] =
    ["replica/look-of-one", "replica/scan-row-by-row", "shard/documents-cut-short", "shard/index-rows-cut-short"];

impl Point {
    /// Whether a run of the workload may have it. What is read while documents move is known to be right for one batch only.
    pub fn fits(&self, workload: &str) -> bool {
        workload != "index_moves" || !CUT.contains(&self.name)
    }
}

/// The points of the run of `seed`.
pub fn draw(seed: u64, workload: &str) -> Vec<&'static Point> {
    let drawn = seed ^ 0x00b0_6161_f000;
    if Random::new(drawn).once_in(RUNS_WITHOUT_ONE_OF) {
        return Vec::new();
    }
    // Each by itself: a point more or less in the list changes nothing for the others.
    let has = |point: &&Point| Random::new(drawn ^ name_hash(point.name)).once_in(HAD_ONE_OF);
    POINTS.iter().filter(has).filter(|point| point.fits(workload)).collect()
}

/// The dice of a run. Clones share them.
#[derive(Clone, Default)]
pub struct Dice(Rc<Shared>);

#[derive(Default)]
struct Shared {
    /// Nothing strikes.
    asleep: Cell<bool>,
    /// A fault has struck lately.
    stirred: Cell<bool>,
    points: RefCell<BTreeMap<&'static str, Rolling>>,
}

struct Rolling {
    random: Random,
    one_of: u64,
    struck: u64,
}

impl Dice {
    /// Dice for these points. They sleep.
    pub fn new(seed: u64, points: &[&'static Point]) -> Dice {
        let rolling = |point: &&'static Point| {
            let mut random = Random::new(seed ^ name_hash(point.name));
            // How often differs from run to run too.
            let one_of = (point.one_of * random.pick(&[1, 2, 8]) / 2).max(2);
            (point.name, Rolling { random, one_of, struck: 0 })
        };
        let points = RefCell::new(points.iter().map(rolling).collect());
        Dice(Rc::new(Shared { asleep: Cell::new(true), stirred: Cell::new(false), points }))
    }

    /// From here on they decide for this thread.
    pub fn install(&self) {
        let dice = self.clone();
        fault::set_dice(Some(Box::new(move |name| dice.roll(name))));
    }

    /// Whether anything strikes.
    pub fn wake(&self, awake: bool) {
        self.0.asleep.set(!awake);
    }

    /// Whether a fault has struck lately.
    pub fn stir(&self, stirred: bool) {
        self.0.stirred.set(stirred);
    }

    /// How often each point of the run has struck.
    pub fn struck(&self) -> BTreeMap<String, u64> {
        self.0.points.borrow().iter().map(|(name, rolling)| ((*name).to_owned(), rolling.struck)).collect()
    }

    fn roll(&self, name: &'static str) -> bool {
        if self.0.asleep.get() {
            return false;
        }
        let mut points = self.0.points.borrow_mut();
        let Some(rolling) = points.get_mut(name) else { return false };
        let one_of = if self.0.stirred.get() { rolling.one_of.div_ceil(STIRRED_FACTOR).max(2) } else { rolling.one_of };
        let strikes = rolling.random.once_in(one_of);
        rolling.struck += u64::from(strikes);
        strikes
    }
}

/// FNV-1a.
fn name_hash(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strikes(points: &[&'static Point], of: &'static str, others: &[&'static str]) -> Vec<bool> {
        let dice = Dice::new(7, points);
        dice.wake(true);
        let roll = |_| {
            for other in others {
                dice.roll(other);
            }
            dice.roll(of)
        };
        (0..2_000).map(roll).collect()
    }

    #[test]
    fn a_point_more_changes_nothing_for_the_others() {
        let [one, other, ..] = POINTS.each_ref();
        let alone = strikes(&[one], one.name, &[]);
        assert_eq!(alone, strikes(&[other, one], one.name, &[other.name, other.name]));
        assert!(alone.contains(&true) && alone.contains(&false));
    }

    #[test]
    fn who_sleeps_does_not_strike_and_draws_nothing() {
        let [one, ..] = POINTS.each_ref();
        let dice = Dice::new(7, &[one]);
        assert!((0..2_000).all(|_| !dice.roll(one.name)));
        dice.wake(true);
        let rolls: Vec<bool> = (0..2_000).map(|_| dice.roll(one.name)).collect();
        assert_eq!(rolls, strikes(&[one], one.name, &[]));
        assert_eq!(dice.struck()[one.name], rolls.iter().filter(|strikes| **strikes).count() as u64);
    }

    #[test]
    fn what_is_read_while_documents_move_is_not_cut() {
        assert!(CUT.iter().all(|name| named(name).is_some()));
        let cuts = |workload| (0..100).flat_map(|seed| draw(seed, workload)).any(|point| CUT.contains(&point.name));
        assert!(cuts("register") && !cuts("index_moves"));
    }

    #[test]
    fn after_a_fault_more_strike() {
        let [one, ..] = POINTS.each_ref();
        let count = |stirred| {
            let dice = Dice::new(7, &[one]);
            dice.wake(true);
            dice.stir(stirred);
            (0..10_000).filter(|_| dice.roll(one.name)).count()
        };
        assert!(count(true) > 2 * count(false));
    }

    #[test]
    fn some_runs_have_no_points_and_the_others_about_a_quarter() {
        let counts: Vec<usize> = (0..400).map(|seed| draw(seed, "register").len()).collect();
        let without = counts.iter().filter(|count| **count == 0).count();
        assert!((60..140).contains(&without), "{without} of 400");
        let mean = counts.iter().sum::<usize>() / (400 - without);
        assert!((POINTS.len() / 5..POINTS.len() / 3).contains(&mean), "{mean} of {}", POINTS.len());
    }
}
