//! `min` and `max` with an index: the first row in that order, read when somebody wants to see it.

use std::rc::Rc;

use photondb_reql::TermKind;
use photondb_reql::error::Result;
use photondb_reql::eval::{Args, Value};

use super::{Part, Slice, TableRef};
use crate::row::RowRef;
use crate::table::Order;

impl TableRef {
    /// `min({index})`, `max({index})` of a whole table; without an index by the primary key. With no row there is no error
    /// before somebody reads it: a feed of it begins with nothing.
    pub(super) fn extreme(self: Rc<Self>, args: &Args<'_>) -> Result<Value> {
        let order = match args.kind() {
            TermKind::Max => Order::Descending,
            _ => Order::Ascending,
        };
        let index = args.optarg_string("index")?.unwrap_or_else(|| self.info().primary_key.clone());
        let ordered = self.with(Part::Slice(Slice { index: Some(index), range: None, order }));
        Ok(RowRef::extreme(&ordered, args.call().id).into_value())
    }
}
