//! Between datums and JSON text: a parser from bytes, the compact writer of the wire, the indented one of error messages.

use std::fmt;

pub mod parse;
pub mod scan;

use super::node::{ArrayNode, Node, ObjectNode};
use super::{Datum, binary, number};
use crate::error::{Error, Result};

pub use parse::{ParseError, parse, parse_text};
pub use scan::{JsonError, Scanner, Syntax};

/// Appends compact JSON: no blanks, fields in the order of their names, binary data as a base64 pseudo-type.
pub fn write(datum: &Datum, out: &mut Vec<u8>) -> Result<()> {
    write_node(datum.node(), out)
}

/// Compact JSON as a string.
pub fn to_string(datum: &Datum) -> Result<String> {
    let mut out = Vec::new();
    write(datum, &mut out)?;
    // Every string in a datum is UTF-8, and all else written is ASCII.
    Ok(String::from_utf8(out).unwrap_or_default())
}

/// Compact JSON of something borrowed.
pub fn write_node(node: Node<'_>, out: &mut Vec<u8>) -> Result<()> {
    match node {
        Node::MinVal => return Err(no_json("minval")),
        Node::MaxVal => return Err(no_json("maxval")),
        Node::Null => out.extend_from_slice(b"null"),
        Node::Bool(true) => out.extend_from_slice(b"true"),
        Node::Bool(false) => out.extend_from_slice(b"false"),
        Node::Number(value) => number::write_json(value, out),
        Node::String(text) => write_string(text, out),
        Node::Binary(data) => {
            out.extend_from_slice(b"{\"$reql_type$\":\"BINARY\",\"data\":\"");
            binary::write_base64(data, out);
            out.extend_from_slice(b"\"}");
        }
        Node::Array(items) => write_array(items, out)?,
        Node::Object(fields) => write_object(fields, out)?,
    }
    Ok(())
}

fn no_json(name: &str) -> Error {
    Error::logic(format!("Cannot convert `r.{name}` to JSON."))
}

fn write_array(items: ArrayNode<'_>, out: &mut Vec<u8>) -> Result<()> {
    out.push(b'[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_node(item, out)?;
    }
    out.push(b']');
    Ok(())
}

fn write_object(fields: ObjectNode<'_>, out: &mut Vec<u8>) -> Result<()> {
    out.push(b'{');
    for (index, (key, value)) in fields.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_string(key, out);
        out.push(b':');
        write_node(value, out)?;
    }
    out.push(b'}');
    Ok(())
}

/// Which ASCII bytes cannot stand in a JSON string as they are.
const ESCAPED: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        table[byte] = true;
        byte += 1;
    }
    table[b'"' as usize] = true;
    table[b'\\' as usize] = true;
    table
};

/// Appends a JSON string; `text` is UTF-8 and goes out as it is but for quotes, backslashes and control characters.
pub fn write_string(text: &[u8], out: &mut Vec<u8>) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let mut rest = text;
    while let Some(plain) = rest.iter().position(|byte| ESCAPED[usize::from(*byte)]) {
        out.extend_from_slice(&rest[..plain]);
        write_escape(rest[plain], out);
        rest = &rest[plain + 1..];
    }
    out.extend_from_slice(rest);
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
    print_node(datum.node(), 0, &mut out);
    String::from_utf8(out).unwrap_or_default()
}

fn print_node(node: Node<'_>, level: usize, out: &mut Vec<u8>) {
    match node {
        Node::MinVal => out.extend_from_slice(b"r.minval"),
        Node::MaxVal => out.extend_from_slice(b"r.maxval"),
        Node::Array(items) => print_array(items, level, out),
        Node::Object(fields) => print_object(fields, level, out),
        Node::Binary(data) => {
            let mut base64 = Vec::new();
            binary::write_base64(data, &mut base64);
            print_fields(
                [(b"$reql_type$".as_slice(), Node::String(b"BINARY")), (b"data", Node::String(&base64))].into_iter(),
                level,
                out,
            );
        }
        scalar => {
            // Only MINVAL and MAXVAL fail, and those are above.
            let _cannot_fail = write_node(scalar, out);
        }
    }
}

fn print_array(items: ArrayNode<'_>, level: usize, out: &mut Vec<u8>) {
    out.push(b'[');
    for (index, item) in items.iter().enumerate() {
        start_line(index, level + 1, out);
        print_node(item, level + 1, out);
    }
    if !items.is_empty() {
        end_block(level, out);
    }
    out.push(b']');
}

fn print_object(fields: ObjectNode<'_>, level: usize, out: &mut Vec<u8>) {
    if fields.is_empty() {
        out.extend_from_slice(b"{}");
    } else {
        print_fields(fields.iter(), level, out);
    }
}

fn print_fields<'a>(fields: impl Iterator<Item = (&'a [u8], Node<'a>)>, level: usize, out: &mut Vec<u8>) {
    out.push(b'{');
    for (index, (key, value)) in fields.enumerate() {
        start_line(index, level + 1, out);
        write_string(key, out);
        out.extend_from_slice(b":\t");
        print_node(value, level + 1, out);
    }
    end_block(level, out);
    out.push(b'}');
}

fn start_line(index: usize, level: usize, out: &mut Vec<u8>) {
    if index > 0 {
        out.push(b',');
    }
    end_block(level, out);
}

fn end_block(level: usize, out: &mut Vec<u8>) {
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
