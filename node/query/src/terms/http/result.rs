//! From a response to a value, by the format that was asked for.

use std::sync::LazyLock;

use photondb_reql::datum::{Datum, json};
use photondb_reql::error::{Error, ErrorKind, Result};
use photondb_reql::eval::Cx;
use regex::Regex;

use super::options::{Format, Options};
use super::{failed, header};
use crate::fetch::{Cookie, Method, Response};
use crate::limits::HTTP_SHOWN_BODY_BYTES_MAX;

/// The three forms of padded JSON (json-p.org): `f(..)`, `o.f(..)` and `o["f"](..)`.
static JSONP: LazyLock<[Regex; 3]> = LazyLock::new(|| {
    let name = r"\s*[$_\p{Ll}\p{Lt}\p{Lu}\p{Lm}\p{Lo}\p{Nl}][$_\p{Ll}\p{Lt}\p{Lu}\p{Lm}\p{Lo}\p{Nl}\p{Mn}\p{Mc}\p{Nd}\p{Pc}]*\s*";
    let call = r"\(((?s:.*))\)\s*;?\s*";
    let forms = [
        format!("^{name}{call}$"),
        format!(r"^{name}\.{name}{call}$"),
        format!(r#"^{name}\[\s*['"].*['"]\s*\]\s*{call}$"#),
    ];
    forms.map(|form| Regex::new(&form).expect("the pattern is a regular expression"))
});

/// A response of success.
pub(super) struct Fetched {
    /// The header, as `page` sees it.
    pub header: Datum,
    pub body: Datum,
    pub cookies: Vec<Cookie>,
}

/// Why a body is not in its format.
enum Unreadable {
    /// For the message, which shows the body.
    Why(String),
    /// The query may not hold what is made of it.
    Memory(Error),
}

type Read = std::result::Result<Datum, Unreadable>;

/// Reads a response.
pub(super) fn read(response: Response, options: &Options, cx: &Cx) -> Result<Fetched> {
    let Response { status, header, body, cookies } = response;
    let fields = header::object(&header).map_err(|error| failed(options, &error.to_string()))?;
    let fields = Datum::Object(fields);
    if !(200..300).contains(&status) {
        let body = (!body.is_empty()).then_some(&*body);
        return Err(failure(options, &format!("status code {status}"), &fields, body));
    }
    // There is no body; the value says that the request succeeded.
    let body = if options.method == Method::Head {
        Datum::Null
    } else {
        let kind = header.iter().rev().find(|(name, _)| name == "content-type");
        let kind = kind.map(|(_, value)| value.to_ascii_lowercase()).unwrap_or_default();
        body_in(options.format, &kind, &body, cx).map_err(|unreadable| match unreadable {
            Unreadable::Why(why) => failure(options, &why, &fields, Some(&body)),
            Unreadable::Memory(error) => error,
        })?
    };
    Ok(Fetched { header: fields, body, cookies })
}

fn failure(options: &Options, why: &str, header: &Datum, body: Option<&[u8]>) -> Error {
    let mut error = failed(options, why);
    error.message.push_str(&format!("\nheader:\n{}", header.print()));
    if let Some(body) = body {
        let shown = body.get(..HTTP_SHOWN_BODY_BYTES_MAX).unwrap_or(body);
        let cut = if shown.len() < body.len() { "..." } else { "" };
        error.message.push_str(&format!("\nbody:\n{}{cut}", lossy(shown).print()));
    }
    error
}

fn body_in(format: Format, content_type: &str, body: &[u8], cx: &Cx) -> std::result::Result<Datum, Unreadable> {
    let is = |kinds: &[&str]| kinds.iter().any(|kind| content_type.starts_with(kind));
    match format {
        Format::Json => json_in(body, cx),
        Format::Jsonp => jsonp_in(body, cx),
        Format::Text => text(body, cx),
        Format::Binary => binary(body, cx),
        // `application/json-p` begins like JSON, and RethinkDB takes it for that.
        Format::Auto if is(&["application/json"]) => json_in(body, cx),
        Format::Auto if is(&["text/javascript", "text/json-p"]) => {
            let or = |unreadable, next: fn(&[u8], &Cx) -> Read| match unreadable {
                Unreadable::Why(_) => next(body, cx),
                memory => Err(memory),
            };
            json_in(body, cx).or_else(|why| or(why, jsonp_in)).or_else(|why| or(why, text))
        }
        Format::Auto if is(&["audio/", "image/", "video/", "application/octet-stream"]) => binary(body, cx),
        Format::Auto => text(body, cx),
    }
}

fn json_in(body: &[u8], mut cx: &Cx) -> Read {
    let mark = cx.held();
    json::parse_watched(body, &mut cx).map_err(|error| {
        cx.release_to(mark);
        match error {
            json::ParseError::Json(error) => Unreadable::Why(format!("failed to parse JSON response: {error}")),
            json::ParseError::Datum(error) if error.kind == ErrorKind::ResourceLimit => Unreadable::Memory(error),
            json::ParseError::Datum(error) => Unreadable::Why(error.message),
        }
    })
}

fn jsonp_in(body: &[u8], cx: &Cx) -> Read {
    hold(body, cx)?;
    let padded = String::from_utf8_lossy(body);
    match JSONP.iter().find_map(|form| form.captures(&padded)) {
        Some(found) => json_in(found[1].as_bytes(), cx),
        None => Err(Unreadable::Why("failed to parse JSONP response".to_owned())),
    }
}

fn text(body: &[u8], cx: &Cx) -> Read {
    hold(body, cx)?;
    Ok(lossy(body))
}

/// A string. What is not UTF-8 becomes U+FFFD: strings of the language are UTF-8.
fn lossy(body: &[u8]) -> Datum {
    Datum::from(&*String::from_utf8_lossy(body))
}

fn binary(body: &[u8], cx: &Cx) -> Read {
    hold(body, cx)?;
    Ok(photondb_reql::datum::binary::from_slice(body))
}

/// Counts a copy of the body.
fn hold(body: &[u8], cx: &Cx) -> std::result::Result<(), Unreadable> {
    cx.hold(body.len()).map_err(Unreadable::Memory)
}

#[cfg(test)]
mod tests {
    use photondb_reql::eval::{Limits, NoWorld};

    use super::*;

    fn read(format: Format, content_type: &str, body: &str) -> String {
        match body_in(format, content_type, body.as_bytes(), &Cx::pure()) {
            Ok(datum) => datum.to_json().unwrap(),
            Err(Unreadable::Why(why)) => format!("! {why}"),
            Err(Unreadable::Memory(error)) => panic!("{error}"),
        }
    }

    #[test]
    fn the_content_type_decides_unless_the_query_does() {
        let auto = |kind: &str, body: &str| read(Format::Auto, kind, body);
        assert_eq!(auto("application/json; charset=utf-8", "[1]"), "[1]");
        assert_eq!(
            auto("application/json", "[1"),
            "! failed to parse JSON response: Missing a comma or ']' after an array element."
        );
        assert_eq!(auto("text/html", "[1]"), "\"[1]\"");
        assert_eq!(auto("", "x"), "\"x\"");
        assert_eq!(auto("text/javascript", "[1]"), "[1]");
        assert_eq!(auto("text/javascript", "f([1]);"), "[1]");
        assert_eq!(auto("text/javascript", "var f;"), "\"var f;\"");
        assert_eq!(auto("image/png", "x"), r#"{"$reql_type$":"BINARY","data":"eA=="}"#);
        assert_eq!(read(Format::Text, "application/json", "[1]"), "\"[1]\"");
        assert_eq!(read(Format::Binary, "application/json", "x"), r#"{"$reql_type$":"BINARY","data":"eA=="}"#);
        assert_eq!(read(Format::Json, "text/plain", r#"{"$reql_type$":"X"}"#), "! Unknown $reql_type$ `PTYPE<X>`.");
    }

    #[test]
    fn arrays_are_as_long_as_the_query_allows() {
        let cx = Cx::new(NoWorld, Limits { array: 2, ..Limits::default() });
        assert!(body_in(Format::Json, "", b"[[1,2],[3]]", &cx).is_ok());
        let Err(Unreadable::Memory(error)) = body_in(Format::Json, "", b"[[1,2,3]]", &cx) else { panic!("too long") };
        assert_eq!(error, Error::array_too_large(2));
    }

    #[test]
    fn padding_has_three_forms() {
        for padded in [" callback ( {\"a\":\n1} ) ; ", "obj.fün(  {\"a\":1})", "$o [ 'f-n' ] ({\"a\":1});"] {
            assert_eq!(read(Format::Jsonp, "", padded), r#"{"a":1}"#, "{padded}");
        }
        for bare in ["{\"a\":1}", "f(1) g", "1f(1)", "a.b.c(1)"] {
            assert_eq!(read(Format::Jsonp, "", bare), "! failed to parse JSONP response", "{bare}");
        }
        assert_eq!(read(Format::Jsonp, "", "f(nul)"), "! failed to parse JSON response: Invalid value.");
    }
}
