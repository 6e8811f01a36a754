//! `group` with an index: one more part of each group's key, which the index gives.

use std::rc::Rc;

use photondb_reql::error::{Error, Result};
use photondb_reql::eval::{Args, Cx, Filed, Func, Sequence, Shortcut, Value};
use photondb_reql::transform::{GroupBy, Transform};

use super::{Part, Slice, TableRef};
use crate::limits::SCAN_BATCH_ROWS;
use crate::table::{Order, Row};

impl TableRef {
    /// `group(function, ..., {index})` of a whole table; the value in the index is the last part of the group. Nothing is read
    /// here: what stands behind it is done group by group, as behind `group` by functions alone.
    pub(super) fn group(self: Rc<Self>, args: &Args<'_>) -> Result<Value> {
        let mut functions = Vec::with_capacity(args.len());
        for position in 1..args.len() {
            functions.push(args.function(position, Shortcut::GetField)?);
        }
        let Some(index) = args.optarg_string("index")? else {
            return Err(Error::internal("group was asked for an index that is not there"));
        };
        let id = args.call().id;
        let secondary = self.secondary(Some(&index));
        let order = match secondary {
            Some(_) => Order::Ascending,
            // The primary key is a field like any other.
            None => {
                functions.push(Func::GetField(index.clone().into(), id));
                Order::Any
            }
        };
        let multi = args.optarg_bool("multi")?.unwrap_or(false);
        let slice = self.with(Part::Slice(Slice { index: Some(index), range: None, order }));
        let by = GroupBy { functions, index: secondary, multi, id };
        Sequence::table(Rc::new(slice)).then(Transform::Group(by)).into_value(args.cx())
    }

    /// Reads the rows with the values by which the index has them.
    pub(super) fn each_filed(&self, cx: &Cx, each: &mut dyn FnMut(Vec<Filed>) -> Result<()>) -> Result<()> {
        let mut rows = self.open_rows()?;
        loop {
            let batch = rows.next_rows(SCAN_BATCH_ROWS)?;
            if batch.is_empty() {
                return Ok(());
            }
            cx.steps_of(batch.len());
            let filed = |row: Row| self.value_of(&row).map(|value| Filed { document: row.document, value });
            each(batch.into_iter().map(filed).collect::<Result<_>>()?)?;
        }
    }
}
