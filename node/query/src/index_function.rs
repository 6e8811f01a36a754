//! What values a document has in an index, computed by the query: for changefeeds, and where two indexes meet.

use photondb_reql::datum::Datum;
use photondb_reql::error::{ErrorKind, Result};
use photondb_reql::eval::{Cx, Func};

use crate::definition;
use crate::selection::TableRef;

/// The function of an index, or the primary key.
pub(crate) struct IndexFunction {
    what: What,
    multi: bool,
    geo: bool,
}

enum What {
    PrimaryKey(photondb_reql::Str),
    Function(Func),
}

impl IndexFunction {
    /// The function of the index of that name, or the primary key. Errors: no such index.
    pub fn of(table: &TableRef, name: &photondb_reql::Str) -> Result<IndexFunction> {
        if *name == table.info().primary_key {
            return Ok(IndexFunction { what: What::PrimaryKey(name.clone()), multi: false, geo: false });
        }
        let index = table.index(name)?;
        let function = definition::decode(&index.definition)?;
        Ok(IndexFunction { what: What::Function(function), multi: index.multi, geo: index.geo })
    }

    /// Whether a document may have several values.
    pub fn is_multi(&self) -> bool {
        self.multi
    }

    /// The values; none when the function fails or gives what cannot be a key.
    pub fn values(&self, document: &Datum, cx: &Cx) -> Vec<Datum> {
        let function = match &self.what {
            What::PrimaryKey(name) => return document.field(name).into_iter().collect(),
            What::Function(function) => function,
        };
        let value = match function.apply(document.clone(), cx) {
            // The shard has no such limits but its own, which are the same for every query.
            Err(error) if error.kind == ErrorKind::ResourceLimit => function.apply(document.clone(), &Cx::pure()),
            value => value,
        };
        let Ok(value) = value else { return Vec::new() };
        let values = match (&value, self.multi) {
            (Datum::Array(items), true) => items.iter().collect(),
            _ => vec![value],
        };
        values.into_iter().filter(|value| self.fits(value)).collect()
    }

    fn fits(&self, value: &Datum) -> bool {
        if self.geo { value.is_ptype("GEOMETRY") } else { crate::keys::check_secondary(value).is_ok() }
    }
}
