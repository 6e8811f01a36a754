//! Between datums and JSON text: a parser from bytes, the compact writer of the wire, the indented one of error messages.

use std::fmt;

pub(crate) mod find;
pub mod parse;
pub mod scan;

use smallvec::SmallVec;

use super::node::{Cursor, Node};
use super::{Datum, binary, number};
use crate::error::{Error, Result};
use crate::limits::VALUE_BYTES_MAX;

pub use parse::{ParseError, Progress, Unwatched, parse, parse_text, parse_watched};
pub use scan::{JsonError, Scanner, Syntax};

/// Appends compact JSON: no blanks, fields in the order of their names, binary data as a base64 pseudo-type.
///
/// Errors: what has no JSON, and more than [`VALUE_BYTES_MAX`].
pub fn write(datum: &Datum, out: &mut Vec<u8>) -> Result<()> {
    within_size(datum)?;
    write_node(datum.node(), out)
}

/// Whether it is short enough to be walked to its end. Constant time.
pub(crate) fn within_size(datum: &Datum) -> Result<()> {
    let size = datum.size_hint();
    if size <= VALUE_BYTES_MAX {
        return Ok(());
    }
    Err(Error::resource(format!("Value of {size} bytes over size limit `{VALUE_BYTES_MAX}` bytes.")))
}

/// Compact JSON as a string.
pub fn to_string(datum: &Datum) -> Result<String> {
    let mut out = Vec::new();
    write(datum, &mut out)?;
    // Every string in a datum is UTF-8, and all else written is ASCII.
    Ok(String::from_utf8(out).unwrap_or_default())
}

/// Compact JSON of something borrowed. Walks it with a list instead of the stack.
pub fn write_node(node: Node<'_>, out: &mut Vec<u8>) -> Result<()> {
    let mut open: SmallVec<[Cursor<'_>; 4]> = SmallVec::new();
    let mut node = node;
    loop {
        match Cursor::open(node) {
            Some(cursor) => {
                out.push(if cursor.is_array() { b'[' } else { b'{' });
                open.push(cursor);
            }
            None => write_scalar(node, out)?,
        }
        node = loop {
            let Some(cursor) = open.last_mut() else { return Ok(()) };
            let first = cursor.taken() == 0;
            match cursor.take() {
                Some((key, value)) => {
                    if !first {
                        out.push(b',');
                    }
                    if !cursor.is_array() {
                        write_string(key, out);
                        out.push(b':');
                    }
                    break value;
                }
                None => {
                    out.push(if cursor.is_array() { b']' } else { b'}' });
                    open.pop();
                }
            }
        };
    }
}

fn write_scalar(node: Node<'_>, out: &mut Vec<u8>) -> Result<()> {
    match node {
        Node::MinVal => return Err(no_json("minval")),
        Node::MaxVal => return Err(no_json("maxval")),
        Node::Bool(true) => out.extend_from_slice(b"true"),
        Node::Bool(false) => out.extend_from_slice(b"false"),
        Node::Number(value) => number::write_json(value, out),
        Node::String(text) => write_string(text, out),
        Node::Binary(data) => {
            out.extend_from_slice(b"{\"$reql_type$\":\"BINARY\",\"data\":\"");
            binary::write_json_base64(data, out);
            out.extend_from_slice(b"\"}");
        }
        Node::Null | Node::Array(_) | Node::Object(_) => out.extend_from_slice(b"null"),
    }
    Ok(())
}

fn no_json(name: &str) -> Error {
    Error::logic(format!("Cannot convert `r.{name}` to JSON."))
}

/// Whether a byte cannot stand in a JSON string as it is.
fn is_escaped(byte: u8) -> bool {
    (byte < 0x20) | (byte == b'"') | (byte == b'\\')
}

/// Appends a JSON string; `text` is UTF-8 and goes out as it is but for quotes, backslashes and control characters.
pub fn write_string(text: &[u8], out: &mut Vec<u8>) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let mut rest = text;
    loop {
        let (plain, escaped) = rest.split_at(find::bytes_before(rest, is_escaped));
        out.extend_from_slice(plain);
        let Some((byte, behind)) = escaped.split_first() else { break };
        write_escape(*byte, out);
        rest = behind;
    }
    out.push(b'"');
}

fn write_escape(byte: u8, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    match byte {
        b'"' => out.extend_from_slice(b"\\\""),
        b'\\' => out.extend_from_slice(b"\\\\"),
        0x08 => out.extend_from_slice(b"\\b"),
        0x0c => out.extend_from_slice(b"\\f"),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        _ => {
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    }
}

/// JSON indented by tabs, as RethinkDB shows values in messages: `{\n\t"id":\t1\n}`. MINVAL and MAXVAL, which have no
/// JSON, show as the terms that make them.
pub fn print(datum: &Datum) -> String {
    let mut out = Vec::new();
    print_node(datum.node(), &mut out);
    String::from_utf8(out).unwrap_or_default()
}

fn print_node(node: Node<'_>, out: &mut Vec<u8>) {
    let mut open: SmallVec<[Cursor<'_>; 4]> = SmallVec::new();
    let mut node = node;
    loop {
        match Cursor::open(node) {
            Some(cursor) => {
                out.push(if cursor.is_array() { b'[' } else { b'{' });
                open.push(cursor);
            }
            None => print_scalar(node, out),
        }
        node = loop {
            let level = open.len();
            let Some(cursor) = open.last_mut() else { return };
            let first = cursor.taken() == 0;
            match cursor.take() {
                Some((key, value)) => {
                    if !first {
                        out.push(b',');
                    }
                    // Binary data goes in as a piece of compact JSON: no line of its own, no tab.
                    let compact = matches!(value, Node::Binary(_));
                    if !(compact && cursor.is_array()) {
                        start_line(level, out);
                    }
                    if !cursor.is_array() {
                        write_string(key, out);
                        out.extend_from_slice(if compact { b":" } else { b":\t" });
                    }
                    break value;
                }
                None => {
                    if cursor.len() > 0 {
                        start_line(level - 1, out);
                    }
                    out.push(if cursor.is_array() { b']' } else { b'}' });
                    open.pop();
                }
            }
        };
    }
}

fn print_scalar(node: Node<'_>, out: &mut Vec<u8>) {
    match node {
        Node::MinVal => out.extend_from_slice(b"r.minval"),
        Node::MaxVal => out.extend_from_slice(b"r.maxval"),
        scalar => {
            // Only MINVAL and MAXVAL fail, and those are above.
            let _cannot_fail = write_scalar(scalar, out);
        }
    }
}

fn start_line(level: usize, out: &mut Vec<u8>) {
    out.push(b'\n');
    out.extend(std::iter::repeat_n(b'\t', level));
}

impl fmt::Display for Datum {
    /// Compact JSON; MINVAL and MAXVAL anywhere inside make it a placeholder.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match to_string(self) {
            Ok(text) => f.write_str(&text),
            Err(_) => write!(f, "{self:?}"),
        }
    }
}

#[cfg(test)]
mod tests;
