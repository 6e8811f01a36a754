//! In every snapshot each usable index holds exactly the entries that the documents of that snapshot call for.

use bytes::Bytes;
use photondb_reql::datum::Datum;
use photondb_shard::Reader;
use photondb_shard::read::KeyBounds;
use photondb_storage::Direction;

use crate::checker::Violation;
use crate::document::{GROUP, TAGS, value_of};

/// Compares every index with the documents.
pub fn check(reader: &Reader) -> Result<(), Violation> {
    compare(reader).map_err(|evidence| Violation { property: "index matches table", evidence })
}

type Entry = (Bytes, String);

fn compare(reader: &Reader) -> Result<(), String> {
    let failed = |error: photondb_shard::ShardError| format!("reading at {:?}: {error}", reader.position());
    let rows = reader.all_documents().map_err(failed)?;
    let counted = reader.count_documents(&KeyBounds::all()).map_err(failed)?;
    if counted != rows.len() as u64 {
        return Err(format!("{} documents are counted as {counted}", rows.len()));
    }
    let mut documents = Vec::with_capacity(rows.len());
    for (key, document) in rows {
        let document = Datum::decode(document).map_err(|error| format!("a document does not decode: {error:?}"))?;
        value_of(&document)?;
        documents.push((key, document));
    }
    for index in reader.schema().indexes.values().filter(|index| index.is_usable()) {
        let name = &index.name;
        let mut expected = Vec::new();
        for (key, document) in &documents {
            expected.extend(values(document, name)?.into_iter().map(|value| (key.clone(), value)));
        }
        let found = reader.index_rows(name, &KeyBounds::all(), Direction::Forward, usize::MAX).map_err(failed)?.rows;
        let mut found: Vec<Entry> = found.into_iter().map(|row| (row.primary_key, row.value.print())).collect();
        let counted = reader.count_index(name, &KeyBounds::all()).map_err(failed)?;
        if counted != found.len() as u64 {
            return Err(format!("{} entries of index {name} are counted as {counted}", found.len()));
        }
        expected.sort_unstable();
        found.sort_unstable();
        if let Some(difference) = difference(&expected, &found) {
            return Err(format!("index {name} at {:?}: {difference}", reader.position()));
        }
    }
    Ok(())
}

fn values(document: &Datum, index: &str) -> Result<Vec<String>, String> {
    let field = if index.starts_with(TAGS) { TAGS } else { GROUP };
    let value = document.field(field).map_err(|error| error.to_string())?;
    Ok(match &value {
        Datum::Array(elements) => elements.iter().map(|element| element.print()).collect(),
        one => vec![one.print()],
    })
}

fn difference(expected: &[Entry], found: &[Entry]) -> Option<String> {
    if let Some(missing) = expected.iter().find(|entry| found.binary_search(entry).is_err()) {
        return Some(format!("{missing:?} is missing"));
    }
    if let Some(foreign) = found.iter().find(|entry| expected.binary_search(entry).is_err()) {
        return Some(format!("{foreign:?} should not be there"));
    }
    (expected.len() != found.len()).then(|| format!("{} entries instead of {}", found.len(), expected.len()))
}
