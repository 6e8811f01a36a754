//! The documents of a scan as a stream.

use std::rc::Rc;

use photondb_reql::error::Result;
use photondb_reql::eval::{Batch, Cx, Glance, Stream};

use crate::limits::{FIRST_PIECE_ROWS, SCAN_BATCH_BYTES, SCAN_BATCH_ROWS};
use crate::observed::Tally;
use crate::selection::TableRef;
use crate::surroundings::Surroundings;
use crate::table::{Progress, Row, Rows};

/// The scan of what is empty whatever the table holds.
pub(crate) struct NoRows;

impl Rows for NoRows {
    fn next_batch(&mut self, _want: usize) -> Result<Vec<Row>> {
        Ok(Vec::new())
    }

    fn progress(&self) -> &[Progress] {
        &[]
    }

    fn is_at_end(&self) -> bool {
        true
    }
}

/// A scan in progress.
pub(crate) struct RowStream {
    rows: Box<dyn Rows>,
    /// How many rows like the last ones are read at once. `None`: the table itself looks at what they weigh.
    rows_max: Option<usize>,
    surroundings: Rc<Surroundings>,
    /// Where the rows are counted, when somebody wants to know.
    tally: Option<Rc<Tally>>,
}

impl RowStream {
    /// A scan that `table` has begun.
    pub fn new(rows: Box<dyn Rows>, table: &TableRef) -> RowStream {
        let surroundings = table.surroundings.clone();
        let tally = surroundings.observed.as_ref().and_then(|observed| observed.opened(table.id));
        RowStream { rows, rows_max: Some(FIRST_PIECE_ROWS), surroundings, tally }
    }

    /// Of a scan by a geospatial index, where rows may share a document.
    pub fn by_cells(rows: Box<dyn Rows>, table: &TableRef) -> RowStream {
        RowStream { rows_max: None, ..RowStream::new(rows, table) }
    }

    /// About `want` rows; none only at the end.
    pub fn next_rows(&mut self, want: usize) -> Result<Vec<Row>> {
        let want = want.clamp(1, self.rows_max.unwrap_or(SCAN_BATCH_ROWS));
        let batch = self.count(|rows| rows.next_batch(want), |batch| batch.len())?;
        self.adapt(&batch);
        Ok(batch)
    }

    /// What the scan keeps between two batches, in bytes.
    pub fn held_bytes(&self) -> usize {
        self.rows.held_bytes()
    }

    /// Reads, and counts the rows that were looked at when somebody wants to know.
    fn count<T>(
        &mut self,
        read: impl FnOnce(&mut dyn Rows) -> Result<T>,
        examined: impl FnOnce(&T) -> usize,
    ) -> Result<T> {
        let rows = &mut *self.rows;
        let Some(tally) = &self.tally else { return self.surroundings.reading(|| read(rows)) };
        let clock = &self.surroundings.environment.clock;
        let began = clock.now();
        let found = self.surroundings.reading(|| read(rows))?;
        tally.read(examined(&found), clock.now().since(began));
        Ok(found)
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
        let found = self.count(|rows| rows.glance_batch(want, glance), |found| found.examined)?;
        cx.steps_of(found.examined);
        if found.examined == 0 {
            return Ok(None);
        }
        Ok(Some(found.rows.into_iter().map(|row| row.document).collect()))
    }
}
