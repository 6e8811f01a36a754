//! `min` and `max` with an index: the first row in that order.

use std::rc::Rc;

use photondb_reql::TermKind;
use photondb_reql::error::{Error, Result};
use photondb_reql::eval::{Args, Value};

use super::{Part, Slice, TableRef, bounds};
use crate::row::RowRef;
use crate::table::Order;

impl TableRef {
    /// `min({index})`, `max({index})`.
    pub(super) fn extreme(self: Rc<Self>, args: &Args<'_>) -> Result<Value> {
        let (name, order) = match args.kind() {
            TermKind::Min => ("MIN", Order::Ascending),
            _ => ("MAX", Order::Descending),
        };
        if args.len() > 1 {
            return Err(Error::logic(format!("Cannot specify both a function and an index for {name}.")));
        }
        let Some(slice) = self.as_slice() else {
            return Err(Error::logic(format!(
                "Indexed {} can only be performed on a TABLE or TABLE_SLICE.",
                name.to_lowercase()
            )));
        };
        let named = args.optarg_string("index")?;
        let index = named.or_else(|| slice.index.clone()).unwrap_or_else(|| self.info().primary_key.clone());
        // An order that is there already is turned to what is asked for.
        let slice = Slice { order: Order::Any, ..slice.clone() };
        let ordered = self.with(Part::Slice(bounds::sorted(&slice, &index, order, self.id)?));
        let first = ordered.open_rows()?.next_rows(1)?.into_iter().next();
        match first {
            Some(row) => Ok(RowRef::extreme(&ordered, row.document).into_value()),
            None => Err(Error::non_existence(format!(
                "Cannot take the {} of an empty stream.  (If you passed `{}` a field name, it may be that no elements \
                 of the stream had that field.)",
                name.to_lowercase(),
                name.to_lowercase()
            ))),
        }
    }
}
