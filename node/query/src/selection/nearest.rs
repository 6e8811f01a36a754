//! `get_nearest`: the rows whose geometry in an index is nearest to a point.
//!
//! Circles that grow are asked for, one after the other, until enough is found; each gives what is farther away than the last one
//! reached. The first is ten meters wide on earth, and the next ones are such that they may be expected to find a hundred rows
//! more. How they grow is RethinkDB's, because its errors tell. Once many rows have been found each look goes farther than its
//! circle, so that the next circles need none: all looks together read a few times the rows that the last one does.

mod ahead;
mod heavy;

use std::f64::consts::PI;

use photondb_reql::datum::Datum;
use photondb_reql::error::{Error, Result, ResultExt};
use photondb_reql::eval::terms::geo::{options, place};
use photondb_reql::eval::{Args, Cx, Value};
use photondb_reql::geo::{Effort, Ellipsoid, LonLat, Vector, enclosing_circle, polygon_datum};
use photondb_reql::{BacktraceId, Str};

use super::geo::{by_cells, geo_index, indexed, require_geo, too_many};
use super::{RowStream, TableRef};
use crate::catalog::Permission;
use crate::limits::{NEAREST_ROWS_BEFORE_AHEAD, SCAN_BATCH_ROWS};
use crate::mismatch;
use crate::table::Row;
use ahead::Ahead;
use heavy::Heavy;

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

/// A distance on an ellipsoid takes about a microsecond.
const STEPS_OF_DISTANCE: u32 = 8;

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
        let (mut ahead, mut heavy) = (Ahead::default(), Heavy::default());
        // What is counted for these two.
        let mut held = 0;
        let (mut reached, mut radius) = (None, self.distance_max.min(FIRST_RADIUS * self.ellipsoid.equator));
        loop {
            let known = found.len();
            let corners = self.corners(radius)?;
            if !ahead.reaches(radius) {
                // What is left of the look before lies within the new one, and is found again.
                drop(std::mem::take(&mut ahead));
                ahead = self.look((reached, radius), corners, known, (&mut heavy, &mut held), cx)?;
            }
            let taken = ahead.take_within(radius);
            cx.hold_instead(&mut held, ahead.bytes() + heavy.bytes())?;
            for (distance, document) in taken {
                if found.len() >= cx.limits().array {
                    return Err(too_many());
                }
                cx.hold_datum(&document)?;
                found.push((distance, document));
            }
            if radius >= self.distance_max || found.len() >= self.results_max {
                cx.release(held);
                return Ok(found);
            }
            let wider = next_radius(found.len() - known, reached.unwrap_or(0.0), radius);
            reached = Some(radius);
            radius = wider.min(self.distance_max);
        }
    }

    /// The corners of a circle around the center. Errors: it is too large for one.
    fn corners(&self, radius: f64) -> Result<Datum> {
        let corners = enclosing_circle(self.center, radius, CORNERS, &self.ellipsoid).map_err(|error| {
            Error::logic(format!(
                "The distance has become too large for continuing the indexed nearest traversal.  Consider specifying a \
                 smaller `max_dist` parameter.  ({})",
                error.message
            ))
            .at(BacktraceId::NONE)
        })?;
        polygon_datum(corners.collect())
    }

    /// The rows farther away than `reached` and no farther than `radius`, whose circle has these corners; and once many have
    /// been found, some that are farther away. `held` are the bytes that are counted for all that is kept.
    fn look(
        &self,
        (reached, radius): (Option<f64>, f64),
        corners: Datum,
        known: usize,
        (heavy, held): (&mut Heavy, &mut usize),
        cx: &Cx,
    ) -> Result<Ahead> {
        let (mut reach, mut corners) = (radius, corners);
        if known >= NEAREST_ROWS_BEFORE_AHEAD {
            let wider = (radius * 2f64.sqrt()).min(self.distance_max);
            if let Ok(wider_corners) = self.corners(wider) {
                (reach, corners) = (wider, wider_corners);
            }
        }
        let mut ahead = Ahead::new(radius, reach, known.max(NEAREST_ROWS_BEFORE_AHEAD));
        let access = by_cells(self.index, &corners, cx);
        let mut rows = RowStream::by_cells(self.table.table.scan(&access, self.table.mode)?, self.table);
        loop {
            let batch = rows.next_rows(SCAN_BATCH_ROWS)?;
            if batch.is_empty() {
                return Ok(ahead.sorted());
            }
            for row in batch {
                let Some(distance) = self.distance(&row, heavy, cx)? else { continue };
                if reached.is_none_or(|reached| distance > reached) {
                    ahead.add(distance, row.document);
                    if known + ahead.needed() > cx.limits().array {
                        return Err(too_many());
                    }
                    cx.hold_instead(held, ahead.bytes() + heavy.bytes() + rows.held_bytes())?;
                }
            }
        }
    }

    /// How far away a row's geometry is, in meters; `None`: it is in no index.
    fn distance(&self, row: &Row, heavy: &mut Heavy, cx: &Cx) -> Result<Option<f64>> {
        cx.steps(STEPS_OF_DISTANCE);
        let Some(geometry) = &row.index_value else { return Ok(None) };
        let key = match Heavy::concerns(geometry) {
            true => Some(row.document.field(&self.table.info().primary_key)?),
            false => None,
        };
        if let Some(distance) = key.as_ref().and_then(|key| heavy.get(key, geometry)) {
            return Ok(distance);
        }
        let distance = indexed(geometry, cx)
            .map(|shape| shape.distance(self.from, &self.ellipsoid, &mut Effort::new(cx)))
            .transpose()?;
        if let Some(key) = key
            && geometry.footprint() <= cx.room() / 2
        {
            heavy.put(key, geometry.clone(), distance);
        }
        Ok(distance)
    }
}

/// The radius of the circle behind one in which so many rows were found: such that a hundred more may be expected.
fn next_radius(found: usize, inner: f64, radius: f64) -> f64 {
    let density = found as f64 / (PI * (radius * radius - inner * inner));
    let wider = if density == 0.0 { radius * GROWTH } else { (ROWS_OF_CIRCLE / PI / density + radius * radius).sqrt() };
    // So dense that the next circle is no larger, in what numbers can tell: it must be, or there is no end.
    if wider > radius { wider } else { radius * GROWTH }
}
