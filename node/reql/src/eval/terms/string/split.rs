//! Splitting strings as RethinkDB does: almost like Python, but by Unicode's white space, and an empty separator cuts
//! between characters, combining marks staying with what they combine with.

use std::sync::LazyLock;

use regex::Regex;

/// Cuts `text` in at most `limit + 1` parts.
pub fn split<'a>(text: &'a str, separator: Option<&str>, limit: usize) -> Vec<&'a str> {
    match separator {
        None => at_white_space(text, limit),
        Some("") => between_characters(text, limit),
        Some(separator) => text.splitn(limit.saturating_add(1), separator).collect(),
    }
}

/// Empty parts are left out, and blanks before the last part.
fn at_white_space(text: &str, limit: usize) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() && parts.len() < limit {
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        parts.push(&rest[..end]);
        rest = rest[end..].trim_start();
    }
    if !rest.is_empty() {
        parts.push(rest);
    }
    parts
}

fn between_characters(text: &str, limit: usize) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() && parts.len() < limit {
        let first = rest.chars().next().map_or(0, char::len_utf8);
        let (part, behind) = rest.split_at(first + marks(&rest[first..]));
        parts.push(part);
        rest = behind;
    }
    if !rest.is_empty() {
        parts.push(rest);
    }
    parts
}

/// How many bytes of combining marks `text` begins with.
fn marks(text: &str) -> usize {
    static MARKS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\A\p{M}+").ok());
    // No mark stands before U+0300, whose encoding begins with this byte.
    if text.as_bytes().first().is_none_or(|byte| *byte < 0xcc) {
        return 0;
    }
    MARKS.as_ref().and_then(|marks| marks.find(text)).map_or(0, |found| found.end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_every_form() {
        let cases: &[(&str, Option<&str>, usize, &[&str])] = &[
            ("", None, 9, &[]),
            ("", Some(""), 9, &[]),
            ("", Some(" "), 5, &[""]),
            ("  ", None, 5, &[]),
            ("  ", Some(" "), 9, &["", "", ""]),
            ("aaaa bbbb  cccc ", None, 9, &["aaaa", "bbbb", "cccc"]),
            ("aaaa bbbb  cccc ", None, 1, &["aaaa", "bbbb  cccc "]),
            ("  a b ", None, 0, &["a b "]),
            ("aaaa bbbb  cccc ", Some(" "), 2, &["aaaa", "bbbb", " cccc "]),
            ("aaaa bbbb", Some("bb"), 9, &["aaaa ", "", ""]),
            ("aab", Some(""), 1, &["a", "ab"]),
            ("fe\u{301}oo", Some(""), 9, &["f", "e\u{301}", "o", "o"]),
            ("foo\u{2003}bar\u{200b}", None, 9, &["foo", "bar\u{200b}"]),
        ];
        for (text, separator, limit, parts) in cases {
            assert_eq!(&split(text, *separator, *limit), parts, "{text:?} at {separator:?}");
        }
    }
}
