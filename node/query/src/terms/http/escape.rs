//! Parameters and form fields as text.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use photondb_reql::datum::Datum;
use photondb_reql::datum::{Object, number};

/// Everything but the unreserved characters of RFC 3986, section 2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// `a=1&b=`: numbers, strings and nulls, which were checked before.
pub(super) fn fields(fields: &Object) -> String {
    let pairs = fields.iter().map(|(name, value)| {
        let value = match &value {
            Datum::Number(value) => number::print_exact(*value),
            Datum::String(text) => text.as_str().to_owned(),
            _ => String::new(),
        };
        format!("{}={}", utf8_percent_encode(&name, RESERVED), utf8_percent_encode(&value, RESERVED))
    });
    pairs.collect::<Vec<_>>().join("&")
}

/// The URL with parameters behind those it has. Where they go follows RethinkDB, whatever the URL's own form.
pub(super) fn with_parameters(url: &str, parameters: &Object) -> String {
    if parameters.is_empty() {
        return url.to_owned();
    }
    let between = match (url.rfind('?'), url.rfind('/')) {
        (None, None) => "/?",
        (None, Some(_)) => "?",
        (Some(question), Some(slash)) if slash > question => "?",
        (Some(_), _) => "&",
    };
    format!("{url}{between}{}", fields(parameters))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_appended() {
        let parameters = Object::from([("a b", Datum::from("ü&=~")), ("n", Datum::Number(0.1)), ("z", Datum::Null)]);
        let text = "a%20b=%C3%BC%26%3D~&n=0.10000000000000000555&z=";
        for (url, expected) in [
            ("example.org", format!("example.org/?{text}")),
            ("http://example.org/x", format!("http://example.org/x?{text}")),
            ("http://example.org/x?id=0", format!("http://example.org/x?id=0&{text}")),
            ("example.org?id=0", format!("example.org?id=0&{text}")),
            ("http://example.org/x?id=0/y", format!("http://example.org/x?id=0/y?{text}")),
        ] {
            assert_eq!(with_parameters(url, &parameters), expected);
            assert_eq!(with_parameters(url, &Object::new()), url);
        }
    }
}
