//! A long part of the log, read piece by piece.

use std::io;
use std::sync::Arc;

use super::{Shared, piece_bytes};
use crate::types::Entry;

/// Entries in order, read in pieces.
pub(super) struct Entries {
    shared: Arc<Shared>,
    next: u64,
    end: u64,
    read: std::vec::IntoIter<Entry>,
}

impl Entries {
    pub(super) fn new(shared: Arc<Shared>, next: u64, end: u64) -> Entries {
        Entries { shared, next, end, read: Vec::new().into_iter() }
    }
}

impl Iterator for Entries {
    type Item = Result<Entry, io::Error>;

    fn next(&mut self) -> Option<Result<Entry, io::Error>> {
        if let Some(entry) = self.read.next() {
            return Some(Ok(entry));
        }
        if self.next >= self.end {
            return None;
        }
        let piece = match self.shared.read(self.next, self.end, piece_bytes()) {
            Ok(piece) => piece,
            Err(error) => {
                self.end = self.next;
                return Some(Err(error));
            }
        };
        let Some(last) = piece.last() else {
            // openraft neither truncates nor purges what it is reading. So the log has refused what openraft holds for
            // appended, and the core has not heard of it yet: an end of the stream here would be taken for success.
            let error = format!("entries {}..{} are not in the log", self.next, self.end);
            self.end = self.next;
            return Some(Err(io::Error::new(io::ErrorKind::NotFound, error)));
        };
        self.next = last.log_id.index + 1;
        self.read = piece.into_iter();
        self.read.next().map(Ok)
    }
}
