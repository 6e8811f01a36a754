//! Names of databases and tables.

use photondb_reql::Str;
use photondb_reql::error::{Error, Result};
use photondb_reql::eval::Args;

/// Argument `index` as a name. `what` stands in the error: `Database`, `Table`, `Server tag`.
pub(super) fn argument(args: &Args<'_>, index: usize, what: &str) -> Result<Str> {
    let name = args.string(index)?;
    check(&name, what).map_err(|error| error.at(args.id(index)))?;
    Ok(name)
}

/// Refuses names with other characters than RethinkDB allows.
pub(super) fn check(name: &str, what: &str) -> Result<()> {
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if !name.is_empty() && name.bytes().all(valid) {
        return Ok(());
    }
    Err(Error::logic(format!("{what} name `{name}` invalid (Use A-Z, a-z, 0-9, _ and - only).")))
}
