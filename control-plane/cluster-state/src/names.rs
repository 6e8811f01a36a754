//! Which names may be given.

use crate::error::{NameKind, StateError};
use crate::limits::NAME_BYTES_MAX;

/// The database of the system tables. It is no database of the state, but its name is taken.
pub(crate) const SYSTEM_DATABASE: &str = "rethinkdb";

/// Databases, tables and nodes: letters, digits, `_` and `-`, as RethinkDB has it.
pub(crate) fn check(kind: NameKind, name: &str) -> Result<(), StateError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(allowed) {
        return Err(StateError::InvalidName { kind, name: name.to_owned() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_digits_underscore_and_dash_are_names() {
        for name in ["a", "A-b_9", "_", "-", "0"] {
            assert_eq!(check(NameKind::Table, name), Ok(()), "{name}");
        }
        let long = "a".repeat(NAME_BYTES_MAX + 1);
        for name in ["", " ", "a b", "a.b", "ä", "a\0", &long] {
            let name = name.to_owned();
            assert_eq!(check(NameKind::Table, &name), Err(StateError::InvalidName { kind: NameKind::Table, name }));
        }
    }
}
