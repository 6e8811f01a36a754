//! What happened in a run, as one number: two runs that differ anywhere have different hashes.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

/// Takes every event with its virtual time. Clones share it.
#[derive(Clone)]
pub struct Trace {
    now: Rc<dyn Fn() -> Duration>,
    inner: Rc<RefCell<Inner>>,
}

struct Inner {
    hash: u64,
    events: u64,
    print: bool,
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

impl Trace {
    /// An empty trace; `now` gives the virtual time, and `print` shows each event as it happens.
    pub fn new(now: impl Fn() -> Duration + 'static, print: bool) -> Trace {
        Trace { now: Rc::new(now), inner: Rc::new(RefCell::new(Inner { hash: FNV_OFFSET, events: 0, print })) }
    }

    /// Something happened now.
    pub fn event(&self, what: impl fmt::Display) {
        let line = format!("{:>10.3} {what}", (self.now)().as_secs_f64());
        let mut inner = self.inner.borrow_mut();
        inner.hash = line.bytes().chain(*b"\n").fold(inner.hash, |hash, byte| {
            // FNV-1a: nothing that was hashed can be cancelled by what follows, which is all that is asked of it.
            (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME)
        });
        inner.events += 1;
        if inner.print {
            println!("{line}");
        }
    }

    /// The hash of all events so far.
    pub fn hash(&self) -> u64 {
        self.inner.borrow().hash
    }

    /// How many there were.
    pub fn events(&self) -> u64 {
        self.inner.borrow().events
    }
}
