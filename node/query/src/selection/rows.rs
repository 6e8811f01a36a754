//! The documents of a scan as a stream.

use photondb_reql::error::Result;
use photondb_reql::eval::{Batch, Cx, Stream};

use crate::limits::SCAN_BATCH_ROWS;
use crate::table::{Row, Rows};

/// A scan in progress, with a filter that the table could not do by itself.
pub(crate) struct RowStream {
    rows: Box<dyn Rows>,
    keep: Option<Keep>,
}

/// Which rows stay, and how often each.
pub(crate) type Keep = Box<dyn FnMut(&Row) -> Result<bool>>;

impl RowStream {
    pub fn new(rows: Box<dyn Rows>) -> RowStream {
        RowStream { rows, keep: None }
    }

    pub fn filtered(rows: Box<dyn Rows>, keep: Keep) -> RowStream {
        RowStream { rows, keep: Some(keep) }
    }

    /// About `want` rows; none only at the end.
    pub fn next_rows(&mut self, want: usize) -> Result<Vec<Row>> {
        loop {
            let mut batch = self.rows.next_batch(want.clamp(1, SCAN_BATCH_ROWS))?;
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
}

impl Stream for RowStream {
    fn next_batch(&mut self, want: usize, cx: &Cx) -> Result<Batch> {
        let rows = self.next_rows(want)?;
        cx.steps(u32::try_from(rows.len()).unwrap_or(u32::MAX));
        Ok(rows.into_iter().map(|row| row.document).collect())
    }
}
