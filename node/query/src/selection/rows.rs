//! The documents of a scan as a stream.

use std::rc::Rc;

use photondb_reql::error::Result;
use photondb_reql::eval::{Batch, Cx, Glance, Stream};

use crate::limits::{FIRST_PIECE_ROWS, SCAN_BATCH_BYTES, SCAN_BATCH_ROWS};
use crate::surroundings::Surroundings;
use crate::table::{Row, Rows};

/// A scan in progress.
pub(crate) struct RowStream {
    rows: Box<dyn Rows>,
    /// How many rows like the last ones are read at once. `None`: the table itself looks at what they weigh.
    rows_max: Option<usize>,
    surroundings: Rc<Surroundings>,
}

impl RowStream {
    pub fn new(rows: Box<dyn Rows>, surroundings: &Rc<Surroundings>) -> RowStream {
        RowStream { rows, rows_max: Some(FIRST_PIECE_ROWS), surroundings: surroundings.clone() }
    }

    /// Of a scan by a geospatial index, where rows may share a document.
    pub fn by_cells(rows: Box<dyn Rows>, surroundings: &Rc<Surroundings>) -> RowStream {
        RowStream { rows, rows_max: None, surroundings: surroundings.clone() }
    }

    /// About `want` rows; none only at the end.
    pub fn next_rows(&mut self, want: usize) -> Result<Vec<Row>> {
        let want = want.clamp(1, self.rows_max.unwrap_or(SCAN_BATCH_ROWS));
        let batch = self.surroundings.reading(|| self.rows.next_batch(want))?;
        self.adapt(&batch);
        Ok(batch)
    }

    /// The heavier the rows, the fewer are read at once.
    fn adapt(&mut self, batch: &[Row]) {
        let Some(rows_max) = &mut self.rows_max else { return };
        let bytes: usize = batch.iter().map(|row| row.document.size_hint()).sum();
        if let Some(mean) = bytes.checked_div(batch.len()) {
            *rows_max = (SCAN_BATCH_BYTES / mean.max(1)).clamp(1, SCAN_BATCH_ROWS);
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
        let want = want.clamp(1, SCAN_BATCH_ROWS);
        let found = self.surroundings.reading(|| self.rows.glance_batch(want, glance))?;
        cx.steps_of(found.examined);
        if found.examined == 0 {
            return Ok(None);
        }
        Ok(Some(found.rows.into_iter().map(|row| row.document).collect()))
    }
}
