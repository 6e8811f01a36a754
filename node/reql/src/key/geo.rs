//! Keys of the entries of geospatial indexes: a cell, the primary key, and which of the document's values it is.
//!
//! ```text
//! geo key := cell:u64 big endian  primary-key  number:u32 big endian
//! ```

use super::format::KeyError;
use crate::geo::CellId;

/// The key under which a value of a document stands in a geospatial index, once for each of its cells.
pub fn geo_key(cell: CellId, primary: &[u8], number: u32) -> Vec<u8> {
    let mut key = Vec::with_capacity(12 + primary.len());
    key.extend_from_slice(&cell.to_u64().to_be_bytes());
    key.extend_from_slice(primary);
    key.extend_from_slice(&number.to_be_bytes());
    key
}

/// The cell of a stored key.
pub fn cell_of_key(key: &[u8]) -> Result<CellId, KeyError> {
    let (cell, _) = key.split_first_chunk::<8>().ok_or(KeyError::Truncated)?;
    CellId::from_u64(u64::from_be_bytes(*cell)).ok_or(KeyError::Malformed { what: "no cell has this number" })
}

/// The first key of a range of cells, and the first one behind it.
pub fn geo_bounds((first, last): (u64, u64)) -> ([u8; 8], [u8; 8]) {
    // The last cell of the last face is far below the largest number.
    (first.to_be_bytes(), last.saturating_add(1).to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geo::Vector;

    #[test]
    fn keys_lie_in_the_ranges_of_their_cells() {
        let leaf = CellId::leaf(Vector::from_degrees(12.0, 34.0));
        for cell in leaf.ancestors() {
            let (low, high) = geo_bounds(cell.range());
            for number in [0, 1, u32::MAX] {
                let key = geo_key(leaf, b"\xff\xffkey", number);
                assert!(low.as_slice() <= key.as_slice() && key.as_slice() < high.as_slice());
                assert_eq!(cell_of_key(&key), Ok(leaf));
            }
        }
        let outside = geo_key(CellId::leaf(Vector::from_degrees(-12.0, 34.0)), b"key", 0);
        let (low, high) = geo_bounds(leaf.range());
        assert!(outside.as_slice() < low.as_slice() || high.as_slice() <= outside.as_slice());
    }

    #[test]
    fn damaged_keys_are_refused() {
        assert_eq!(cell_of_key(b"short"), Err(KeyError::Truncated));
        assert!(cell_of_key(&[0xff; 20]).is_err());
    }
}
