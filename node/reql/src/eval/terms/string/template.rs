//! `format`'s little language: `{name}` stands for a field, and everything else for itself.

use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::eval::terms::types::to_text;

/// Fills a template with the fields of `object`, each as `coerce_to` makes a string of it. What is wrong with a tag is found before its
/// field is looked up, and after those of the tags before it were.
pub fn fill(template: &str, object: &Datum) -> Result<String> {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(mark) = rest.find(['{', '}']) {
        filled.push_str(&rest[..mark]);
        if rest[mark..].starts_with('}') {
            return Err(Error::logic("No parameter tags to close"));
        }
        let tag = &rest[mark + 1..];
        let name = &tag[..tag.find('}').unwrap_or(tag.len())];
        if let Some(reserved) = name.find(['{', ',', '\\']) {
            return Err(Error::logic(match name.as_bytes()[reserved] {
                b'{' => "Nested template parameters are not allowed",
                b',' => "Formatting separator `,` is not allowed in parameter name",
                _ => "Reserved escape character `\\` is not allowed in parameter name",
            }));
        }
        rest = tag[name.len()..].strip_prefix('}').ok_or_else(|| Error::logic("Parameter tag must be closed"))?;
        filled.push_str(&to_text(&object.field(name)?)?);
    }
    filled.push_str(rest);
    Ok(filled)
}
