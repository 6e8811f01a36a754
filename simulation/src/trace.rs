//! What happened in a run, as one number: every message, disk operation, apply and answer, with its virtual time. Two runs
//! that differ anywhere have different hashes.
//!
//! Everything is hashed as it comes; text is made of it only when somebody reads.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

/// Takes every event with its virtual time. Clones share it.
#[derive(Clone)]
pub struct Trace {
    now: Arc<dyn Fn() -> Duration + Send + Sync>,
    /// Whether events are shown as they happen.
    print: bool,
    sum: Arc<Mutex<Sum>>,
}

/// The same in every process of one build, and of every build by one version of the compiler.
#[derive(Default)]
struct Sum {
    hasher: DefaultHasher,
    events: u64,
}

impl Trace {
    /// An empty trace; `now` gives the virtual time, and `print` shows each event as it happens.
    pub fn new(now: impl Fn() -> Duration + Send + Sync + 'static, print: bool) -> Trace {
        Trace { now: Arc::new(now), print, sum: Arc::default() }
    }

    /// Something happened now that is told in words.
    pub fn event(&self, what: impl fmt::Display) {
        self.note(&what.to_string(), format_args!("{what}"));
    }

    /// Something happened now. It is hashed as it is, and shown as `text` says.
    pub fn note(&self, what: &impl Hash, text: fmt::Arguments<'_>) {
        let now = (self.now)();
        let mut sum = self.sum.lock();
        sum.hasher.write_u128(now.as_nanos());
        what.hash(&mut sum.hasher);
        sum.events += 1;
        drop(sum);
        if self.print {
            show(now, text);
        }
    }

    /// Whether events are shown.
    pub fn is_shown(&self) -> bool {
        self.print
    }

    /// The hash of all events so far.
    pub fn hash(&self) -> u64 {
        self.sum.lock().hasher.finish()
    }

    /// How many there were.
    pub fn events(&self) -> u64 {
        self.sum.lock().events
    }
}

fn show(now: Duration, text: fmt::Arguments<'_>) {
    crate::command::say(format_args!("{:>10.3} {text}", now.as_secs_f64()));
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    fn hash_of(events: &[(u64, &[u8])]) -> u64 {
        let time = Arc::new(AtomicU64::new(0));
        let clock = time.clone();
        let trace = Trace::new(move || Duration::from_millis(clock.load(Ordering::Relaxed)), false);
        for (at, bytes) in events {
            time.store(*at, Ordering::Relaxed);
            trace.note(bytes, format_args!(""));
        }
        assert_eq!(trace.events(), events.len() as u64);
        trace.hash()
    }

    #[test]
    fn time_order_and_content_count() {
        let right = hash_of(&[(1, b"a"), (2, b"b")]);
        assert_eq!(right, hash_of(&[(1, b"a"), (2, b"b")]));
        for other in [
            &[(1, b"a".as_slice()), (3, b"b")][..],
            &[(1, b"a"), (2, b"c")],
            &[(1, b"b"), (2, b"a")],
            &[(1, b"ab"), (2, b"")],
            &[(1, b"a")],
        ] {
            assert_ne!(right, hash_of(other), "{other:?}");
        }
    }
}
