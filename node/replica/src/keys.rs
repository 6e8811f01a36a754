//! From datums to the keys of trees.

use std::ops::Bound;

use bytes::Bytes;
use photondb_query::table::DatumRange;
use photondb_reql::datum::Datum;
use photondb_reql::error::Result;
use photondb_reql::key::{IndexBound, PrimaryKey, geo_bounds, index_lower_bound, index_upper_bound};
use photondb_shard::read::KeyBounds;

/// An encoded primary key. Errors: the datum cannot be one.
pub fn primary(key: &Datum) -> Result<Bytes> {
    Ok(PrimaryKey::new(key)?.bytes())
}

/// The bounds of a range of primary keys; `None`: nothing can lie in it.
pub fn primary_bounds(range: &DatumRange) -> Result<Option<KeyBounds>> {
    let start = match (&range.left, range.left_closed) {
        (Datum::MinVal, _) => Bound::Unbounded,
        (Datum::MaxVal, _) => return Ok(None),
        (left, true) => Bound::Included(Bytes::from(PrimaryKey::bound(left)?)),
        (left, false) => Bound::Excluded(Bytes::from(PrimaryKey::bound(left)?)),
    };
    let end = match (&range.right, range.right_closed) {
        (Datum::MaxVal, _) => Bound::Unbounded,
        (Datum::MinVal, _) => return Ok(None),
        (right, true) => Bound::Included(Bytes::from(PrimaryKey::bound(right)?)),
        (right, false) => Bound::Excluded(Bytes::from(PrimaryKey::bound(right)?)),
    };
    Ok(not_crossed(start, end))
}

/// The bounds of a range of index values, and whether entries at an end must be compared with the range itself, because the
/// tree holds only the beginning of a long value. `None`: nothing can lie in it.
pub fn index_bounds(range: &DatumRange) -> Result<Option<(KeyBounds, bool)>> {
    let mut recheck = false;
    let mut key = |bound: IndexBound| {
        recheck |= bound.recheck;
        Bytes::from(bound.key)
    };
    let start = match &range.left {
        Datum::MinVal => Bound::Unbounded,
        Datum::MaxVal => return Ok(None),
        left => Bound::Included(key(index_lower_bound(left, !range.left_closed)?)),
    };
    let end = match &range.right {
        Datum::MaxVal => Bound::Unbounded,
        Datum::MinVal => return Ok(None),
        right => Bound::Excluded(key(index_upper_bound(right, !range.right_closed)?)),
    };
    Ok(not_crossed(start, end).map(|bounds| (bounds, recheck)))
}

/// The bounds of a range of cells of a geospatial index.
pub fn cell_bounds(range: (u64, u64)) -> KeyBounds {
    let (first, behind) = geo_bounds(range);
    KeyBounds::new(Bound::Included(Bytes::copy_from_slice(&first)), Bound::Excluded(Bytes::copy_from_slice(&behind)))
}

fn not_crossed(start: Bound<Bytes>, end: Bound<Bytes>) -> Option<KeyBounds> {
    if let (Bound::Included(low) | Bound::Excluded(low), Bound::Included(high) | Bound::Excluded(high)) = (&start, &end)
        && low > high
    {
        return None;
    }
    Some(KeyBounds::new(start, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(left: f64, left_closed: bool, right: f64, right_closed: bool) -> DatumRange {
        DatumRange { left: Datum::Number(left), left_closed, right: Datum::Number(right), right_closed }
    }

    fn within(bounds: &Option<KeyBounds>, key: f64) -> bool {
        let key = primary(&Datum::Number(key)).expect("a number can be a key");
        bounds.as_ref().is_some_and(|bounds| bounds.contains(&key))
    }

    #[test]
    fn primary_bounds_hold_what_the_range_holds() {
        for (left_closed, right_closed) in [(true, true), (true, false), (false, true), (false, false)] {
            let range = range(1.0, left_closed, 3.0, right_closed);
            let bounds = primary_bounds(&range).expect("numbers are keys");
            for key in [0.0, 1.0, 2.0, 3.0, 4.0] {
                assert_eq!(within(&bounds, key), range.contains(&Datum::Number(key)), "{key} in {range:?}");
            }
        }
    }

    #[test]
    fn a_crossed_range_holds_nothing() {
        assert!(primary_bounds(&range(3.0, true, 1.0, true)).expect("numbers are keys").is_none());
        assert!(index_bounds(&range(3.0, true, 1.0, true)).expect("numbers are keys").is_none());
    }
}
