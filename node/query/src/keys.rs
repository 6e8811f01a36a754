//! What may be a key, in RethinkDB's words when it may not.

use photondb_reql::datum::Datum;
use photondb_reql::error::Result;
use photondb_reql::key::{PrimaryKey, index_lower_bound};

/// A document's primary key.
pub(crate) fn check_primary(key: &Datum) -> Result<()> {
    PrimaryKey::new(key).map(|_| ())
}

/// A value to look up in an index.
pub(crate) fn check_secondary(key: &Datum) -> Result<()> {
    index_lower_bound(key, false).map(|_| ())
}
