//! The header of a response as an object: names in lower case, of several lines of one name the last, and links taken apart.

use std::sync::LazyLock;

use photondb_reql::datum::{Datum, Object, ObjectBuilder};
use regex::Regex;

/// One link of a `Link` line (RFC 8288): the target and its parameter, as RethinkDB reads it.
static LINK: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^\s*<([^>]*)>\s*(?:;\s*([^,]+)\s*(?:,|$))").expect("the pattern is a regular expression")
});

/// A `Link` line that cannot be taken apart.
#[derive(Debug, thiserror::Error)]
#[error("failed to parse link header line: '{0}'")]
pub(super) struct BadLink(String);

/// The header as `page` and error messages see it.
pub(super) fn object(lines: &[(String, String)]) -> Result<Object, BadLink> {
    let mut fields = ObjectBuilder::new();
    let mut links = ObjectBuilder::new();
    for (name, value) in lines {
        if name == "link" {
            add_links(value, &mut links)?;
        } else {
            fields.insert(name.as_str(), value.as_str());
        }
    }
    if !links.is_empty() {
        fields.insert("link", Datum::Object(links.build()));
    }
    Ok(fields.build())
}

fn add_links(line: &str, links: &mut ObjectBuilder) -> Result<(), BadLink> {
    let mut rest = line;
    while let Some(found) = LINK.captures(rest) {
        links.insert(&found[2], &found[1]);
        rest = &rest[found[0].len()..];
    }
    if rest.is_empty() { Ok(()) } else { Err(BadLink(line.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[(&str, &str)]) -> Result<String, String> {
        let lines: Vec<_> = lines.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        object(&lines).map(|fields| Datum::from(fields).to_json().unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_last_line_of_a_name_counts() {
        assert_eq!(read(&[("a", "1"), ("b", "x"), ("a", "2")]).unwrap(), r#"{"a":"2","b":"x"}"#);
        assert_eq!(read(&[]).unwrap(), "{}");
    }

    #[test]
    fn links_are_found_by_their_parameter() {
        assert_eq!(
            read(&[("link", r#"<http://a/2>; rel="next", <http://a/9>; rel="last""#), ("link", "<b>;c")]).unwrap(),
            r#"{"link":{"c":"b","rel=\"last\"":"http://a/9","rel=\"next\"":"http://a/2"}}"#
        );
        let refused = read(&[("link", "<http://a>; rel=next, nonsense")]).unwrap_err();
        assert_eq!(refused, "failed to parse link header line: '<http://a>; rel=next, nonsense'");
    }
}
