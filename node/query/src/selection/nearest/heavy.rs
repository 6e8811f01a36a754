//! Distances of geometries that take long to look at, so that circle after circle does not look at them again.

use std::collections::BTreeMap;

use photondb_reql::datum::Datum;

use crate::limits::{NEAREST_HEAVY_BYTES, NEAREST_HEAVY_BYTES_MAX};

/// Heavy geometries with their distances in meters; `None`: it is in no index.
#[derive(Default)]
pub(super) struct Heavy {
    /// By the primary keys of their documents.
    known: BTreeMap<Datum, Vec<(Datum, Option<f64>)>>,
    bytes: usize,
}

impl Heavy {
    /// Whether a geometry is so heavy that it is worth remembering.
    pub fn concerns(geometry: &Datum) -> bool {
        geometry.size_hint() >= NEAREST_HEAVY_BYTES
    }

    /// What is remembered of a geometry of the document with this key.
    pub fn get(&self, key: &Datum, geometry: &Datum) -> Option<Option<f64>> {
        let of_document = self.known.get(key)?;
        of_document.iter().find(|(known, _)| known == geometry).map(|(_, distance)| *distance)
    }

    /// What is remembered, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Remembers it, while there is room.
    pub fn put(&mut self, key: Datum, geometry: Datum, distance: Option<f64>) {
        let bytes = geometry.footprint();
        if self.bytes + bytes <= NEAREST_HEAVY_BYTES_MAX {
            self.bytes += bytes;
            // They must not keep the whole document.
            self.known.entry(key.detach()).or_default().push((geometry.detach(), distance));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_is_known_of_that_document_and_geometry_alone() {
        let mut heavy = Heavy::default();
        let (key, geometry) = (Datum::from("key"), Datum::from("g".repeat(NEAREST_HEAVY_BYTES)));
        assert!(Heavy::concerns(&geometry) && !Heavy::concerns(&key));
        heavy.put(key.clone(), geometry.clone(), None);
        assert_eq!(heavy.get(&key, &geometry), Some(None));
        assert_eq!(heavy.get(&key, &key), None);
        assert_eq!(heavy.get(&geometry, &geometry), None);
        for number in 0..2 * NEAREST_HEAVY_BYTES_MAX / NEAREST_HEAVY_BYTES {
            heavy.put(Datum::from(number as u64), geometry.clone(), Some(1.0));
        }
        assert!(heavy.bytes <= NEAREST_HEAVY_BYTES_MAX);
    }
}
