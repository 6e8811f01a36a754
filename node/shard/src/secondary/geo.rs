//! Entries of geospatial indexes: one for each cell that covers a geometry.
//!
//! ```text
//! key    cell u64 big-endian, primary key, number u32 big-endian (reql::key)
//! value  header, primary key length u16, primary key, number u32, count u8, count x cell u64
//! ```
//!
//! The number says which of the document's values it is; the geometry itself stands in the document alone. All the cells
//! stand in each entry, so that who reads several ranges of cells knows at each entry whether he has met the geometry before.

use bytes::{Buf, BufMut, Bytes};
use photondb_reql::datum::Datum;
use photondb_reql::geo::{CellId, CellRanges, cells_of_entry};
use photondb_reql::key::{cell_of_key, geo_key};

use crate::error::ShardError;
use crate::format::{Reader, VALUE_GEO_ENTRY, value_body};

/// What a stored entry says.
pub struct GeoEntry {
    /// The encoded primary key of the document.
    pub primary_key: Bytes,
    /// Which of the document's values.
    pub number: u32,
    /// The cell that the entry is of.
    cell: CellId,
    /// All cells of the geometry, ascending.
    cells: Vec<CellId>,
}

/// The entries of one value of a document: keys, and what their values hold behind the primary key. None: it is no geometry.
pub fn entries(value: &Datum, primary_key: &[u8], number: u32) -> Vec<(Vec<u8>, Vec<u8>)> {
    if !value.is_ptype("GEOMETRY") {
        return Vec::new();
    }
    let cells = cells_of_entry(value);
    let mut body = Vec::with_capacity(5 + 8 * cells.len());
    body.put_u32_le(number);
    body.put_u8(u8::try_from(cells.len()).expect("a geometry has a handful of cells"));
    for cell in &cells {
        body.put_u64_le(cell.to_u64());
    }
    cells.iter().map(|cell| (geo_key(*cell, primary_key, number), body.clone())).collect()
}

/// A stored entry.
pub fn decode(key: &[u8], value: &Bytes) -> Result<GeoEntry, ShardError> {
    let (_, body) = value_body(value, VALUE_GEO_ENTRY)?;
    let mut reader = Reader::new("an entry of a geospatial index", &body);
    let length = usize::from(reader.u16()?);
    let primary_key = reader.take(length)?;
    let number = reader.u32()?;
    let count = usize::from(reader.u8()?);
    let mut bytes = reader.take(8 * count)?;
    let mut cells = Vec::with_capacity(count);
    while bytes.has_remaining() {
        cells.push(CellId::from_u64(bytes.get_u64_le()).ok_or_else(|| reader.error("no cell has this number"))?);
    }
    reader.end()?;
    let cell = cell_of_key(key).map_err(|_| reader.error("under a key that is none"))?;
    Ok(GeoEntry { primary_key, number, cell, cells })
}

impl GeoEntry {
    /// Whether it is the first entry of its geometry that who reads these ranges in ascending order comes to.
    pub fn is_first_in(&self, ranges: &CellRanges) -> bool {
        !self.cells.iter().any(|cell| *cell < self.cell && ranges.contains(*cell))
    }
}

#[cfg(test)]
mod tests {
    use photondb_reql::datum::Object;

    use super::*;
    use crate::secondary::stored_value;

    fn line(from: (f64, f64), to: (f64, f64)) -> Datum {
        let pair = |(x, y): (f64, f64)| Datum::from(vec![Datum::Number(x), Datum::Number(y)]);
        let coordinates = Datum::from(vec![pair(from), pair(to)]);
        let name = |text: &str| Datum::from(text);
        Datum::Object(Object::from([
            ("$reql_type$", name("GEOMETRY")),
            ("coordinates", coordinates),
            ("type", name("LineString")),
        ]))
    }

    #[test]
    fn a_geometry_is_met_once_in_any_ranges() {
        let line = line((0.0, 0.0), (10.0, 10.0));
        let entries = entries(&line, b"key", 7);
        assert!(entries.len() > 1);
        for other in [&line, &self::line((0.0, 10.0), (10.0, 0.0)), &self::line((9.0, 9.0), (9.5, 9.0))] {
            let ranges = photondb_reql::geo::cells_of_query(other, &photondb_reql::geo::Unpaced);
            let mut first = 0;
            for (key, body) in &entries {
                let entry = decode(key, &Bytes::from(stored_value(VALUE_GEO_ENTRY, 1, b"key", body))).unwrap();
                assert_eq!((entry.primary_key.as_ref(), entry.number), (b"key".as_slice(), 7));
                first += u32::from(ranges.contains(entry.cell) && entry.is_first_in(&ranges));
            }
            assert_eq!(first, 1);
        }
    }

    #[test]
    fn what_is_no_geometry_has_no_entries() {
        assert!(entries(&Datum::from("x"), b"key", 0).is_empty());
        assert!(entries(&line((0.0, 0.0), (500.0, 0.0)), b"key", 0).is_empty());
    }

    #[test]
    fn damaged_entries_are_refused() {
        let entries = entries(&line((0.0, 0.0), (1.0, 1.0)), b"key", 0);
        let (key, body) = &entries[0];
        let value = stored_value(VALUE_GEO_ENTRY, 1, b"key", body);
        for length in 0..value.len() {
            assert!(decode(key, &Bytes::copy_from_slice(&value[..length])).is_err());
        }
        assert!(decode(b"", &Bytes::from(value)).is_err());
    }
}
