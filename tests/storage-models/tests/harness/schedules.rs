//! Runs a model under many schedules: random ones, and those of the PCT scheduler, which finds bugs that need few
//! well-placed switches. A schedule that fails is printed; `PHOTONDB_SCHEDULE=.. cargo test -p photondb-storage-models
//! NAME` runs it again, alone.
#![allow(dead_code, reason = "each test file uses its part")]

use std::panic::{AssertUnwindSafe, catch_unwind};

use shuttle::rand::{Rng, thread_rng};
use shuttle::scheduler::{PctScheduler, RandomScheduler, ReplayScheduler};
use shuttle::{Config, FailurePersistence, MaxSteps, Runner};

/// How many switches a bug may need that PCT looks for.
const PCT_DEPTH: usize = 3;

/// Whoever takes more steps than this goes round for ever.
const STEPS_MAX: usize = 400_000;

fn config(failures: FailurePersistence) -> Config {
    let mut config = Config::new();
    config.stack_size = 1 << 20;
    config.failure_persistence = failures;
    config.max_steps = MaxSteps::FailAfter(STEPS_MAX);
    config
}

fn full() -> bool {
    std::env::var("PHOTONDB_TESTS").is_ok_and(|value| value == "full")
}

fn seed() -> u64 {
    std::env::var("PHOTONDB_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1)
}

/// A number that the schedule draws, so that a replay draws it again.
pub fn random() -> u64 {
    thread_rng().r#gen()
}

/// The model holds in `count` random schedules and half as many of PCT; thirty times as many in the full run.
pub fn holds(count: usize, model: impl Fn() + Send + Sync + Clone + 'static) {
    if let Ok(schedule) = std::env::var("PHOTONDB_SCHEDULE") {
        Runner::new(ReplayScheduler::new_from_encoded(&schedule), config(FailurePersistence::None)).run(model);
        return;
    }
    let count = if full() { count * 30 } else { count };
    println!("seed {}, {count} random schedules and {} of PCT", seed(), count / 2);
    let random = RandomScheduler::new_from_seed(seed(), count);
    Runner::new(random, config(FailurePersistence::Print)).run(model.clone());
    let pct = PctScheduler::new_from_seed(seed(), PCT_DEPTH, count / 2);
    Runner::new(pct, config(FailurePersistence::Print)).run(model);
}

/// Some of `count` schedules of the model, which has a deliberate bug, ends in a panic that says `expected`.
pub fn fails(count: usize, expected: &str, model: impl Fn() + Send + Sync + 'static) {
    let random = RandomScheduler::new_from_seed(seed(), count);
    let runner = Runner::new(random, config(FailurePersistence::None));
    let outcome = catch_unwind(AssertUnwindSafe(|| runner.run(model)));
    let panic = outcome.expect_err("the model must notice the bug");
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default();
    assert!(text.contains(expected), "the model noticed something else: {text}");
}
