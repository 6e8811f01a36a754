//! `format`'s little language: `{name}` stands for a field, and everything else for itself.

use crate::datum::Datum;
use crate::error::{Error, Result};

/// Fills a template with the fields of `object`. Strings stand without quotes, other values as JSON.
pub fn fill(template: &str, object: &Datum) -> Result<String> {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(mark) = rest.find(['{', '}']) {
        filled.push_str(&rest[..mark]);
        if rest[mark..].starts_with('}') {
            return Err(Error::logic("No parameter tags to close"));
        }
        let tag = &rest[mark + 1..];
        let end = tag.find('}').ok_or_else(|| Error::logic("Parameter tag must be closed"))?;
        match object.field(&tag[..end])? {
            Datum::String(text) => filled.push_str(text.as_str()),
            other => filled.push_str(&other.to_json()?),
        }
        rest = &tag[end + 1..];
    }
    filled.push_str(rest);
    Ok(filled)
}
