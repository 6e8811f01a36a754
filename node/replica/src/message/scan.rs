//! Looks at a range of a tree, as messages.

use std::ops::Bound;

use bytes::Bytes;
use photondb_proto::v1::shard as wire;
use photondb_proto::v1::shard::bound::Bound as WireBound;
use photondb_query::table::DatumRange;
use photondb_reql::geo::CellRanges;
use photondb_shard::read::KeyBounds;

use super::{Malformed, datum, read_datum};
use crate::scan::{Alike, Part};

pub(crate) fn bounds(bounds: &KeyBounds) -> wire::Bounds {
    wire::Bounds { start: Some(bound(&bounds.start)), end: Some(bound(&bounds.end)) }
}

fn bound(bound: &Bound<Bytes>) -> wire::Bound {
    let bound = match bound {
        Bound::Included(key) => Some(WireBound::Included(key.clone())),
        Bound::Excluded(key) => Some(WireBound::Excluded(key.clone())),
        Bound::Unbounded => None,
    };
    wire::Bound { bound }
}

pub(crate) fn read_bounds(bounds: Option<wire::Bounds>) -> Result<KeyBounds, Malformed> {
    let bounds = bounds.ok_or(Malformed("a range without bounds"))?;
    Ok(KeyBounds::new(read_bound(bounds.start), read_bound(bounds.end)))
}

fn read_bound(bound: Option<wire::Bound>) -> Bound<Bytes> {
    match bound.and_then(|bound| bound.bound) {
        Some(WireBound::Included(key)) => Bound::Included(key),
        Some(WireBound::Excluded(key)) => Bound::Excluded(key),
        None => Bound::Unbounded,
    }
}

pub(crate) fn part(part: &Part) -> wire::Part {
    wire::Part {
        bounds: Some(bounds(&part.bounds)),
        exact: part.exact.as_ref().map(|range| wire::DatumRange {
            left: datum(&range.left),
            left_closed: range.left_closed,
            right: datum(&range.right),
            right_closed: range.right_closed,
        }),
        alike: part.alike.as_ref().map(|alike| wire::Alike {
            bounds: Some(bounds(&alike.bounds)),
            start: alike.span.0.clone(),
            behind: alike.span.1.clone(),
            last: alike.last.as_ref().map(|(value, entry)| wire::Place { value: datum(value), entry: entry.clone() }),
        }),
    }
}

pub(crate) fn read_part(part: Option<wire::Part>) -> Result<Part, Malformed> {
    let part = part.ok_or(Malformed("a look at nothing"))?;
    let exact = |range: wire::DatumRange| {
        Ok(DatumRange {
            left: read_datum(range.left)?,
            left_closed: range.left_closed,
            right: read_datum(range.right)?,
            right_closed: range.right_closed,
        })
    };
    let place = |place: wire::Place| Ok((read_datum(place.value)?, place.entry));
    let alike = |alike: wire::Alike| {
        Ok(Alike {
            bounds: read_bounds(alike.bounds)?,
            span: (alike.start, alike.behind),
            last: alike.last.map(place).transpose()?,
            ahead: None,
        })
    };
    Ok(Part {
        bounds: read_bounds(part.bounds)?,
        exact: part.exact.map(exact).transpose()?,
        alike: part.alike.map(alike).transpose()?,
    })
}

pub(crate) fn cells(cells: &CellRanges) -> Vec<wire::CellRange> {
    cells.iter().map(|(first, last)| wire::CellRange { first, last }).collect()
}

pub(crate) fn read_cells(cells: &[wire::CellRange]) -> Result<CellRanges, Malformed> {
    let ranges = cells.iter().map(|range| (range.first, range.last)).collect();
    CellRanges::of(ranges).ok_or(Malformed("cells that do not ascend"))
}

#[cfg(test)]
mod tests {
    use photondb_reql::datum::Datum;

    use super::*;

    #[test]
    fn parts_cross_both_ways() {
        let key = Bytes::from_static;
        let bounds = KeyBounds::new(Bound::Excluded(key(b"a")), Bound::Unbounded);
        let range = DatumRange { left: Datum::MinVal, left_closed: true, right: Datum::from("z"), right_closed: false };
        let alike = Alike {
            bounds: KeyBounds::new(Bound::Included(key(b"b")), Bound::Excluded(key(b"c"))),
            span: (key(b"b"), key(b"b\xff")),
            last: Some((Datum::from("bb"), key(b"b1"))),
            ahead: None,
        };
        for (exact, alike) in [(None, None), (Some(range), None), (None, Some(alike))] {
            let there = Part { bounds: bounds.clone(), exact, alike };
            let back = read_part(Some(part(&there))).expect("is whole");
            assert_eq!(format!("{back:?}"), format!("{there:?}"));
        }
        assert!(read_part(None).is_err());
        assert!(read_part(Some(wire::Part::default())).is_err());
    }
}
