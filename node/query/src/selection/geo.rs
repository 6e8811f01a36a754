//! `get_intersecting` and `get_nearest`.
//!
//! Both look at every document with the index's function; the trees of geospatial indexes are not asked yet.

use photondb_reql::datum::Datum;
use photondb_reql::error::{Error, Result};
use photondb_reql::eval::{Args, Cx, Scope, Value, compile, eval};
use photondb_reql::{BacktraceId, Call, Str, Term, TermKind};

use super::{Part, RowStream, TableRef};
use crate::index_function::IndexFunction;
use crate::limits::SCAN_BATCH_ROWS;
use crate::mismatch;
use crate::table::{Access, DatumRange, Keys, Order};

/// The default of `max_results`.
const NEAREST_RESULTS: usize = 100;

/// The default of `max_dist`, in meters.
const NEAREST_DISTANCE: f64 = 100_000.0;

/// `get_intersecting(geometry, {index})`.
pub(crate) fn get_intersecting(args: &Args<'_>) -> Result<Value> {
    let table = args.convert(0, mismatch::as_table)?;
    let geometry = args.convert(1, geometry)?;
    let index = geo_index(args, &table, "get_intersecting")?;
    Ok(table.with(Part::Intersecting { index, geometry }).into_value())
}

fn geometry(value: Value, cx: &Cx) -> Result<Datum> {
    let datum = value.into_datum(cx)?;
    if datum.is_ptype("GEOMETRY") {
        return Ok(datum);
    }
    Err(Error::wrong_type(&datum, format!("Not a GEOMETRY pseudotype: `{}`.", datum.print_truncated())))
}

fn geo_index(args: &Args<'_>, table: &TableRef, term: &str) -> Result<Str> {
    let Some(index) = args.optarg_string("index")? else {
        return Err(Error::logic(format!("{term} requires an index argument.")));
    };
    if index == table.info().primary_key {
        return Err(Error::logic(format!("{term} cannot use the primary index.")));
    }
    Ok(index)
}

fn require_geo(table: &TableRef, index: &Str, term: &str) -> Result<()> {
    if table.index(index)?.geo {
        return Ok(());
    }
    Err(Error::logic(format!(
        "Index `{index}` is not a geospatial index.  {term} can only be used with a geospatial index."
    )))
}

/// Reads the rows whose geometry intersects; one with several such geometries comes once for each.
pub(super) fn open_intersecting(table: &TableRef, index: &Str, geometry: &Datum) -> Result<RowStream> {
    require_geo(table, index, "get_intersecting")?;
    let function = IndexFunction::of(table, index)?;
    let geometry = geometry.clone();
    let cx = Cx::pure();
    let rows = table.table.scan(&whole(), table.mode)?;
    Ok(RowStream::filtered(
        rows,
        Box::new(move |row| {
            for value in function.values(&row.document, &cx) {
                if call(TermKind::Intersects, [value, geometry.clone()], Vec::new(), &cx)?.is_truthy() {
                    return Ok(true);
                }
            }
            Ok(false)
        }),
        &table.surroundings,
    ))
}

/// Whether a document with these index values is in the selection; for changefeeds.
pub(crate) fn intersects(values: &[Datum], geometry: &Datum) -> Result<bool> {
    let cx = Cx::pure();
    for value in values {
        if call(TermKind::Intersects, [value.clone(), geometry.clone()], Vec::new(), &cx)?.is_truthy() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// `get_nearest(point, {index, max_results, max_dist, unit, geo_system})`: an array of `{dist, doc}`, nearest first.
pub(crate) fn get_nearest(args: &Args<'_>) -> Result<Value> {
    let cx = args.cx();
    let table = args.convert(0, mismatch::as_table)?;
    let center = args.convert(1, geometry)?;
    let index = geo_index(args, &table, "get_nearest")?;
    let max_results = match args.optarg_as("max_results", Datum::as_integer)? {
        Some(count) if count > 0 => usize::try_from(count).unwrap_or(usize::MAX),
        Some(_) => return Err(Error::logic("max_results must be positive")),
        None => NEAREST_RESULTS,
    };
    let mut options: Vec<(Str, Datum)> = Vec::new();
    for name in ["unit", "geo_system"] {
        if let Some(value) = args.optarg_datum(name)? {
            options.push((Str::from(name), value));
        }
    }
    let max_distance = match args.optarg_as("max_dist", Datum::as_number)? {
        Some(distance) if distance > 0.0 => distance,
        Some(_) => return Err(Error::logic("max_dist must be positive")),
        None => NEAREST_DISTANCE / meters_per_unit(&options),
    };
    table.surroundings.require_on(crate::catalog::Permission::Read, table.info())?;
    require_geo(&table, &index, "get_nearest")?;
    let function = IndexFunction::of(&table, &index)?;
    let mut rows = RowStream::new(table.table.scan(&whole(), table.mode)?, &table.surroundings);
    let mut found: Vec<(f64, Datum)> = Vec::new();
    loop {
        let batch = rows.next_rows(SCAN_BATCH_ROWS)?;
        if batch.is_empty() {
            break;
        }
        cx.steps(u32::try_from(batch.len()).unwrap_or(u32::MAX));
        for row in batch {
            let mut nearest: Option<f64> = None;
            for value in function.values(&row.document, cx) {
                let distance = call(TermKind::Distance, [center.clone(), value], options.clone(), cx)?.as_number()?;
                nearest = Some(nearest.map_or(distance, |other| other.min(distance)));
            }
            if let Some(distance) = nearest.filter(|distance| *distance <= max_distance) {
                found.push((distance, row.document));
            }
        }
        if found.len() > max_results.saturating_mul(4).max(SCAN_BATCH_ROWS) {
            cut(&mut found, max_results);
        }
    }
    cut(&mut found, max_results);
    let found: Vec<Datum> = found
        .into_iter()
        .map(|(distance, document)| Datum::Object([("dist", Datum::Number(distance)), ("doc", document)].into()))
        .collect();
    cx.check_array_length(found.len())?;
    Ok(Value::Datum(Datum::from(found)))
}

fn cut(found: &mut Vec<(f64, Datum)>, count: usize) {
    found.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    found.truncate(count);
}

fn meters_per_unit(options: &[(Str, Datum)]) -> f64 {
    let unit = options.iter().find(|(name, _)| *name == "unit").and_then(|(_, value)| value.as_string().ok().cloned());
    match unit.as_deref() {
        Some("km") => 1_000.0,
        Some("mi") => 1_609.344,
        Some("nm") => 1_852.0,
        Some("ft") => 0.3048,
        _ => 1.0,
    }
}

fn whole() -> Access {
    Access { index: None, keys: Keys::Range(DatumRange::all()), order: Order::Any }
}

/// A pure term of two values, evaluated as if the query held it.
fn call(kind: TermKind, args: [Datum; 2], optargs: Vec<(Str, Datum)>, cx: &Cx) -> Result<Datum> {
    let id = BacktraceId::NONE;
    let args = args.into_iter().map(|datum| Term::Datum(datum, id)).collect();
    let optargs = optargs.into_iter().map(|(name, value)| (name, Term::Datum(value, id))).collect();
    let query = compile(&Term::Call(Box::new(Call { kind, args, optargs, id })))?;
    eval(&query.root, &Scope::empty(), cx)?.into_datum(cx)
}
