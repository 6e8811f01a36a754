//! The options of `http`, with RethinkDB's defaults and complaints.

use std::time::Duration;

use bytes::Bytes;
use photondb_reql::datum::{Datum, Object};
use photondb_reql::error::{Error, Result};
use photondb_reql::eval::{Args, Func, Shortcut, Value, signature};

use super::escape;
use super::page::Page;
use crate::fetch::{Auth, AuthScheme, Cookie, HeaderLine, Method, Request};
use crate::limits::{
    HTTP_ATTEMPTS, HTTP_ATTEMPTS_MAX, HTTP_REDIRECTS, HTTP_REDIRECTS_MAX, HTTP_REQUEST_BYTES_MAX, HTTP_TIME,
    HTTP_TIME_MAX,
};

/// What is to become of the body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Format {
    /// As the content type says.
    #[default]
    Auto,
    Json,
    Jsonp,
    Text,
    Binary,
}

/// What a query asks for.
pub(super) struct Options {
    pub url: String,
    pub method: Method,
    /// Numbers, strings and nulls.
    pub parameters: Object,
    pub format: Format,
    header: Vec<HeaderLine>,
    body: Bytes,
    auth: Option<Auth>,
    redirects: u32,
    attempts: u64,
    timeout: Duration,
    verify: bool,
}

impl Options {
    /// Reads them, in RethinkDB's order.
    pub fn read(args: &Args<'_>) -> Result<Options> {
        let url = args.string(0)?;
        check_size(url.len())?;
        let url = url.as_str().to_owned();
        let auth = args.optarg_as("auth", auth)?;
        let method = args.optarg_as("method", method)?.unwrap_or_default();
        let mut header = Vec::new();
        let body = match args.optarg_as("data", |data| body(data, method, &mut header))? {
            Some(None) => {
                return Err(Error::logic(
                    "`data` should only be specified on a PUT, POST, PATCH, or DELETE request.  If you want URL \
                     parameters, use `params` instead.",
                ));
            }
            Some(Some(body)) => body,
            None => Bytes::new(),
        };
        let format = args.optarg_as("result_format", format)?.unwrap_or_default();
        let parameters = args.optarg_as("params", check_parameters)?.unwrap_or_default();
        if let Some(lines) = args.optarg_as("header", header_lines)? {
            header.retain(|made: &HeaderLine| !lines.iter().any(|line| line.name.eq_ignore_ascii_case(&made.name)));
            header.extend(lines);
        }
        let timeout = args.optarg_as("timeout", timeout)?.unwrap_or(HTTP_TIME);
        let attempts = args.optarg_as("attempts", signature::integer)?;
        let redirects = args.optarg_as("redirects", redirects)?;
        Ok(Options {
            url,
            method,
            parameters,
            format,
            header,
            body,
            auth,
            redirects: redirects.unwrap_or(HTTP_REDIRECTS).min(HTTP_REDIRECTS_MAX),
            // RethinkDB takes a negative number for a very large one.
            attempts: attempts.map_or(HTTP_ATTEMPTS, i64::cast_unsigned).min(HTTP_ATTEMPTS_MAX),
            timeout,
            verify: args.optarg_bool("verify")?.unwrap_or(true),
        })
    }

    /// The request that the options describe.
    pub fn request(&self, cookies: Vec<Cookie>) -> Request {
        Request {
            method: self.method,
            url: escape::with_parameters(&self.url, &self.parameters),
            header: self.header.clone(),
            body: self.body.clone(),
            auth: self.auth.clone(),
            cookies,
            redirects: self.redirects,
            attempts: self.attempts,
            timeout: self.timeout,
            verify: self.verify,
        }
    }
}

/// `page`, and of how many pages at most; `None` of those: there is no end.
pub(super) fn page(args: &Args<'_>) -> Result<Option<(Page, Option<u64>)>> {
    let Some(node) = args.optarg_node("page") else { return Ok(None) };
    let page = args.optarg("page")?;
    let Some(limit) = args.optarg_as("page_limit", page_limit)? else {
        return Err(Error::logic(
            "Cannot use `page` without specifying `page_limit` (a positive number performs that many requests, -1 is \
             unlimited).",
        )
        .at(node.id()));
    };
    let page = match page {
        Some(Value::Datum(Datum::Null)) | None => return Ok(None),
        Some(Value::Datum(method)) => page_method(&method),
        Some(value) => function(value, args).map(Page::Function),
    };
    Ok(Some((page.map_err(|error| error.at(node.id()))?, limit)))
}

fn function(value: Value, args: &Args<'_>) -> Result<Func> {
    value.into_function(Shortcut::None, args.cx())
}

fn page_method(method: &Datum) -> Result<Page> {
    match method.as_string()?.as_str() {
        "link-next" => Ok(Page::LinkNext),
        other => Err(Error::logic(format!("`page` method '{other}' not recognized, only 'link-next' is available."))),
    }
}

fn page_limit(limit: &Datum) -> Result<Option<u64>> {
    let limit = limit.as_integer()?;
    if limit < -1 {
        return Err(Error::logic("`page_limit` should be greater than or equal to -1."));
    }
    Ok(u64::try_from(limit).ok())
}

fn timeout(timeout: &Datum) -> Result<Duration> {
    let seconds = timeout.as_number()?;
    if seconds < 0.0 {
        return Err(Error::logic("`timeout` may not be negative."));
    }
    // To the millisecond, as messages show it.
    let millis = Duration::from_millis((seconds * 1000.0) as u64);
    Ok(millis.min(HTTP_TIME_MAX))
}

fn redirects(count: &Datum) -> Result<u32> {
    let count = count.as_integer()?;
    u32::try_from(count).map_err(|_| Error::logic(format!("Integer too large: {count}")))
}

fn method(method: &Datum) -> Result<Method> {
    let name = method.as_string()?;
    Method::ALL.into_iter().find(|method| method.name() == name.as_str()).ok_or_else(|| {
        Error::logic(format!(
            "`method` ({name}) is not recognized (GET, HEAD, POST, PUT, PATCH and DELETE are allowed)."
        ))
    })
}

fn format(format: &Datum) -> Result<Format> {
    match format.as_string()?.as_str() {
        "auto" => Ok(Format::Auto),
        "json" => Ok(Format::Json),
        "jsonp" => Ok(Format::Jsonp),
        "text" => Ok(Format::Text),
        "binary" => Ok(Format::Binary),
        other => Err(Error::logic(format!(
            "`result_format` ({other}) is not recognized, ('auto', 'json', 'jsonp', 'text', and 'binary' are allowed)."
        ))),
    }
}

fn auth(auth: &Datum) -> Result<Auth> {
    let Datum::Object(fields) = auth else {
        return Err(Error::logic(format!("Expected `auth` to be an OBJECT, but found {}.", auth.type_name())));
    };
    let text = |name: &str, value: &Datum| match value {
        Datum::String(text) => Ok(text.as_str().to_owned()),
        other => Err(Error::logic(format!("Expected `auth.{name}` to be a STRING, but found {}.", other.type_name()))),
    };
    let scheme = match fields.get("type") {
        Some(Datum::String(scheme)) => scheme.as_str().to_owned(),
        // The type that RethinkDB names is that of the whole option.
        Some(_) => {
            let found = auth.type_name();
            return Err(Error::logic(format!("Expected `auth.type` to be a STRING, but found {found}.")));
        }
        None => "basic".to_owned(),
    };
    let item = |name: &str| match fields.get(name) {
        Some(value) => text(name, &value),
        None => Err(Error::logic(format!("`auth.{name}` not found in the auth object."))),
    };
    let (user, password) = (item("user")?, item("pass")?);
    let scheme = match scheme.as_str() {
        "basic" => AuthScheme::Basic,
        "digest" => AuthScheme::Digest,
        _ => return Err(Error::logic("`auth.type` is not recognized ('basic', and 'digest' are allowed).")),
    };
    Ok(Auth { scheme, user, password })
}

/// Parameters of a URL. Errors: not an object of numbers, strings and nulls.
pub(super) fn check_parameters(parameters: &Datum) -> Result<Object> {
    let Datum::Object(fields) = parameters else {
        return Err(Error::logic(format!(
            "Expected `params` to be an OBJECT, but found {}:\n{}",
            parameters.type_name(),
            parameters.print()
        )));
    };
    check_size(parameters.size_hint())?;
    if let Some((name, value)) = fields.iter().find(|(_, value)| !is_plain(value)) {
        return Err(Error::logic(format!(
            "Expected `params.{name}` to be a NUMBER, STRING or NULL, but found {}:\n{}",
            value.type_name(),
            value.print()
        )));
    }
    Ok(fields.clone())
}

/// Texts of a query share memory, a request has each for itself: how much that is, is known before it is made.
fn check_size(bytes: usize) -> Result<()> {
    if bytes > HTTP_REQUEST_BYTES_MAX {
        return Err(Error::resource(format!("HTTP request over size limit `{HTTP_REQUEST_BYTES_MAX}` bytes.")));
    }
    Ok(())
}

fn is_plain(value: &Datum) -> bool {
    matches!(value, Datum::Number(_) | Datum::String(_) | Datum::Null)
}

/// The body that `data` stands for, and the header line that says what it is. `None`: the method takes none.
fn body(data: &Datum, method: Method, header: &mut Vec<HeaderLine>) -> Result<Option<Bytes>> {
    check_size(data.size_hint())?;
    let mut is = |kind: &str| header.push(HeaderLine { name: "Content-Type".to_owned(), value: Some(kind.to_owned()) });
    let text = match (method, data) {
        (Method::Get | Method::Head, _) => return Ok(None),
        (Method::Post, Datum::String(text)) => {
            is("application/x-www-form-urlencoded");
            text.as_str().to_owned()
        }
        (_, Datum::String(text)) => text.as_str().to_owned(),
        (Method::Post, Datum::Object(fields)) => {
            if let Some((name, value)) = fields.iter().find(|(_, value)| !is_plain(value)) {
                return Err(Error::logic(format!(
                    "Expected `data.{name}` to be a NUMBER, STRING or NULL, but found {}.",
                    value.type_name()
                )));
            }
            is("application/x-www-form-urlencoded");
            escape::fields(fields)
        }
        (Method::Post, other) => {
            return Err(Error::logic(format!(
                "Expected `data` to be a STRING or OBJECT, but found {}.",
                other.type_name()
            )));
        }
        (_, other) => {
            is("application/json");
            // In lines, as in messages, which would show what has no JSON, too.
            other.to_json()?;
            other.print()
        }
    };
    Ok(Some(Bytes::from(text)))
}

fn header_lines(header: &Datum) -> Result<Vec<HeaderLine>> {
    check_size(header.size_hint())?;
    let mut lines = Vec::new();
    match header {
        Datum::Object(fields) => {
            for (name, value) in fields.iter() {
                let value = match &value {
                    Datum::String(text) => Some(text.as_str().to_owned()),
                    Datum::Null => None,
                    other => {
                        return Err(Error::logic(format!(
                            "Expected `header.{name}` to be a STRING or NULL, but found {}.",
                            other.type_name()
                        )));
                    }
                };
                lines.push(HeaderLine { name: name.as_str().to_owned(), value });
            }
        }
        Datum::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                let Datum::String(line) = &item else {
                    return Err(Error::logic(format!(
                        "Expected `header[{index}]` to be a STRING, but found {}.",
                        item.type_name()
                    )));
                };
                // A line without a colon is no header; it is not sent.
                if let Some((name, value)) = line.as_str().split_once(':') {
                    let value = value.trim_start();
                    let value = (!value.is_empty()).then(|| value.to_owned());
                    lines.push(HeaderLine { name: name.to_owned(), value });
                } else {
                    check_line(line.as_str())?;
                }
            }
        }
        other => {
            return Err(Error::logic(format!(
                "Expected `header` to be an ARRAY or OBJECT, but found {}.",
                other.type_name()
            )));
        }
    }
    for line in &lines {
        check_line(&line.name)?;
        check_line(line.value.as_deref().unwrap_or_default())?;
    }
    Ok(lines)
}

/// A line break would let a value pass for a header of its own.
fn check_line(text: &str) -> Result<()> {
    if text.contains(['\r', '\n']) {
        return Err(Error::logic("A `header` item contains newline characters."));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_about_auth() {
        let message = |fields: &[(&'static str, Datum)]| {
            auth(&Datum::Object(fields.iter().cloned().collect())).err().unwrap().message
        };
        assert_eq!(message(&[("type", Datum::from(1))]), "Expected `auth.type` to be a STRING, but found OBJECT.");
        assert_eq!(message(&[("user", Datum::from(1))]), "Expected `auth.user` to be a STRING, but found NUMBER.");
        assert_eq!(message(&[("user", Datum::from("u"))]), "`auth.pass` not found in the auth object.");
    }

    #[test]
    fn a_body_is_json_in_lines() {
        let data = Datum::Object(Object::from([("a", Datum::from(vec![Datum::from(1), Datum::Null]))]));
        let mut header = Vec::new();
        let put = body(&data, Method::Put, &mut header).unwrap().unwrap();
        assert_eq!(put, "{\n\t\"a\":\t[\n\t\t1,\n\t\tnull\n\t]\n}");
        assert_eq!((header[0].name.as_str(), header[0].value.as_deref()), ("Content-Type", Some("application/json")));
        let text = body(&Datum::from("x"), Method::Patch, &mut Vec::new()).unwrap().unwrap();
        assert_eq!(text, "x");
        let error = body(&Datum::from(vec![Datum::MaxVal]), Method::Delete, &mut Vec::new()).unwrap_err();
        assert_eq!(error.message, "Cannot convert `r.maxval` to JSON.");
    }
}
