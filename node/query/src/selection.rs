//! [`TableRef`]: a table, a range of one, the rows of some keys, or the rows that intersect a geometry, not yet read.

mod bounds;
mod distinct;
mod extreme;
mod geo;
mod group;
mod nearest;
mod order;
mod rows;

use std::any::Any;
use std::rc::Rc;

use photondb_reql::datum::Datum;
use photondb_reql::error::{Error, Result, ResultExt};
use photondb_reql::eval::value::Db;
use photondb_reql::eval::{Args, Cx, Filed, Stream, TableValue, Value};
use photondb_reql::transform::Transform;
use photondb_reql::{BacktraceId, Str, TermKind};

pub(crate) use bounds::{between, get_all};
pub(crate) use geo::{by_cells, get_intersecting, meets, require_geo};
pub(crate) use nearest::get_nearest;
pub(crate) use order::not_a_slice;
pub(crate) use rows::RowStream;

use crate::catalog::Permission;
use crate::plan;
use crate::row::RowRef;
use crate::selection::rows::NoRows;
use crate::surroundings::Surroundings;
use crate::table::{Access, DatumRange, IndexInfo, Keys, Order, ReadMode, Row, Table, TableInfo};
use crate::terms;

/// A table or a part of it.
#[derive(Clone)]
pub(crate) struct TableRef {
    pub surroundings: Rc<Surroundings>,
    pub db: Db,
    pub table: Rc<dyn Table>,
    pub mode: ReadMode,
    pub part: Part,
    /// Where in the query the table was named.
    pub id: BacktraceId,
}

/// Which part of the table.
#[derive(Clone)]
pub(crate) enum Part {
    /// All of it, in any order; a range of it, by some index, in some order.
    Slice(Slice),
    /// `get_all`.
    Keys { index: Option<Str>, keys: Vec<Datum> },
    /// `get_intersecting`.
    Intersecting { index: Str, geometry: Datum },
}

/// What `between` and `order_by` with an index have said.
#[derive(Clone, Default)]
pub(crate) struct Slice {
    /// The index that either of them named, once one has; it may name the primary key.
    pub index: Option<Str>,
    /// What `between` said.
    pub range: Option<DatumRange>,
    pub order: Order,
}

impl TableRef {
    pub fn whole(
        surroundings: Rc<Surroundings>,
        db: Db,
        table: Rc<dyn Table>,
        mode: ReadMode,
        id: BacktraceId,
    ) -> TableRef {
        TableRef { surroundings, db, table, mode, part: Part::Slice(Slice::default()), id }
    }

    pub fn info(&self) -> &TableInfo {
        self.table.info()
    }

    /// Another part of the same table.
    pub fn with(&self, part: Part) -> TableRef {
        TableRef { part, ..self.clone() }
    }

    pub fn into_value(self) -> Value {
        Value::Table(Rc::new(self))
    }

    /// Nothing has been selected from it.
    pub fn is_whole(&self) -> bool {
        self.as_slice().is_some_and(|slice| slice.index.is_none())
    }

    pub fn as_slice(&self) -> Option<&Slice> {
        match &self.part {
            Part::Slice(slice) => Some(slice),
            _ => None,
        }
    }

    /// `None` when the name is the primary key's.
    pub fn secondary(&self, index: Option<&Str>) -> Option<Str> {
        index.filter(|name| **name != self.info().primary_key).cloned()
    }

    /// The index that the part is read by, when it is a secondary one.
    pub fn reading_index(&self) -> Option<Str> {
        match &self.part {
            Part::Slice(slice) => self.secondary(slice.index.as_ref()),
            Part::Keys { index, .. } => self.secondary(index.as_ref()),
            Part::Intersecting { index, .. } => Some(index.clone()),
        }
    }

    /// An index that can be read in order. Errors: no such index, or a geospatial one; in RethinkDB the shard raises them, which
    /// does not know the query, so they point to the whole of it.
    pub fn ordinary_index(&self, name: &str) -> Result<IndexInfo> {
        let index = self.index(name).at(BacktraceId::NONE)?;
        if index.geo {
            return Err(Error::logic(format!(
                "Index `{name}` is a geospatial index.  Only get_nearest and get_intersecting can use a geospatial index."
            ))
            .at(BacktraceId::NONE));
        }
        Ok(index)
    }

    /// Any index. Errors: no such index.
    pub fn index(&self, name: &str) -> Result<IndexInfo> {
        let indexes = self.table.indexes()?;
        indexes.into_iter().find(|index| *index.name == *name).ok_or_else(|| self.info().no_such_index(name))
    }

    /// What to ask the table for; `None` for a geometry, whose rows must be looked at behind the table.
    pub fn access(&self) -> Option<Access> {
        let (keys, order) = match &self.part {
            Part::Slice(slice) => (Keys::Range(slice.range.clone().unwrap_or_else(DatumRange::all)), slice.order),
            Part::Keys { keys, .. } => (Keys::Each(keys.clone()), Order::Any),
            Part::Intersecting { .. } => return None,
        };
        Some(Access { index: self.reading_index(), keys, order })
    }

    /// Whether it was asked for no keys at all.
    pub fn asks_for_nothing(&self) -> bool {
        match &self.part {
            Part::Slice(slice) => slice.range.as_ref().is_some_and(DatumRange::is_empty),
            Part::Keys { keys, .. } => keys.is_empty(),
            Part::Intersecting { .. } => false,
        }
    }

    /// Begins to read the documents. Errors: permission, no such index.
    pub fn open_stream(&self, cx: &Cx) -> Result<Box<dyn Stream>> {
        let Part::Intersecting { index, geometry } = &self.part else { return Ok(Box::new(self.open_rows()?)) };
        self.surroundings.require_on(Permission::Read, self.info())?;
        Ok(Box::new(geo::Intersecting::open(self, index, geometry, cx)?))
    }

    /// Whether nothing is read, so that nobody asks for the index, or what may be a key. Of a system table they are asked for.
    fn is_never_read(&self) -> bool {
        self.asks_for_nothing() && !self.info().system
    }

    /// Begins to read the rows of anything but a geometry. Errors: permission, no such index.
    pub fn open_rows(&self) -> Result<RowStream> {
        self.surroundings.require_on(Permission::Read, self.info())?;
        if self.is_never_read() {
            return Ok(RowStream::new(Box::new(NoRows), self));
        }
        if let Some(name) = self.reading_index() {
            self.ordinary_index(&name)?;
        }
        let access = self.access().expect("only a geometry has no access");
        Ok(RowStream::new(self.table.scan(&access, self.mode)?, self))
    }

    /// The value by which the index that the part is read by has a row.
    fn value_of(&self, row: &Row) -> Result<Datum> {
        match &row.index_value {
            Some(value) => Ok(value.clone()),
            None => row.document.field(&self.info().primary_key),
        }
    }

    /// The document with this primary key.
    pub fn get(&self, key: &Datum) -> Result<Option<Datum>> {
        let surroundings = &self.surroundings;
        let read = || surroundings.reading(|| self.table.get(key, self.mode));
        let Some(tally) = surroundings.observed.as_ref().and_then(|observed| observed.opened(self.id)) else {
            return read();
        };
        let clock = &surroundings.environment.clock;
        let began = clock.now();
        let found = read()?;
        tally.read(usize::from(found.is_some()), clock.now().since(began));
        Ok(found)
    }

    fn count(&self) -> Option<Result<Value>> {
        if let Err(error) = self.surroundings.require_on(Permission::Read, self.info()) {
            return Some(Err(error));
        }
        if self.is_never_read() {
            return Some(Ok(Value::Datum(Datum::from(0))));
        }
        let access = self.access()?;
        if let Some(name) = &access.index
            && let Err(error) = self.ordinary_index(name)
        {
            return Some(Err(error));
        }
        match self.surroundings.reading(|| self.table.count(&access, self.mode)) {
            Ok(count) => count.map(|count| Ok(Value::Datum(Datum::from(count)))),
            Err(error) => Some(Err(error)),
        }
    }
}

impl TableValue for TableRef {
    fn type_name(&self) -> &'static str {
        match &self.part {
            Part::Slice(slice) if slice.index.is_none() => "TABLE",
            Part::Slice(_) => "TABLE_SLICE",
            _ => "SELECTION<STREAM>",
        }
    }

    fn open(&self, transforms: &[Transform], cx: &Cx) -> Result<Box<dyn Stream>> {
        plan::open(self, transforms, cx)
    }

    fn term(self: Rc<Self>, args: &Args<'_>) -> Option<Result<Value>> {
        match args.kind() {
            TermKind::Count if args.len() == 1 => self.count(),
            TermKind::OrderBy if args.optarg_node("index").is_some() => Some(self.order_by(args)),
            TermKind::Distinct => self.distinct(args),
            TermKind::Group if args.optarg_node("index").is_some() && self.is_whole() => Some(self.group(args)),
            // Without anything to compare by, the documents of a whole table are compared by its primary key.
            TermKind::Min | TermKind::Max if args.len() == 1 && self.is_whole() => Some(self.extreme(args)),
            kind if terms::on_table(kind) => Some(terms::eval_on(Value::Table(self), args)),
            _ => None,
        }
    }

    fn read_filed(&self, cx: &Cx, each: &mut dyn FnMut(Vec<Filed>) -> Result<()>) -> Result<()> {
        self.each_filed(cx, each)
    }

    fn row(self: Rc<Self>, document: Datum) -> Value {
        RowRef::found(&self, document).into_value()
    }

    fn is_nothing(&self) -> bool {
        self.asks_for_nothing()
    }

    fn describe(&self) -> String {
        if self.is_whole() {
            format!("table(\"{}\")", self.info().name)
        } else {
            format!("SELECTION ON table({})", self.info().name)
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
