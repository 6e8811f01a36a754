//! [`RowRef`]: one document of a table, read when somebody wants to see it.

use std::any::Any;
use std::cell::OnceCell;
use std::rc::Rc;

use photondb_reql::datum::Datum;
use photondb_reql::error::Result;
use photondb_reql::eval::{Args, Cx, RowValue, Value};

use crate::catalog::Permission;
use crate::keys;
use crate::selection::TableRef;
use crate::terms;

/// One document of a table.
#[derive(Clone)]
pub(crate) struct RowRef {
    /// The table it is a row of, or for the first row of an order, that order.
    pub table: TableRef,
    pub key: Datum,
    pub origin: Origin,
    document: OnceCell<Datum>,
}

/// How the row was named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// By its key (`get`).
    Key,
    /// By its place (`nth`).
    Place,
    /// As the first in the order of the slice (`min`, `max`).
    Extreme,
}

impl RowRef {
    /// `get(key)`. Errors: the key cannot be one.
    pub fn by_key(table: &TableRef, key: Datum) -> Result<RowRef> {
        // A system table has no tree that a key must fit; there is simply no such row.
        if !table.info().system {
            keys::check_primary(&key)?;
        }
        Ok(RowRef { table: table.clone(), key, origin: Origin::Key, document: OnceCell::new() })
    }

    /// A document that was read already.
    pub fn found(table: &TableRef, document: Datum) -> RowRef {
        RowRef::of(table, document, Origin::Place)
    }

    /// The first document in the order of `slice`.
    pub fn extreme(slice: &TableRef, document: Datum) -> RowRef {
        RowRef::of(slice, document, Origin::Extreme)
    }

    fn of(table: &TableRef, document: Datum, origin: Origin) -> RowRef {
        let key = document.field(&table.info().primary_key).unwrap_or(Datum::Null);
        RowRef { table: table.clone(), key, origin, document: OnceCell::from(document) }
    }

    pub fn into_value(self) -> Value {
        Value::Row(Rc::new(self))
    }

    /// The document; `Null` when there is none.
    pub fn document(&self) -> Result<Datum> {
        if let Some(document) = self.document.get() {
            return Ok(document.clone());
        }
        self.table.surroundings.require_on(Permission::Read, self.table.info())?;
        let found = self.table.get(&self.key)?;
        let document = found.unwrap_or(Datum::Null);
        Ok(self.document.get_or_init(|| document).clone())
    }
}

impl RowValue for RowRef {
    fn read(&self, cx: &Cx) -> Result<Datum> {
        cx.step();
        self.document()
    }

    fn term(self: Rc<Self>, args: &Args<'_>) -> Option<Result<Value>> {
        terms::on_row(args.kind()).then(|| terms::eval_on(Value::Row(self), args))
    }

    fn describe(&self) -> String {
        self.document().map(|document| document.print()).unwrap_or_default()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
