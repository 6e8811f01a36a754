//! `get_intersecting`: the rows whose geometry in an index meets a geometry. The index gives those whose cells meet, and each of
//! them is looked at.

use std::sync::Arc;

use photondb_reql::datum::Datum;
use photondb_reql::error::{Error, Result, ResultExt};
use photondb_reql::eval::terms::geo::as_geometry;
use photondb_reql::eval::{Args, Batch, Cx, Stream, Value};
use photondb_reql::geo::{Effort, Shape, cells_of_query};
use photondb_reql::{BacktraceId, Str};

use super::{Part, RowStream, TableRef};
use crate::mismatch;
use crate::table::{Access, Keys, Order};

/// `get_intersecting(geometry, {index})`.
pub(crate) fn get_intersecting(args: &Args<'_>) -> Result<Value> {
    let table = args.convert(0, mismatch::as_table)?;
    let geometry = args.value(1)?;
    let index = geo_index(args, &table, "get_intersecting")?;
    let geometry = geometry.into_datum(args.cx()).and_then(as_geometry).at(args.id(1))?;
    Ok(table.with(Part::Intersecting { index, geometry }).into_value())
}

/// The option `index` of a term that needs one.
pub(super) fn geo_index(args: &Args<'_>, table: &TableRef, term: &str) -> Result<Str> {
    let Some(index) = args.optarg_string("index")? else {
        return Err(Error::logic(format!("{term} requires an index argument.")));
    };
    if index == table.info().primary_key {
        return Err(Error::logic(format!("{term} cannot use the primary index.")));
    }
    Ok(index)
}

pub(crate) fn require_geo(table: &TableRef, index: &Str, term: &str) -> Result<()> {
    if table.index(index)?.geo {
        return Ok(());
    }
    Err(Error::logic(format!(
        "Index `{index}` is not a geospatial index.  {term} can only be used with a geospatial index."
    )))
}

/// The rows as a stream, which ends with an error behind as many as an array may have elements. A row with several geometries
/// that meet comes once for each.
pub(super) struct Intersecting {
    rows: RowStream,
    shape: Shape,
    given: usize,
    /// What is counted for the scan, in bytes.
    held: usize,
}

impl Intersecting {
    /// Begins to read. Errors: no such index, or another kind; no valid geometry.
    pub fn open(table: &TableRef, index: &Str, geometry: &Datum, cx: &Cx) -> Result<Intersecting> {
        require_geo(table, index, "get_intersecting")?;
        let shape = Shape::of(geometry, &mut Effort::new(cx))?;
        let rows = table.table.scan(&by_cells(index, geometry, cx), table.mode)?;
        Ok(Intersecting { rows: RowStream::by_cells(rows, table), shape, given: 0, held: 0 })
    }
}

impl Stream for Intersecting {
    fn next_batch(&mut self, want: usize, cx: &Cx) -> Result<Batch> {
        loop {
            let rows = self.rows.next_rows(want)?;
            if rows.is_empty() {
                cx.release(std::mem::take(&mut self.held));
                return Ok(Batch::new());
            }
            cx.hold_instead(&mut self.held, self.rows.held_bytes())?;
            let mut batch = Batch::new();
            for row in rows {
                if let Some(value) = &row.index_value
                    && meets(&self.shape, value, cx)?
                {
                    batch.push(row.document);
                }
            }
            self.given += batch.len();
            if self.given > cx.limits().array {
                return Err(too_many());
            }
            if !batch.is_empty() {
                return Ok(batch);
            }
        }
    }
}

/// As many geometries as an array may have elements have been given. In RethinkDB such errors of the traversal are at no place.
pub(super) fn too_many() -> Error {
    Error::resource("Array size limit exceeded during geospatial index traversal.").at(BacktraceId::NONE)
}

/// How to ask an index for the geometries that may meet one.
pub(crate) fn by_cells(index: &Str, geometry: &Datum, cx: &Cx) -> Access {
    let cells = Arc::new(cells_of_query(geometry, cx));
    Access { index: Some(index.clone()), keys: Keys::Cells(cells), order: Order::Any }
}

/// Whether a geometry that an index holds meets a shape. Errors: too complex to tell.
pub(crate) fn meets(shape: &Shape, value: &Datum, cx: &Cx) -> Result<bool> {
    match indexed(value, cx) {
        Some(found) => shape.intersects(&found, &mut Effort::new(cx)),
        None => Ok(false),
    }
}

/// A geometry that an index holds. One that is not valid, or that alone is past what an operation may cost, is in no index,
/// though it may have cells there.
pub(super) fn indexed(value: &Datum, cx: &Cx) -> Option<Shape> {
    Shape::of(value, &mut Effort::new(cx)).ok()
}
