//! What a run did, for people and for comparing two runs.

use std::collections::VecDeque;
use std::fmt;

/// Lines kept for the report of a failure.
const LINES_MAX: usize = 120;

/// The trace of a run.
#[derive(Default)]
pub struct Events {
    print: bool,
    count: u64,
    hash: u64,
    last: VecDeque<String>,
}

impl Events {
    /// `print`: every event is shown as it happens.
    pub fn new(print: bool) -> Self {
        Events { print, ..Events::default() }
    }

    /// Notes an event.
    pub fn note(&mut self, event: fmt::Arguments<'_>) {
        let line = event.to_string();
        for byte in line.bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(5);
        }
        self.count += 1;
        if self.print {
            println!("{:5} {line}", self.count);
        }
        if self.last.len() == LINES_MAX {
            self.last.pop_front();
        }
        self.last.push_back(line);
    }

    /// Differs when any event does.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// The last events.
    pub fn last(&self) -> impl Iterator<Item = &str> {
        self.last.iter().map(String::as_str)
    }
}
