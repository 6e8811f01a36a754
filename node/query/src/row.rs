//! [`RowRef`]: one document of a table, read when somebody wants to see it.

use std::any::Any;
use std::cell::OnceCell;
use std::rc::Rc;

use photondb_reql::BacktraceId;
use photondb_reql::datum::Datum;
use photondb_reql::error::{Error, Result};
use photondb_reql::eval::{Args, Cx, RowValue, Value};

use crate::catalog::Permission;
use crate::keys;
use crate::selection::TableRef;
use crate::table::Order;
use crate::terms;

/// One document of a table.
#[derive(Clone)]
pub(crate) struct RowRef {
    /// The table it is a row of, or for the first row of an order, that order.
    pub table: TableRef,
    /// `Null` for the first row of an order, which is found when it is read: [`RowRef::key_of_document`] reads it.
    pub key: Datum,
    pub origin: Origin,
    /// Where an error about its absence points to.
    place: BacktraceId,
    document: OnceCell<Datum>,
}

/// How the row was named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// By its key (`get`), or by its place, which had to be read (`nth`).
    Key,
    /// As the first in the order of the slice (`min`, `max` by an index).
    Extreme,
}

impl RowRef {
    /// `get(key)`. Errors: the key cannot be one.
    pub fn by_key(table: &TableRef, key: Datum) -> Result<RowRef> {
        // A system table has no tree that a key must fit; there is simply no such row.
        if !table.info().system {
            keys::check_primary(&key)?;
        }
        Ok(RowRef::unread(table, key, Origin::Key, BacktraceId::NONE))
    }

    /// The same, read already.
    pub fn known(table: &TableRef, key: Datum, document: Datum) -> RowRef {
        RowRef { document: OnceCell::from(document), ..RowRef::unread(table, key, Origin::Key, BacktraceId::NONE) }
    }

    /// A document that was read already.
    pub fn found(table: &TableRef, document: Datum) -> RowRef {
        let key = document.field(&table.info().primary_key).unwrap_or(Datum::Null);
        let row = RowRef::unread(table, key, Origin::Key, BacktraceId::NONE);
        RowRef { document: OnceCell::from(document), ..row }
    }

    /// The first document in the order of `slice`, which the term at `place` asks for.
    pub fn extreme(slice: &TableRef, place: BacktraceId) -> RowRef {
        RowRef::unread(slice, Datum::Null, Origin::Extreme, place)
    }

    fn unread(table: &TableRef, key: Datum, origin: Origin, place: BacktraceId) -> RowRef {
        RowRef { table: table.clone(), key, origin, place, document: OnceCell::new() }
    }

    pub fn into_value(self) -> Value {
        Value::Row(Rc::new(self))
    }

    /// The key of the document, for whoever writes to it. Errors: as [`RowRef::document`] where only reading tells it.
    pub fn key_of_document(&self) -> Result<Datum> {
        match self.origin {
            Origin::Key => Ok(self.key.clone()),
            Origin::Extreme => self.document()?.field(&self.table.info().primary_key),
        }
    }

    /// The document; `Null` when there is none of that key. Errors: an order of nothing has no first row; permission.
    pub fn document(&self) -> Result<Datum> {
        if let Some(document) = self.document.get() {
            return Ok(document.clone());
        }
        self.table.surroundings.require_on(Permission::Read, self.table.info())?;
        let document = match self.origin {
            Origin::Key => self.table.get(&self.key)?.unwrap_or(Datum::Null),
            Origin::Extreme => self.first()?,
        };
        Ok(self.document.get_or_init(|| document).clone())
    }

    fn first(&self) -> Result<Datum> {
        let found = self.table.open_rows()?.next_rows(1)?.into_iter().next();
        found.map(|row| row.document).ok_or_else(|| {
            let descending = self.table.as_slice().is_some_and(|slice| slice.order == Order::Descending);
            let name = if descending { "max" } else { "min" };
            // Not for want of something: `default` does not stand in for it.
            Error::logic(format!("`{name}` found no entries in the specified index.")).at(self.place)
        })
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
