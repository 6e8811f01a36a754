//! Reading documents by a geospatial index.
//!
//! The geometry stands in the document alone, so its index function is evaluated again for whoever finds it. A document with
//! many geometries in a `multi` index is found as often, and evaluated once: what it gave is kept for as long as it is the same.

use std::collections::HashMap;

use bytes::Bytes;
use photondb_proto::IndexId;
use photondb_reql::datum::Datum;
use photondb_reql::eval::Cx;
use photondb_reql::geo::CellRanges;
use photondb_storage::Direction;

use super::{IndexCursor, IndexRow, KeyBounds, Reader};
use crate::error::ShardError;
use crate::limits::{GEO_DOCUMENTS_BYTES_MAX, GEO_ROWS_BYTES_MAX};
use crate::schema::Index;
use crate::secondary;
use crate::shard::Position;

/// What one look into a geospatial index found.
#[derive(Clone, Debug)]
pub struct GeoRows {
    /// The documents with their geometries.
    pub rows: Vec<IndexRow>,
    /// The key of the last entry looked at.
    pub last: Option<Bytes>,
    /// Whether there may be more entries within the bounds.
    pub more: bool,
}

/// What looks into a geospatial index keep for the next ones of the same scan.
#[derive(Debug, Default)]
pub struct GeoScan {
    /// Another one may have its name by the next look.
    index: Option<IndexId>,
    documents: HashMap<Bytes, Evaluated>,
    bytes: usize,
}

/// A document with several values.
#[derive(Debug)]
struct Evaluated {
    document: Bytes,
    values: Vec<Datum>,
    /// The snapshot in which it was seen last.
    position: Position,
}

impl Reader {
    /// Documents by a geospatial index: those with an entry within `bounds`, which are one of `ranges`, unless it has one in
    /// an earlier part of `ranges`. Looks at about `want` entries, fewer when the documents are large.
    pub fn geo_rows(
        &self,
        name: &str,
        ranges: &CellRanges,
        bounds: &KeyBounds,
        want: usize,
        scan: &mut GeoScan,
    ) -> Result<GeoRows, ShardError> {
        let index = self.index(name)?;
        if scan.index != Some(index.id) {
            *scan = GeoScan { index: Some(index.id), ..GeoScan::default() };
        }
        let cx = Cx::pure();
        let mut found = GeoRows { rows: Vec::new(), last: None, more: true };
        let mut bytes = 0;
        let mut cursor = IndexCursor::new(self, index, bounds, Direction::Forward)?;
        for _ in 0..want {
            if bytes > GEO_ROWS_BYTES_MAX {
                break;
            }
            let Some((key, stored)) = cursor.next()? else {
                found.more = false;
                break;
            };
            let entry = secondary::geo::decode(&key, &stored)?;
            found.last = Some(key.clone());
            if !entry.is_first_in(ranges) {
                continue;
            }
            let (document, value) = self.geometry(index, &entry, scan, &mut bytes, &cx)?;
            found.rows.push(IndexRow { entry: key, value, primary_key: entry.primary_key, document });
        }
        Ok(found)
    }

    /// The document of an entry and the geometry that the entry is of. `bytes` grows by what was read for it.
    fn geometry(
        &self,
        index: &Index,
        entry: &secondary::geo::GeoEntry,
        scan: &mut GeoScan,
        bytes: &mut usize,
        cx: &Cx,
    ) -> Result<(Bytes, Datum), ShardError> {
        let lost = |reason| ShardError::Format { what: "an index entry", offset: 0, reason };
        let number = entry.number as usize;
        if let Some(known) = scan.documents.get(&entry.primary_key)
            && known.position == self.position
            && let Some(value) = known.values.get(number)
        {
            return Ok((known.document.clone(), value.clone()));
        }
        let document = self.indexed_document(&entry.primary_key)?;
        *bytes += document.len();
        if let Some(known) = scan.documents.get_mut(&entry.primary_key)
            && known.document == document
            && let Some(value) = known.values.get(number)
        {
            known.position = self.position;
            return Ok((known.document.clone(), value.clone()));
        }
        let values = index.function.values(&secondary::decode_datum(&document)?, index.multi, cx);
        let value = values.get(number).cloned();
        let value = value.ok_or_else(|| lost("names a value that its document does not have"))?;
        if values.len() > 1 {
            let evaluated = Evaluated { document: document.clone(), values, position: self.position };
            scan.keep(entry.primary_key.clone(), evaluated);
        }
        Ok((document, value))
    }
}

impl GeoScan {
    /// What is kept, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn keep(&mut self, primary_key: Bytes, evaluated: Evaluated) {
        if let Some(old) = self.documents.remove(&primary_key) {
            self.bytes -= old.bytes();
        }
        // Entries of one document stand together in each cell: which others are forgotten matters little.
        if self.bytes + evaluated.bytes() > GEO_DOCUMENTS_BYTES_MAX {
            self.documents.clear();
            self.bytes = 0;
        }
        self.bytes += evaluated.bytes();
        self.documents.insert(primary_key, evaluated);
    }
}

impl Evaluated {
    /// The document may be shared by its values or not.
    fn bytes(&self) -> usize {
        2 * self.document.len() + self.values.len() * size_of::<Datum>()
    }
}
