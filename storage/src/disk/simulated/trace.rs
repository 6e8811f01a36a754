//! What happened to the disk, for people and for comparing two runs.

use std::collections::VecDeque;
use std::fmt;
use std::fmt::Write;

use crate::checksum::incarnation;

/// Lines kept.
const LINES_MAX: usize = 4096;

#[derive(Clone, Default)]
pub(super) struct Trace {
    lines: VecDeque<String>,
    hash: u64,
    /// Whether calls are kept beside faults.
    pub(super) calls: bool,
}

impl Trace {
    /// Something went wrong, or another life began.
    pub(super) fn fault(&mut self, what: fmt::Arguments<'_>) {
        let mut line = String::new();
        // Writing to a string does not fail.
        let _ = line.write_fmt(what);
        self.mix(u64::from(crc32fast::hash(line.as_bytes())));
        self.keep(line);
    }

    /// The disk was asked to change something.
    pub(super) fn call(&mut self, what: &'static str, name: &str, offset: u64, bytes: &[u8]) {
        self.mix(u64::from(crc32fast::hash(what.as_bytes())));
        self.mix(u64::from(crc32fast::hash(name.as_bytes())));
        self.mix(offset);
        self.mix(bytes.len() as u64 ^ u64::from(crc32fast::hash(bytes)) << 32);
        if self.calls {
            self.keep(format!("{what} {name} at {offset}, {} bytes", bytes.len()));
        }
    }

    /// The disk was asked for what it holds.
    pub(super) fn read(&mut self, name: &str, offset: u64, length: usize) {
        self.mix(u64::from(crc32fast::hash(name.as_bytes())));
        self.mix(offset);
        self.mix(length as u64);
    }

    pub(super) fn take_lines(&mut self) -> Vec<String> {
        self.lines.drain(..).collect()
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.lines.iter().cloned().collect()
    }

    pub(super) fn hash(&self) -> u64 {
        self.hash
    }

    fn keep(&mut self, line: String) {
        if self.lines.len() == LINES_MAX {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    fn mix(&mut self, word: u64) {
        self.hash = incarnation(self.hash, word | 1).rotate_left(7) ^ word;
    }
}
