//! `get_nearest`: the rows whose geometry in an index is nearest to a point.
//!
//! Circles that grow are asked for, one after the other, until enough is found; each gives what is farther away than the last one
//! reached. The first is ten meters wide on earth, and the next ones are such that they may be expected to find a hundred rows
//! more. How they grow is RethinkDB's, because its errors tell.

use std::f64::consts::PI;

use photondb_reql::datum::Datum;
use photondb_reql::error::{Error, ErrorKind, Result, ResultExt};
use photondb_reql::eval::terms::geo::{options, place};
use photondb_reql::eval::{Args, Cx, Value};
use photondb_reql::geo::{Ellipsoid, LonLat, Shape, Vector, enclosing_circle, polygon_datum, steps_for};
use photondb_reql::{BacktraceId, Str};

use super::geo::{by_cells, geo_index, require_geo, too_many};
use super::{RowStream, TableRef};
use crate::catalog::Permission;
use crate::limits::SCAN_BATCH_ROWS;
use crate::mismatch;

/// The default of `max_results`.
const RESULTS: i64 = 100;

/// The default of `max_dist`, in meters.
const DISTANCE: f64 = 100_000.0;

/// The radius of the first circle as a part of the equator's.
const FIRST_RADIUS: f64 = 10.0 / 6_378_137.0;

/// How many rows more each circle should find.
const ROWS_OF_CIRCLE: f64 = 100.0;

/// How fast circles grow that find nothing.
const GROWTH: f64 = 2.0;

/// Corners of the polygon that stands for a circle.
const CORNERS: u32 = 8;

/// `get_nearest(point, {index, max_results, max_dist, unit, geo_system})`: an array of `{dist, doc}`, nearest first.
pub(crate) fn get_nearest(args: &Args<'_>) -> Result<Value> {
    let cx = args.cx();
    let table = args.convert(0, mismatch::as_table)?;
    let center = args.value(1)?;
    let index = geo_index(args, &table, "get_nearest")?;
    let center = place(&center.into_datum(cx).at(args.id(1))?)?;
    let ellipsoid = options::ellipsoid(args)?;
    let unit = options::unit(args)?;
    let distance_max = args.optarg_as("max_dist", |datum| match unit.to_meters(datum.as_number()?) {
        distance if distance > 0.0 => Ok(distance),
        _ => Err(Error::logic("max_dist must be positive.")),
    })?;
    let results_max = args.optarg_as("max_results", |datum| match datum.as_integer()? {
        count if count > 0 => Ok(count),
        _ => Err(Error::logic("max_results must be positive.")),
    })?;
    table.surroundings.require_on(Permission::Read, table.info())?;
    require_geo(&table, &index, "get_nearest")?;
    let search = Search {
        table: &table,
        index: &index,
        center,
        from: center.to_vector(Vector::from_degrees)?,
        ellipsoid,
        distance_max: distance_max.unwrap_or(DISTANCE),
        results_max: usize::try_from(results_max.unwrap_or(RESULTS)).unwrap_or(usize::MAX),
    };
    let mut found = search.run(cx)?;
    found.truncate(search.results_max);
    cx.check_array_length(found.len())?;
    let row = |(meters, document): (f64, Datum)| {
        let distance = Datum::number(unit.from_meters(meters))?;
        Ok(Datum::Object([("dist", distance), ("doc", document)].into()))
    };
    Ok(Value::Datum(Datum::from(found.into_iter().map(row).collect::<Result<Vec<Datum>>>()?)))
}

/// A search around a point.
struct Search<'a> {
    table: &'a TableRef,
    index: &'a Str,
    center: LonLat,
    /// The center on the sphere.
    from: Vector,
    ellipsoid: Ellipsoid,
    /// In meters.
    distance_max: f64,
    results_max: usize,
}

impl Search<'_> {
    /// Rows with their distances in meters, nearest first. Those of the last circle may be more than were asked for.
    fn run(&self, cx: &Cx) -> Result<Vec<(f64, Datum)>> {
        let mut found: Vec<(f64, Datum)> = Vec::new();
        let (mut reached, mut radius) = (None, self.distance_max.min(FIRST_RADIUS * self.ellipsoid.equator));
        loop {
            let known = found.len();
            self.circle(reached, radius, &mut found, cx)?;
            found[known..].sort_by(|(a, _), (b, _)| a.total_cmp(b));
            let inner = reached.unwrap_or(0.0);
            let density = (found.len() - known) as f64 / (PI * (radius * radius - inner * inner));
            let wider =
                if density == 0.0 { radius * GROWTH } else { (ROWS_OF_CIRCLE / PI / density + radius * radius).sqrt() };
            if radius >= self.distance_max || found.len() >= self.results_max {
                return Ok(found);
            }
            reached = Some(radius);
            radius = wider.min(self.distance_max);
        }
    }

    /// Adds the rows farther away than `reached` and no farther than `radius`.
    fn circle(&self, reached: Option<f64>, radius: f64, found: &mut Vec<(f64, Datum)>, cx: &Cx) -> Result<()> {
        let corners = enclosing_circle(self.center, radius, CORNERS, &self.ellipsoid).map_err(|error| {
            Error::logic(format!(
                "The distance has become too large for continuing the indexed nearest traversal.  Consider specifying a \
                 smaller `max_dist` parameter.  ({})",
                error.message
            ))
            .at(BacktraceId::NONE)
        })?;
        let access = by_cells(self.index, &polygon_datum(corners.collect())?);
        let mut rows = RowStream::new(self.table.table.scan(&access, self.table.mode)?, &self.table.surroundings);
        loop {
            let batch = rows.next_rows(SCAN_BATCH_ROWS)?;
            if batch.is_empty() {
                return Ok(());
            }
            for row in batch {
                let Some(geometry) = &row.index_value else { continue };
                cx.steps(steps_for(geometry));
                // What is no valid geometry is in no index, though it may have cells there.
                let shape = match Shape::of(geometry) {
                    Err(error) if error.kind == ErrorKind::ResourceLimit => return Err(error),
                    Err(_) => continue,
                    Ok(shape) => shape,
                };
                let distance = shape.distance(self.from, &self.ellipsoid);
                if distance > radius || reached.is_some_and(|reached| distance <= reached) {
                    continue;
                }
                if found.len() >= cx.limits().array {
                    return Err(too_many());
                }
                found.push((distance, row.document));
            }
        }
    }
}
