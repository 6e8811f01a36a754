//! The bytes of an encoded key value.
//!
//! ```text
//! value  := 0x08                              minval   (bounds only)
//!         | 0x10 value* 0x00                  array
//!         | 0x18 | 0x19                       false, true
//!         | 0x20 number                       number
//!         | 0x28 escaped 0x00                 binary
//!         | 0x30 number                       time: its instant; the zone is not part of a key
//!         | 0x38 escaped 0x00                 string
//!         | 0xf8                              maxval   (bounds only)
//! number := the double, big endian, with the sign bit flipped if it is positive and all bits flipped if it is negative;
//!           -0 is written as 0
//! escaped:  0x00 as 0x01 0x01, and 0x01 as 0x01 0x02
//! ```

use bytes::Bytes;

use crate::datum::{ArrayNode, Datum, Node, ObjectNode, Str, number, time};
use crate::error::{Error, Result};

pub(super) mod tag {
    pub const MINVAL: u8 = 0x08;
    pub const ARRAY: u8 = 0x10;
    pub const FALSE: u8 = 0x18;
    pub const TRUE: u8 = 0x19;
    pub const NUMBER: u8 = 0x20;
    pub const BINARY: u8 = 0x28;
    pub const TIME: u8 = 0x30;
    pub const STRING: u8 = 0x38;
    pub const MAXVAL: u8 = 0xf8;
}

const END: u8 = 0x00;
const ESCAPE: u8 = 0x01;

/// Longer than any primary key and any piece of an index value that is kept; it also bounds the recursion into arrays.
const DECISIVE_BYTES: usize = 600;

/// Bytes that are not a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("an encoded key ends before it should")]
    Truncated,
    #[error("unknown tag {found} in an encoded key")]
    Tag { found: u8 },
    #[error("an encoded key contradicts itself: {what}")]
    Malformed { what: &'static str },
}

/// Where a value will stand, which decides what it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A document's primary key, or a bound for one.
    Primary,
    /// A value of an index.
    Index,
    /// A bound for values of an index.
    IndexBound,
}

/// Appends an encoded value. Of an array only the first 600 bytes or a little more are exact: the rest may be missing.
pub fn encode(datum: &Datum, role: Role, out: &mut Vec<u8>) -> Result<()> {
    match datum.node() {
        Node::Null => return Err(refuse(datum, role)),
        Node::Object(fields) if fields.ptype().is_none() => return Err(refuse(datum, role)),
        Node::MinVal | Node::MaxVal if role == Role::Index => return Err(refuse(datum, role)),
        _ => {}
    }
    encode_node(datum.node(), role, &|| datum.clone(), out)
}

fn refuse(datum: &Datum, role: Role) -> Error {
    let name = datum.type_name();
    let message = match role {
        Role::Primary => format!(
            "Primary keys must be either a number, string, bool, pseudotype or array (got type {name}):\n{}",
            datum.print_truncated()
        ),
        Role::Index => format!(
            "Secondary keys must be a number, string, bool, pseudotype, or array (got type {name}):\n{}",
            datum.print_truncated()
        ),
        Role::IndexBound => format!(
            "Secondary keys must be a number, string, bool, pseudotype, or array (got {} of type {name}).",
            datum.print()
        ),
    };
    Error::wrong_type(datum, message)
}

/// `whole` gives the datum for messages, which only failures need.
fn encode_node(node: Node<'_>, role: Role, whole: &dyn Fn() -> Datum, out: &mut Vec<u8>) -> Result<()> {
    match node {
        Node::MinVal | Node::MaxVal if role == Role::Index => {
            return Err(Error::logic("Cannot use `r.minval` or `r.maxval` in an index key."));
        }
        Node::MinVal => out.push(tag::MINVAL),
        Node::MaxVal => out.push(tag::MAXVAL),
        Node::Bool(value) => out.push(if value { tag::TRUE } else { tag::FALSE }),
        Node::Number(value) => {
            out.push(tag::NUMBER);
            encode_number(value, out);
        }
        Node::String(text) => {
            if role == Role::Primary {
                refuse_nul(text)?;
            }
            out.push(tag::STRING);
            encode_bytes(text, out);
        }
        Node::Binary(data) => {
            out.push(tag::BINARY);
            encode_bytes(data, out);
        }
        Node::Array(items) => encode_array(items, role, whole, out)?,
        Node::Object(fields) => encode_ptype(fields, whole, out)?,
        Node::Null => return Err(refuse_element(&whole())),
    }
    Ok(())
}

fn encode_array(items: ArrayNode<'_>, role: Role, whole: &dyn Fn() -> Datum, out: &mut Vec<u8>) -> Result<()> {
    out.push(tag::ARRAY);
    for (index, item) in items.iter().enumerate() {
        // What stands behind decides nothing any more: no primary key is that long, and index values are cut long before.
        if out.len() > DECISIVE_BYTES {
            break;
        }
        let element = || match whole() {
            Datum::Array(items) => items.get(index).unwrap_or(Datum::Null),
            other => other,
        };
        encode_node(item, role, &element, out)?;
    }
    out.push(END);
    Ok(())
}

fn encode_ptype(fields: ObjectNode<'_>, whole: &dyn Fn() -> Datum, out: &mut Vec<u8>) -> Result<()> {
    match fields.ptype() {
        Some(b"TIME") => {
            let (epoch, _) = time::require(&whole())?;
            out.push(tag::TIME);
            encode_number(epoch, out);
            Ok(())
        }
        Some(b"GEOMETRY") => Err(Error::logic(
            "Cannot use a geometry value as a key value in a primary or non-geospatial secondary index.",
        )),
        Some(_) => Err(Error::logic(format!(
            "Cannot use pseudotype {} as a primary or secondary key value .",
            whole().type_name()
        ))),
        None => Err(refuse_element(&whole())),
    }
}

fn refuse_element(element: &Datum) -> Error {
    let message = format!(
        "Array keys can only contain numbers, strings, bools,  pseudotypes, or arrays (got {} of type {}).",
        element.print(),
        element.type_name()
    );
    Error::wrong_type(element, message)
}

fn refuse_nul(text: &[u8]) -> Result<()> {
    let Some(offset) = text.iter().position(|byte| *byte == 0) else { return Ok(()) };
    let mut shown = String::new();
    for byte in text.iter().take(20) {
        match byte {
            b'"' | b'\\' => shown.extend(['\\', char::from(*byte)]),
            b' '..=b'~' => shown.push(char::from(*byte)),
            _ => shown.push_str(&format!("\\x{byte:02x}")),
        }
    }
    Err(Error::logic(format!("String \"{shown}\" (truncated) contains NULL byte at offset {offset} in index key.")))
}

fn encode_number(value: f64, out: &mut Vec<u8>) {
    // Adding 0 turns -0 into 0.
    let bits = (value + 0.0).to_bits();
    let ordered = if bits >> 63 == 0 { bits ^ 1 << 63 } else { !bits };
    out.extend_from_slice(&ordered.to_be_bytes());
}

fn encode_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    for &byte in bytes {
        match byte {
            0 | ESCAPE => out.extend_from_slice(&[ESCAPE, byte + 1]),
            _ => out.push(byte),
        }
    }
    out.push(END);
}

/// Whether RethinkDB's own encoding of this value, which is what its limit on primary keys counts, takes more than `limit`
/// bytes: numbers as 18 characters and their digits, every array element one more for its separator.
pub(super) fn rethinkdb_longer_than(limit: usize, node: Node<'_>) -> bool {
    // Digits are dear to print and seldom matter: first as if every number had the most there can be.
    const DIGITS_MAX: usize = 26;
    rethinkdb_length(node, &|_| DIGITS_MAX) > limit
        && rethinkdb_length(node, &|value| number::print_exact(value + 0.0).len()) > limit
}

fn rethinkdb_length(node: Node<'_>, digits: &dyn Fn(f64) -> usize) -> usize {
    match node {
        Node::MinVal | Node::MaxVal | Node::Null => 1,
        Node::Bool(_) => 2,
        Node::Number(value) => 18 + digits(value),
        Node::String(text) => 1 + text.len(),
        Node::Binary(data) => 8 + data.iter().map(|byte| if *byte <= ESCAPE { 2 } else { 1 }).sum::<usize>(),
        Node::Array(items) => 1 + items.iter().map(|item| rethinkdb_length(item, digits) + 1).sum::<usize>(),
        Node::Object(fields) => match fields.get("epoch_time") {
            Some(epoch) => 6 + rethinkdb_length(epoch, digits),
            None => 1,
        },
    }
}

/// Reads one value from the front of `bytes` and says how many bytes it took. Needs no stack however deep it nests.
pub fn decode(bytes: &[u8]) -> std::result::Result<(Datum, usize), KeyError> {
    let mut at = 0;
    let mut open: Vec<Vec<Datum>> = Vec::new();
    loop {
        let &first = bytes.get(at).ok_or(KeyError::Truncated)?;
        at += 1;
        let mut done = match first {
            END if !open.is_empty() => Datum::from(open.pop().unwrap_or_default()),
            tag::ARRAY if open.len() >= crate::limits::NESTING_MAX => {
                return Err(KeyError::Malformed { what: "nesting too deep" });
            }
            tag::ARRAY => {
                open.push(Vec::new());
                continue;
            }
            tag::MINVAL => Datum::MinVal,
            tag::MAXVAL => Datum::MaxVal,
            tag::FALSE => Datum::Bool(false),
            tag::TRUE => Datum::Bool(true),
            tag::NUMBER => Datum::Number(decode_number(bytes, &mut at)?),
            tag::TIME => time::from_epoch(decode_number(bytes, &mut at)?, "+00:00")
                .map_err(|_| KeyError::Malformed { what: "a time is not finite" })?,
            tag::BINARY => Datum::Binary(Bytes::from(decode_bytes(bytes, &mut at)?)),
            tag::STRING => Str::from_utf8(Bytes::from(decode_bytes(bytes, &mut at)?))
                .map(Datum::String)
                .ok_or(KeyError::Malformed { what: "a string is not UTF-8" })?,
            found => return Err(KeyError::Tag { found }),
        };
        match open.last_mut() {
            None => return Ok((done, at)),
            Some(items) => items.push(std::mem::replace(&mut done, Datum::Null)),
        }
    }
}

fn decode_number(bytes: &[u8], at: &mut usize) -> std::result::Result<f64, KeyError> {
    let ordered = bytes.get(*at..*at + 8).and_then(|bytes| bytes.try_into().ok()).ok_or(KeyError::Truncated)?;
    *at += 8;
    let ordered = u64::from_be_bytes(ordered);
    let bits = if ordered >> 63 == 1 { ordered ^ 1 << 63 } else { !ordered };
    let value = f64::from_bits(bits);
    if value.is_finite() { Ok(value) } else { Err(KeyError::Malformed { what: "a number is not finite" }) }
}

fn decode_bytes(bytes: &[u8], at: &mut usize) -> std::result::Result<Vec<u8>, KeyError> {
    let mut plain = Vec::new();
    loop {
        let &byte = bytes.get(*at).ok_or(KeyError::Truncated)?;
        *at += 1;
        match byte {
            END => return Ok(plain),
            ESCAPE => {
                match bytes.get(*at) {
                    Some(&escaped @ 1..=2) => plain.push(escaped - 1),
                    _ => return Err(KeyError::Malformed { what: "an unknown escape" }),
                }
                *at += 1;
            }
            byte => plain.push(byte),
        }
    }
}
