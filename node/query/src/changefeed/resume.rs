//! Feeds that go on where others ended: opening them, and which cannot be.

use photondb_reql::error::{Error, Result};
use photondb_reql::eval::Cx;
use photondb_reql::transform::Transform;

use super::fingerprint::fingerprint;
use super::token::{self, Origin};
use super::trail::Trail;
use super::{FeedOptions, Resume};
use crate::selection::TableRef;
use crate::table::Subscription;

/// Who listens, and the trail of the feed, if its elements are to have tokens.
pub(super) type Begun = (Box<dyn Subscription>, Option<Box<Trail>>);

/// Begins to listen, from now on or from where a token says.
///
/// Errors: the token is damaged, too old, or of another query; the table is none whose feeds go on.
pub(super) fn subscribe(
    table: &TableRef,
    transforms: &[Transform],
    point: bool,
    options: &FeedOptions,
    cx: &Cx,
) -> Result<Begun> {
    let Some(resume) = &options.resume else { return Ok((table.table.subscribe()?, None)) };
    let no_origin =
        || not_exact("a system table", "its rows are compared from time to time, and their changes kept nowhere");
    if table.info().system {
        return Err(no_origin());
    }
    let number = table_number(&table.info().id).ok_or_else(no_origin)?;
    let origin = Origin { table: number, query: fingerprint(table, transforms, point, cx)? };
    let subscription = match resume {
        Resume::Tokens => table.table.subscribe()?,
        Resume::Behind(text) => {
            let token = token::read(text.as_bytes())?;
            token.check(origin)?;
            table.table.subscribe_from(&token.sources)?
        }
    };
    let trail = Trail::new(origin, &subscription.sources());
    Ok((subscription, Some(Box::new(trail))))
}

/// The error for feeds whose elements cannot say where to go on.
pub(crate) fn not_exact(what: &str, why: &str) -> Error {
    Error::logic(format!(
        "Cannot give resume tokens for the changes of {what}: {why}. Leave out `resume_token`, and after an interruption open the feed again with `include_initial`."
    ))
}

/// The number that a UUID stands for.
fn table_number(id: &str) -> Option<u128> {
    let digits = id.bytes().filter(|byte| *byte != b'-');
    let digit = |number: u128, byte: u8| Some(number << 4 | u128::from((byte as char).to_digit(16)?));
    let is_whole = id.len() == 36 && digits.clone().count() == 32;
    is_whole.then(|| digits.into_iter().try_fold(0, digit)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_is_a_number() {
        let number = 0x0123_4567_89ab_cdef_0011_2233_4455_6677;
        assert_eq!(table_number("01234567-89ab-cdef-0011-223344556677"), Some(number));
        for other in ["", "id of t", "01234567-89ab-cdef-0011-22334455667", "01234567-89ab-cdef-0011-22334455667g"] {
            assert_eq!(table_number(other), None, "{other}");
        }
    }
}
