//! `get_intersecting`: the rows whose geometry in an index meets a geometry. The index gives those whose cells meet, and each of
//! them is looked at.

use std::sync::Arc;

use photondb_reql::datum::Datum;
use photondb_reql::error::{Error, ErrorKind, Result, ResultExt};
use photondb_reql::eval::terms::geo::as_geometry;
use photondb_reql::eval::{Args, Batch, Cx, Stream, Value};
use photondb_reql::geo::{Shape, cells_of_query, steps_for};
use photondb_reql::{BacktraceId, Str, TermKind};
use photondb_runtime::fiber;

use super::{Part, RowStream, TableRef};
use crate::limits::STEPS_BETWEEN_YIELDS;
use crate::mismatch;
use crate::table::{Access, Keys, Order, Row};

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

pub(super) fn require_geo(table: &TableRef, index: &Str, term: &str) -> Result<()> {
    if table.index(index)?.geo {
        return Ok(());
    }
    Err(Error::logic(format!(
        "Index `{index}` is not a geospatial index.  {term} can only be used with a geospatial index."
    )))
}

/// Reads the rows; one with several geometries that meet comes once for each.
pub(super) fn open_intersecting(table: &TableRef, index: &Str, geometry: &Datum) -> Result<RowStream> {
    require_geo(table, index, TermKind::GetIntersecting.name().to_ascii_lowercase().as_str())?;
    let shape = Shape::of(geometry)?;
    let rows = table.table.scan(&by_cells(index, geometry), table.mode)?;
    let mut steps = 0u32;
    let keep = move |row: &Row| {
        let Some(value) = &row.index_value else { return Ok(false) };
        steps = steps.saturating_add(steps_for(value));
        if steps >= STEPS_BETWEEN_YIELDS {
            steps = 0;
            fiber::yield_now();
        }
        meets(&shape, value)
    };
    Ok(RowStream::filtered(rows, Box::new(keep), &table.surroundings))
}

/// The rows as a stream, which ends with an error behind as many as an array may have elements.
pub(super) struct Intersecting {
    rows: RowStream,
    given: usize,
}

impl Intersecting {
    pub fn new(rows: RowStream) -> Intersecting {
        Intersecting { rows, given: 0 }
    }
}

impl Stream for Intersecting {
    fn next_batch(&mut self, want: usize, cx: &Cx) -> Result<Batch> {
        let batch = self.rows.next_batch(want, cx)?;
        self.given += batch.len();
        if self.given > cx.limits().array {
            return Err(too_many());
        }
        Ok(batch)
    }
}

/// As many geometries as an array may have elements have been given. In RethinkDB such errors of the traversal are at no place.
pub(super) fn too_many() -> Error {
    Error::resource("Array size limit exceeded during geospatial index traversal.").at(BacktraceId::NONE)
}

/// How to ask an index for the geometries that may meet one.
pub(super) fn by_cells(index: &Str, geometry: &Datum) -> Access {
    let cells = Arc::new(cells_of_query(geometry));
    Access { index: Some(index.clone()), keys: Keys::Cells(cells), order: Order::Any }
}

/// Whether a geometry that an index holds meets a shape. One that is not valid is in no index, though it may have cells there.
pub(crate) fn meets(shape: &Shape, value: &Datum) -> Result<bool> {
    match Shape::of(value) {
        Ok(found) => shape.intersects(&found),
        // Too large to be looked at is no reason to leave it out in silence.
        Err(error) if error.kind == ErrorKind::ResourceLimit => Err(error),
        Err(_) => Ok(false),
    }
}
