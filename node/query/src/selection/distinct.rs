//! `distinct` with an index: the values of the index, each once, without reading documents into memory.

use std::rc::Rc;

use photondb_reql::datum::Datum;
use photondb_reql::error::{Error, Result};
use photondb_reql::eval::{Args, Batch, Cx, Sequence, Stream, Value};

use super::{Part, RowStream, Slice, TableRef};
use crate::index_function::IndexFunction;
use crate::limits::SCAN_BATCH_ROWS;
use crate::table::Order;

impl TableRef {
    /// `distinct({index})`.
    pub(super) fn distinct(self: Rc<Self>, args: &Args<'_>) -> Result<Value> {
        let Some(slice) = self.as_slice() else {
            return Err(Error::logic("Can only perform an indexed distinct on a TABLE."));
        };
        let Some(index) = args.optarg_string("index")? else {
            return Err(Error::logic("Can only perform an indexed distinct on a TABLE."));
        };
        let same = slice.index.as_ref().is_none_or(|of| *of == index);
        if !same {
            return self.distinct_of_other_index(&index, args.cx());
        }
        let order = if slice.order == Order::Any { Order::Ascending } else { slice.order };
        let ordered = self.with(Part::Slice(Slice { index: Some(index), range: slice.range.clone(), order }));
        Ok(Value::Sequence(Sequence::stream(Box::new(DistinctValues { table: ordered, rows: None, last: None }))))
    }

    /// The slice is of one index, the values wanted are of another: they are computed for each document.
    fn distinct_of_other_index(&self, index: &photondb_reql::Str, cx: &Cx) -> Result<Value> {
        let function = IndexFunction::of(self, index)?;
        let mut values = std::collections::BTreeSet::new();
        let mut rows = self.open_rows()?;
        loop {
            let batch = rows.next_rows(SCAN_BATCH_ROWS)?;
            if batch.is_empty() {
                break;
            }
            cx.steps_of(batch.len());
            for row in batch {
                for value in function.values(&row.document, cx) {
                    let size = value.footprint();
                    if values.insert(value) {
                        cx.hold(size)?;
                    }
                }
            }
            cx.check_array_length(values.len())?;
        }
        let values: Vec<Datum> = values.into_iter().collect();
        Ok(Value::Sequence(Sequence::stream(Box::new(Fixed(values)))))
    }
}

/// Values that are there already, as a stream.
pub(super) struct Fixed(pub Vec<Datum>);

impl Stream for Fixed {
    fn next_batch(&mut self, want: usize, _cx: &Cx) -> Result<Batch> {
        let count = self.0.len().min(want.max(1));
        Ok(self.0.drain(..count).collect())
    }
}

struct DistinctValues {
    table: TableRef,
    rows: Option<RowStream>,
    last: Option<Datum>,
}

impl Stream for DistinctValues {
    fn next_batch(&mut self, want: usize, cx: &Cx) -> Result<Batch> {
        if self.rows.is_none() {
            self.rows = Some(self.table.open_rows()?);
        }
        let mut values = Batch::new();
        while let Some(rows) = &mut self.rows {
            let batch = rows.next_rows(want.clamp(1, SCAN_BATCH_ROWS))?;
            cx.steps_of(batch.len());
            if batch.is_empty() {
                break;
            }
            for row in batch {
                let value = match row.index_value {
                    Some(value) => value,
                    None => row.document.field(&self.table.info().primary_key)?,
                };
                if self.last.as_ref() != Some(&value) {
                    self.last = Some(value.clone());
                    values.push(value);
                }
            }
            if !values.is_empty() {
                break;
            }
        }
        Ok(values)
    }
}
