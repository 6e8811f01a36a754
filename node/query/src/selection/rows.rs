//! The documents of a scan as a stream.

use std::rc::Rc;

use photondb_reql::error::Result;
use photondb_reql::eval::{Batch, Cx, Glance, Stream, left_by};

use crate::limits::{FIRST_PIECE_ROWS, SCAN_BATCH_BYTES, SCAN_BATCH_ROWS};
use crate::surroundings::Surroundings;
use crate::table::{Row, Rows};

/// A scan in progress, with a filter that the table could not do by itself.
pub(crate) struct RowStream {
    rows: Box<dyn Rows>,
    keep: Option<Keep>,
    /// How many rows like the last ones are read at once.
    rows_max: usize,
    surroundings: Rc<Surroundings>,
}

/// Which rows stay, and how often each.
pub(crate) type Keep = Box<dyn FnMut(&Row) -> Result<bool>>;

impl RowStream {
    pub fn new(rows: Box<dyn Rows>, surroundings: &Rc<Surroundings>) -> RowStream {
        RowStream { rows, keep: None, rows_max: FIRST_PIECE_ROWS, surroundings: surroundings.clone() }
    }

    pub fn filtered(rows: Box<dyn Rows>, keep: Keep, surroundings: &Rc<Surroundings>) -> RowStream {
        RowStream { keep: Some(keep), ..RowStream::new(rows, surroundings) }
    }

    /// About `want` rows; none only at the end.
    pub fn next_rows(&mut self, want: usize) -> Result<Vec<Row>> {
        loop {
            let want = want.clamp(1, self.rows_max);
            let mut batch = self.surroundings.reading(|| self.rows.next_batch(want))?;
            self.adapt(&batch);
            let Some(keep) = &mut self.keep else { return Ok(batch) };
            if batch.is_empty() {
                return Ok(batch);
            }
            let mut kept = Vec::with_capacity(batch.len());
            for row in batch.drain(..) {
                if keep(&row)? {
                    kept.push(row);
                }
            }
            if !kept.is_empty() {
                return Ok(kept);
            }
        }
    }

    /// The heavier the rows, the fewer are read at once.
    fn adapt(&mut self, batch: &[Row]) {
        let bytes: usize = batch.iter().map(|row| row.document.size_hint()).sum();
        if let Some(mean) = bytes.checked_div(batch.len()) {
            self.rows_max = (SCAN_BATCH_BYTES / mean.max(1)).clamp(1, SCAN_BATCH_ROWS);
        }
    }
}

impl Stream for RowStream {
    fn next_batch(&mut self, want: usize, cx: &Cx) -> Result<Batch> {
        let rows = self.next_rows(want)?;
        cx.steps_of(rows.len());
        Ok(rows.into_iter().map(|row| row.document).collect())
    }

    fn glance_batch(&mut self, want: usize, cx: &Cx, glance: &mut Glance<'_>) -> Result<Option<Batch>> {
        if self.keep.is_some() {
            return Ok(left_by(self.next_batch(want, cx)?, glance));
        }
        let want = want.clamp(1, SCAN_BATCH_ROWS);
        let found = self.surroundings.reading(|| self.rows.glance_batch(want, glance))?;
        cx.steps_of(found.examined);
        if found.examined == 0 {
            return Ok(None);
        }
        Ok(Some(found.rows.into_iter().map(|row| row.document).collect()))
    }
}
