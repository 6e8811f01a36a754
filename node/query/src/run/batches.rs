//! How many rows go to the client at once: few at first, then more, by what they weigh.

use photondb_reql::datum::Datum;
use photondb_reql::error::Result;
use photondb_reql::eval::{Cx, Stream};

use super::CursorBatch;
use crate::limits::{BATCH_BYTES, BATCH_GROWTH, BATCH_ROWS_MAX, FIRST_BATCH_ROWS};
use crate::write::document::weight;

/// What the query said about batches.
#[derive(Clone, Copy, Debug)]
pub(super) struct BatchSizes {
    rows_min: usize,
    rows_max: usize,
    bytes: usize,
}

impl BatchSizes {
    /// Reads `min_batch_rows`, `max_batch_rows` and `max_batch_bytes`.
    pub fn read(cx: &Cx) -> Result<BatchSizes> {
        let read = |name: &str, default: usize| -> Result<usize> {
            match cx.global(name) {
                Some(datum) => Ok(usize::try_from(datum.as_integer()?).unwrap_or(0).max(1)),
                None => Ok(default),
            }
        };
        let rows_max = read("max_batch_rows", BATCH_ROWS_MAX)?;
        let rows_min = read("min_batch_rows", 1)?.min(rows_max);
        Ok(BatchSizes { rows_min, rows_max, bytes: read("max_batch_bytes", BATCH_BYTES)? })
    }
}

/// The state of one result.
pub(super) struct Batches {
    sizes: BatchSizes,
    feed: bool,
    want: usize,
    /// Rows that were read but did not fit.
    waiting: Vec<Datum>,
    ended: bool,
}

impl Batches {
    pub fn new(sizes: BatchSizes, feed: bool) -> Batches {
        let want = FIRST_BATCH_ROWS.clamp(sizes.rows_min, sizes.rows_max);
        Batches { sizes, feed, want, waiting: Vec::new(), ended: false }
    }

    pub fn is_feed(&self) -> bool {
        self.feed
    }

    /// Reads until there are enough rows, or for a feed until there is one.
    pub fn next(&mut self, stream: &mut dyn Stream, cx: &Cx) -> Result<CursorBatch> {
        let mut rows = std::mem::take(&mut self.waiting);
        while !self.ended && rows.len() < self.want && (!self.feed || rows.is_empty()) {
            let batch = stream.next_batch(self.want - rows.len(), cx)?;
            self.ended = batch.is_empty();
            if rows.is_empty() {
                rows = batch;
            } else {
                rows.extend(batch);
            }
        }
        if rows.len() > self.want {
            self.waiting = rows.split_off(self.want);
        }
        self.adapt(&rows);
        Ok(CursorBatch { more: !self.ended || !self.waiting.is_empty(), rows })
    }

    /// The next batch may be larger, as far as rows like the last one fit.
    fn adapt(&mut self, rows: &[Datum]) {
        let Some(last) = rows.last() else { return };
        let fitting = self.sizes.bytes / weight(last).max(1);
        let most = fitting.clamp(self.sizes.rows_min, self.sizes.rows_max);
        self.want = self.want.saturating_mul(BATCH_GROWTH).min(most).max(1);
    }
}
