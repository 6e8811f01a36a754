//! The outermost shape of a message: is it JSON, is it an array of the right length with the right things in it.

use super::{low_bits, undecodable};
use crate::datum::json::JsonError;
use crate::datum::json::scan::{Kind, Scanner};
use crate::error::{Error, Result};

/// Says what is wrong with the shape of a message; nothing, if only a term inside is at fault.
pub(super) fn inspect(body: &[u8]) -> Result<()> {
    let elements = elements(body).map_err(|_| undecodable())?;
    let elements = match elements {
        Shape::Array(elements) => elements,
        Shape::Other(kind) => {
            return Err(refuse(format!("Expected a query to be an array, but found {}.", kind.name())));
        }
    };
    if elements.is_empty() || elements.len() > 3 {
        let complaint = format!("Expected 1 to 3 elements in the top-level query, but found {}.", elements.len());
        return Err(refuse(complaint));
    }
    if elements[0].kind != Kind::Number {
        let complaint = format!("Expected a query type as a number, but found {}.", elements[0].kind.name());
        return Err(refuse(complaint));
    }
    if !(1..=5).contains(&elements[0].integer) {
        return Err(refuse(format!("Unrecognized QueryType: {}.", elements[0].integer)));
    }
    match elements.get(2) {
        Some(third) if third.kind != Kind::Object => {
            Err(refuse(format!("Expected global optargs as an object, but found {}.", third.kind.name())))
        }
        _ if elements.len() == 1 && elements[0].integer == 1 => {
            Err(refuse("Expected a term to start, but found none.".to_owned()))
        }
        _ => Ok(()),
    }
}

/// Whether a message of the right shape says `noreply`: as a constant, for nothing in it is evaluated.
pub(super) fn says_noreply(body: &[u8]) -> bool {
    noreply(body).unwrap_or(false)
}

fn noreply(body: &[u8]) -> std::result::Result<bool, JsonError> {
    let mut scanner = Scanner::new(body);
    scanner.take(b'[');
    for _ in 0..2 {
        scanner.skip(usize::MAX)?;
        if !scanner.take(b',') {
            return Ok(false);
        }
    }
    if !scanner.take(b'{') || scanner.take(b'}') {
        return Ok(false);
    }
    loop {
        let name = scanner.key()?;
        scanner.peek();
        let start = scanner.offset();
        scanner.skip(usize::MAX)?;
        if &*name == "noreply" {
            return is_true(scanner.since(start));
        }
        if !scanner.take(b',') {
            return Ok(false);
        }
    }
}

/// Whether a token is `true`, or the term that stands for it.
fn is_true(token: &[u8]) -> std::result::Result<bool, JsonError> {
    if token == b"true" {
        return Ok(true);
    }
    let mut term = Scanner::new(token);
    if !term.take(b'[') {
        return Ok(false);
    }
    let start = term.offset();
    let value = term.number()?;
    let is_datum = low_bits(term.since(start).trim_ascii(), value) == 1;
    if !term.take(b',') {
        return Ok(false);
    }
    term.word(b"true")?;
    Ok(is_datum && term.take(b']'))
}

fn refuse(complaint: String) -> Error {
    Error::client(format!("Server could not parse query: {complaint}"))
}

enum Shape {
    Array(Vec<Element>),
    Other(Kind),
}

struct Element {
    kind: Kind,
    /// Of a number, what RethinkDB reads it as.
    integer: i32,
}

fn elements(body: &[u8]) -> std::result::Result<Shape, JsonError> {
    let mut whole = Scanner::new(body);
    let kind = whole.skip(usize::MAX)?;
    whole.end()?;
    if kind != Kind::Array {
        return Ok(Shape::Other(kind));
    }
    let mut scanner = Scanner::new(body);
    let mut elements = Vec::new();
    scanner.take(b'[');
    if scanner.take(b']') {
        return Ok(Shape::Array(elements));
    }
    loop {
        scanner.peek();
        let start = scanner.offset();
        let kind = scanner.skip(usize::MAX)?;
        let token = scanner.since(start);
        let value = if kind == Kind::Number { Scanner::new(token).number()? } else { 0.0 };
        elements.push(Element { kind, integer: low_bits(token, value) });
        if !scanner.take(b',') {
            return Ok(Shape::Array(elements));
        }
    }
}
