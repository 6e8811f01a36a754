//! `left_bound` and `right_bound`: whether a range contains its ends.

use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::eval::Args;

/// Whether the left end is left out; it is contained unless the query says otherwise.
pub fn left_is_open(args: &Args<'_>) -> Result<bool> {
    is_open(args, "left_bound", false)
}

/// Whether the right end is left out; it is unless the query says otherwise.
pub fn right_is_open(args: &Args<'_>) -> Result<bool> {
    is_open(args, "right_bound", true)
}

fn is_open(args: &Args<'_>, name: &str, default: bool) -> Result<bool> {
    match args.optarg_string(name)? {
        None => Ok(default),
        Some(bound) if bound == "open" => Ok(true),
        Some(bound) if bound == "closed" => Ok(false),
        Some(other) => Err(Error::logic(format!(
            "Expected `open` or `closed` for optarg `{name}` (got `{}`).",
            Datum::String(other).print_truncated()
        ))),
    }
}
