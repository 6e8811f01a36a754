//! Inputs: those of the corpus, changes of them, and others drawn from a seed.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Seeds of every run of the tests.
const SEEDS_FIXED: [u64; 2] = [1, 2];

/// The longest input that is drawn, in bytes.
const INPUT_BYTES_MAX: usize = 400;

/// No input may take longer: half a minute, because machines are busy.
const INPUT_TIME_MAX: Duration = Duration::from_secs(30);

/// What the evaluator needs of a stack, generously: queries here say nothing of their depth.
const STACK_BYTES: usize = 256 << 20;

/// Numbers from a seed (splitmix64).
pub struct Chance(pub u64);

impl Chance {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).unwrap()
    }

    /// A new input, or a change of a known one.
    pub fn input(&mut self, known: &[Vec<u8>]) -> Vec<u8> {
        if known.is_empty() || self.below(2) == 0 {
            return (0..self.below(INPUT_BYTES_MAX)).map(|_| self.next() as u8).collect();
        }
        let mut input = known[self.below(known.len())].clone();
        for _ in 0..=self.below(4) {
            let at = self.below(input.len() + 1);
            match self.below(5) {
                0 if at < input.len() => input[at] = self.next() as u8,
                1 => input.insert(at, self.next() as u8),
                2 if at < input.len() => drop(input.remove(at)),
                3 => input.truncate(at),
                _ => input.extend((0..self.below(12)).map(|_| self.next() as u8).collect::<Vec<_>>()),
            }
        }
        input
    }
}

/// The inputs of a target's corpus, by name.
pub fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    files.iter().map(|file| (file.display().to_string(), std::fs::read(file).unwrap())).collect()
}

fn seconds() -> u64 {
    if std::env::var("PHOTONDB_TESTS").is_ok_and(|value| value == "full") { 120 } else { 4 }
}

fn on_a_large_stack(work: impl FnOnce() + Send + 'static) {
    let done = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(work).unwrap().join();
    if let Err(cause) = done {
        resume_unwind(cause);
    }
}

/// Runs a target on its corpus, then on drawn inputs until its time is spent.
pub fn hold(target: &'static str, run: fn(&[u8])) {
    on_a_large_stack(move || {
        let known = corpus(target);
        for (name, input) in &known {
            attempt(input, name, run);
        }
        let inputs: Vec<Vec<u8>> = known.into_iter().map(|(_, input)| input).collect();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
        let given = std::env::var("PHOTONDB_SEED").ok().and_then(|seed| seed.parse().ok());
        let seeds = given.map_or_else(|| vec![SEEDS_FIXED[0], SEEDS_FIXED[1], now], |seed| vec![seed]);
        let each = Duration::from_secs(seconds()) / u32::try_from(seeds.len()).unwrap();
        for seed in seeds {
            let (begun, mut chance, mut runs) = (Instant::now(), Chance(seed), 0);
            while begun.elapsed() < each {
                attempt(&chance.input(&inputs), &format!("PHOTONDB_SEED={seed}, input {runs}"), run);
                runs += 1;
            }
            println!("{target}: {runs} inputs of PHOTONDB_SEED={seed}");
        }
    });
}

fn attempt(input: &[u8], name: &str, run: fn(&[u8])) {
    let begun = Instant::now();
    if let Err(cause) = catch_unwind(AssertUnwindSafe(|| run(input))) {
        let hex: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
        println!("{name} fails: {hex}");
        resume_unwind(cause);
    }
    assert!(begun.elapsed() < INPUT_TIME_MAX, "{name} took {:?}: {input:?}", begun.elapsed());
}

/// How many inputs it took until `run`, in which there is a bug, panicked; `None`: it never did.
pub fn noticed_after(target: &'static str, run: fn(&[u8])) -> Option<usize> {
    let search = move || {
        let known: Vec<Vec<u8>> = corpus(target).into_iter().map(|(_, input)| input).collect();
        let (begun, mut chance, mut inputs) = (Instant::now(), Chance(SEEDS_FIXED[0]), 0);
        while begun.elapsed() < Duration::from_secs(60) {
            let input = if inputs < known.len() { known[inputs].clone() } else { chance.input(&known) };
            inputs += 1;
            if catch_unwind(AssertUnwindSafe(|| run(&input))).is_err() {
                return Some(inputs);
            }
        }
        None
    };
    std::thread::Builder::new().stack_size(STACK_BYTES).spawn(search).unwrap().join().unwrap()
}
