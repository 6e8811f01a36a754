//! `distinct` of what is read in the order that it needs: each value once, without gathering any.

use std::rc::Rc;

use photondb_reql::datum::Datum;
use photondb_reql::error::{Error, Result};
use photondb_reql::eval::{Args, Batch, Cx, Func, Glance, Sequence, Stream, Value};
use photondb_reql::transform::Transform;

use super::{Part, RowStream, Slice, TableRef};
use crate::limits::SCAN_BATCH_ROWS;
use crate::table::Order;

impl TableRef {
    /// `distinct({index})`; `None`: it is a part of the table that is read in another order.
    pub(super) fn distinct(self: Rc<Self>, args: &Args<'_>) -> Option<Result<Value>> {
        self.as_slice()?;
        self.distinct_in_order(args).transpose()
    }

    fn distinct_in_order(self: Rc<Self>, args: &Args<'_>) -> Result<Option<Value>> {
        let Some(index) = args.optarg_string("index")? else {
            // No two documents have one primary key, so each is distinct.
            let documents = |table| Sequence::stream(Box::new(Documents { table, rows: None }));
            return Ok(self.in_order_of(&self.info().primary_key).map(documents).map(Value::Sequence));
        };
        if index == self.info().primary_key {
            let key = Func::GetField(index.into(), args.call().id);
            return Sequence::table(self).then(Transform::Map(key)).into_value(args.cx()).map(Some);
        }
        match self.in_order_of(&index) {
            Some(table) => {
                let values = DistinctValues { table, rows: None, last: None };
                Ok(Some(Value::Sequence(Sequence::stream(Box::new(values)))))
            }
            None => Err(Error::logic("Can only perform an indexed distinct on a TABLE.")),
        }
    }

    /// The same range, read in the order of `index`, or against it if it is so already; `None`: another index says which rows
    /// it has.
    pub(crate) fn in_order_of(&self, index: &photondb_reql::Str) -> Option<TableRef> {
        let slice = self.as_slice().filter(|slice| slice.index.as_ref().is_none_or(|of| of == index))?;
        let order = if slice.order == Order::Any { Order::Ascending } else { slice.order };
        Some(self.with(Part::Slice(Slice { index: Some(index.clone()), range: slice.range.clone(), order })))
    }
}

/// The documents in an order. They are no selection any more.
struct Documents {
    table: TableRef,
    rows: Option<RowStream>,
}

impl Documents {
    fn rows(&mut self) -> Result<&mut RowStream> {
        opened(&mut self.rows, &self.table)
    }
}

impl Stream for Documents {
    fn next_batch(&mut self, want: usize, cx: &Cx) -> Result<Batch> {
        self.rows()?.next_batch(want, cx)
    }

    fn glance_batch(&mut self, want: usize, cx: &Cx, glance: &mut Glance<'_>) -> Result<Option<Batch>> {
        self.rows()?.glance_batch(want, cx, glance)
    }
}

/// The values of an index in its order.
struct DistinctValues {
    table: TableRef,
    rows: Option<RowStream>,
    last: Option<Datum>,
}

impl Stream for DistinctValues {
    fn next_batch(&mut self, want: usize, cx: &Cx) -> Result<Batch> {
        let mut values = Batch::new();
        while values.is_empty() {
            let batch = opened(&mut self.rows, &self.table)?.next_rows(want.clamp(1, SCAN_BATCH_ROWS))?;
            cx.steps_of(batch.len());
            if batch.is_empty() {
                break;
            }
            for row in batch {
                let value = self.table.value_of(&row)?;
                if self.last.as_ref() != Some(&value) {
                    self.last = Some(value.clone());
                    values.push(value);
                }
            }
        }
        Ok(values)
    }
}

/// The reading, which begins when the first row is wanted.
fn opened<'r>(rows: &'r mut Option<RowStream>, table: &TableRef) -> Result<&'r mut RowStream> {
    if rows.is_none() {
        *rows = Some(table.open_rows()?);
    }
    Ok(rows.as_mut().expect("was opened"))
}
