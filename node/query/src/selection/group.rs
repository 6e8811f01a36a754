//! `group` with an index: rows by the value they have in it.

use std::collections::BTreeMap;
use std::rc::Rc;

use photondb_reql::datum::{Array, Datum};
use photondb_reql::error::{Error, Result};
use photondb_reql::eval::{Args, Sequence, Shortcut, Value};

use super::{Part, Slice, TableRef};
use crate::limits::SCAN_BATCH_ROWS;
use crate::table::Order;

impl TableRef {
    /// `group(function, ..., {index})`; the value in the index is the last part of the group.
    pub(super) fn group(self: Rc<Self>, args: &Args<'_>) -> Result<Value> {
        let cx = args.cx();
        let Some(slice) = self.as_slice() else {
            return Err(Error::logic("Can only group by an index on a TABLE or TABLE_SLICE."));
        };
        let Some(index) = args.optarg_string("index")? else {
            return Err(Error::internal("group was asked for an index that is not there"));
        };
        let mut functions = Vec::with_capacity(args.len() - 1);
        for position in 1..args.len() {
            functions.push(args.function(position, Shortcut::GetField)?);
        }
        let order = if slice.order == Order::Any { Order::Ascending } else { slice.order };
        if slice.index.as_ref().is_some_and(|of| *of != index) {
            let of = slice.index.as_ref().map(ToString::to_string).unwrap_or_default();
            return Err(Error::logic(format!(
                "Cannot order by index `{index}` after calling BETWEEN on index `{of}`."
            )));
        }
        let ordered = self.with(Part::Slice(Slice { index: Some(index), range: slice.range.clone(), order }));
        let mut groups: BTreeMap<Datum, Vec<Datum>> = BTreeMap::new();
        let mut count = 0;
        let mut rows = ordered.open_rows()?;
        loop {
            let batch = rows.next_rows(SCAN_BATCH_ROWS)?;
            if batch.is_empty() {
                break;
            }
            cx.steps_of(batch.len());
            for row in batch {
                let value = match row.index_value {
                    Some(value) => value,
                    None => row.document.field(&ordered.info().primary_key)?,
                };
                let group = if functions.is_empty() {
                    value
                } else {
                    let mut parts = Vec::with_capacity(functions.len() + 1);
                    for function in &functions {
                        parts.push(match function.call_datum(std::slice::from_ref(&row.document), cx) {
                            Ok(part) => part,
                            Err(error) if error.is_non_existence() => Datum::Null,
                            Err(error) => return Err(error),
                        });
                    }
                    parts.push(value);
                    Datum::from(parts)
                };
                cx.hold_datum(&row.document)?;
                if !groups.contains_key(&group) {
                    cx.hold_datum(&group)?;
                }
                groups.entry(group).or_default().push(row.document);
                count += 1;
                if count > cx.limits().array {
                    return Err(Error::resource(format!(
                        "Grouped data over size limit `{}`.  Try putting a reduction (like `.reduce` or `.count`) on \
                         the end.",
                        cx.limits().array
                    )));
                }
            }
        }
        let groups =
            groups.into_iter().map(|(group, rows)| (group, Value::Sequence(Sequence::array(Array::from(rows)))));
        Ok(Value::Grouped(groups.collect()))
    }
}
