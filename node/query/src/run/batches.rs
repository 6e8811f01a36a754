//! How many rows go to the client at once: as many as fit into some bytes and some time, the first time a part of that.

use std::sync::Arc;
use std::time::Duration;

use photondb_reql::datum::Datum;
use photondb_reql::datum::number::print_exact;
use photondb_reql::error::{Error, Result};
use photondb_reql::eval::{Cx, Stream, footprint_of};
use photondb_runtime::clock::Clock;

use super::CursorBatch;
use crate::limits::{
    BATCH_BYTES, BATCH_BYTES_MAX, BATCH_ROWS_ASKED_MAX, BATCH_ROWS_MAX, BATCH_ROWS_MIN, BATCH_SECONDS_ASKED_MAX,
    BATCH_TIME, BATCH_TIME_MAX, FIRST_BATCH_SCALEDOWN, FIRST_PIECE_ROWS, PIECE_BYTES_MAX, PIECE_GROWTH,
};

/// What the query said about batches.
#[derive(Clone, Copy, Debug)]
pub(super) struct BatchSizes {
    rows_min: usize,
    rows_max: usize,
    bytes: usize,
    time: Duration,
    /// By what all of these are divided for the first batch.
    first_scaledown: usize,
}

impl BatchSizes {
    /// Reads `min_batch_rows`, `max_batch_rows`, `max_batch_bytes`, `max_batch_seconds` and `first_batch_scaledown_factor`.
    pub fn read(cx: &Cx) -> Result<BatchSizes> {
        let read = |name: &str, default: usize| -> Result<usize> {
            match cx.global(name) {
                Some(datum) => Ok(usize::try_from(datum.as_integer()?).unwrap_or(0).max(1)),
                None => Ok(default),
            }
        };
        let rows_max = read("max_batch_rows", BATCH_ROWS_MAX)?.min(BATCH_ROWS_ASKED_MAX);
        let rows_min = read("min_batch_rows", BATCH_ROWS_MIN)?.min(rows_max);
        let time = match cx.global("max_batch_seconds") {
            Some(seconds) => seconds_of(&seconds)?.min(BATCH_TIME_MAX),
            None => BATCH_TIME,
        };
        Ok(BatchSizes {
            rows_min,
            rows_max,
            bytes: read("max_batch_bytes", BATCH_BYTES)?.min(BATCH_BYTES_MAX),
            time,
            first_scaledown: read("first_batch_scaledown_factor", FIRST_BATCH_SCALEDOWN)?,
        })
    }

    fn first(self) -> BatchSizes {
        let part = |whole: usize| (whole / self.first_scaledown).max(1);
        BatchSizes {
            rows_min: part(self.rows_min),
            rows_max: part(self.rows_max),
            bytes: part(self.bytes),
            time: self.time / u32::try_from(self.first_scaledown).unwrap_or(u32::MAX),
            first_scaledown: 1,
        }
    }
}

/// As RethinkDB takes them.
fn seconds_of(datum: &Datum) -> Result<Duration> {
    let seconds = datum.as_number()?;
    let shown = print_exact(seconds);
    if seconds >= BATCH_SECONDS_ASKED_MAX {
        return Err(Error::logic(format!(
            "max_batch_seconds is too large (got `{shown}`, must be less than {BATCH_SECONDS_ASKED_MAX})."
        )));
    }
    let refused = |_| Error::logic(format!("max_batch_seconds must be positive (got `{shown}`)."));
    Duration::try_from_secs_f64(seconds).map_err(refused)
}

/// The state of one result.
pub(super) struct Batches {
    sizes: BatchSizes,
    clock: Arc<dyn Clock>,
    feed: bool,
    first: bool,
    /// Rows that are asked of the stream at once.
    piece: usize,
    /// Rows that were read but did not fit.
    waiting: Vec<Datum>,
    /// Bytes that are counted of those, and of the last batch with its text.
    held: usize,
    /// What a row of the batches so far weighed, in bytes: what the first rows of the next one are likely to.
    row_bytes: Option<usize>,
    ended: bool,
}

impl Batches {
    pub fn new(sizes: BatchSizes, feed: bool, clock: Arc<dyn Clock>) -> Batches {
        Batches {
            sizes,
            clock,
            feed,
            first: true,
            piece: FIRST_PIECE_ROWS,
            waiting: Vec::new(),
            held: 0,
            row_bytes: None,
            ended: false,
        }
    }

    pub fn is_feed(&self) -> bool {
        self.feed
    }

    /// The last batch was written and dropped.
    pub fn let_go(&mut self, cx: &Cx) {
        let waiting = footprint_of(&self.waiting).min(self.held);
        cx.release(self.held - waiting);
        self.held = waiting;
    }

    /// Reads until there are enough rows, or for a feed until there is one. They are counted until [`Batches::let_go`].
    pub fn next(&mut self, stream: &mut dyn Stream, cx: &Cx) -> Result<CursorBatch> {
        self.let_go(cx);
        let sizes = if std::mem::take(&mut self.first) { self.sizes.first() } else { self.sizes };
        let began = self.clock.now();
        let mut rows = std::mem::take(&mut self.waiting);
        let mut measured = Measured::default();
        let cut = loop {
            if let Some(cut) = measured.add(&rows, &sizes) {
                break cut;
            }
            let enough = self.ended || (!rows.is_empty() && (self.feed || self.clock.now().since(began) >= sizes.time));
            if enough {
                break rows.len();
            }
            let mean = measured.mean().or(self.row_bytes);
            let fitting = mean.map_or(usize::MAX, |mean| measured.fitting(mean, &sizes));
            let want = self.piece.min(fitting).min(sizes.rows_max - rows.len());
            let asked = self.clock.now();
            let mut piece = stream.next_batch(want, cx)?;
            // Rows that were made take several times as much memory as they do encoded, and wait for the rest of the batch.
            piece.iter_mut().for_each(|row| row.pack());
            self.hold(footprint_of(&piece), cx)?;
            self.ended = piece.is_empty();
            self.adapt(self.clock.now().since(asked), sizes.time);
            if rows.is_empty() {
                rows = piece;
            } else {
                rows.append(&mut piece);
            }
        };
        self.row_bytes = measured.mean().or(self.row_bytes);
        self.waiting = rows.split_off(cut);
        // The text that is made of them is about as long.
        self.hold(measured.bytes, cx)?;
        Ok(CursorBatch { more: !self.ended || !self.waiting.is_empty(), rows })
    }

    fn hold(&mut self, bytes: usize, cx: &Cx) -> Result<()> {
        cx.hold(bytes)?;
        self.held += bytes;
        Ok(())
    }

    /// Rows that come fast are asked for by many, so that time is looked at about as often whatever the stream does.
    fn adapt(&mut self, took: Duration, time: Duration) {
        let piece = if took > time / 4 { self.piece / PIECE_GROWTH } else { self.piece.saturating_mul(PIECE_GROWTH) };
        self.piece = piece.clamp(1, BATCH_ROWS_MAX);
    }
}

/// The rows of a batch that were looked at, and what they weigh.
#[derive(Default)]
struct Measured {
    rows: usize,
    bytes: usize,
}

impl Measured {
    /// Looks at the rows that are new; how many of all fill the batch, if they do.
    fn add(&mut self, rows: &[Datum], sizes: &BatchSizes) -> Option<usize> {
        for row in &rows[self.rows..] {
            self.rows += 1;
            self.bytes += row.size_hint();
            let full = self.bytes >= sizes.bytes && self.rows >= sizes.rows_min;
            if self.rows >= sizes.rows_max || full || self.bytes >= BATCH_BYTES_MAX {
                return Some(self.rows);
            }
        }
        None
    }

    /// What a row weighs, at least a byte; `None`: there was none.
    fn mean(&self) -> Option<usize> {
        self.bytes.checked_div(self.rows).map(|mean| mean.max(1))
    }

    /// How many rows of `mean` bytes each fill what is left of the bytes.
    fn fitting(&self, mean: usize, sizes: &BatchSizes) -> usize {
        let left = sizes.bytes.saturating_sub(self.bytes) / mean;
        let wanted = left.max(sizes.rows_min.saturating_sub(self.rows));
        wanted.min(BATCH_BYTES_MAX.saturating_sub(self.bytes) / mean).min(PIECE_BYTES_MAX / mean).max(1)
    }
}
