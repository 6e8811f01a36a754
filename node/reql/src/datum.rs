//! `Datum`: the one value type of the language.
//!
//! A datum is immutable and cheap to clone. Strings, arrays and objects are either trees in memory or views over encoded
//! bytes ([`format`]), which nobody outside this module can tell apart. Times and geometry are objects that carry
//! `$reql_type$`, as in RethinkDB; binary data is a variant of its own.

use std::fmt;

use bytes::Bytes;

mod array;
pub mod binary;
pub mod compare;
pub mod format;
pub mod geometry;
pub mod json;
pub mod node;
pub mod number;
mod object;
mod repr;
#[cfg(test)]
pub(crate) mod samples;
mod string;
pub mod time;

pub use array::Array;
pub use format::DecodeError;
pub use node::{ArrayNode, Node, ObjectNode};
pub use object::{Object, ObjectBuilder};
pub use string::Str;

use crate::error::{Error, Result};
use crate::limits::PRINTED_DATUM_BYTES_MAX;

/// The field that makes an object a pseudo-type.
pub const PTYPE_FIELD: &str = "$reql_type$";

/// Trees deeper than this are dropped with a list instead of the stack.
const DEPTH_DROPPED_RECURSIVELY: usize = 64;

/// Bytes in front of what is shared.
const COUNTERS_BYTES: usize = 2 * size_of::<usize>();

/// What is known of a value without a walk.
#[derive(Clone, Copy, Debug, Default)]
struct Measures {
    /// How deep it nests.
    depth: usize,
    /// About how many bytes it takes encoded.
    size: usize,
    /// About how many bytes of memory it takes beside the `Datum` itself.
    heap: usize,
}

/// A value of the language.
#[derive(Clone)]
pub enum Datum {
    /// Below everything; only a bound, never stored.
    MinVal,
    /// Above everything; only a bound, never stored.
    MaxVal,
    Null,
    Bool(bool),
    /// Always finite; see [`Datum::number`].
    Number(f64),
    String(Str),
    Binary(Bytes),
    Array(Array),
    Object(Object),
}

impl Datum {
    /// A number, unless it is infinite or not a number.
    pub fn number(value: f64) -> Result<Datum> {
        number::check_finite(value).map(Datum::Number)
    }

    /// An object made of fields; one that claims to be a pseudo-type must be a valid one, and base64 becomes binary.
    pub fn from_fields(fields: Object) -> Result<Datum> {
        let Some(claim) = fields.get(PTYPE_FIELD) else { return Ok(Datum::Object(fields)) };
        let Datum::String(name) = &claim else {
            let whole = Datum::Object(fields);
            return Err(Error::logic(format!(
                "Error: Field `{PTYPE_FIELD}` must be a string (got `{}` of type {}):\n{}",
                claim.print_truncated(),
                claim.type_name(),
                whole.print_truncated()
            )));
        };
        match name.as_str() {
            "TIME" => time::validate(fields).map(Datum::Object),
            "BINARY" => binary::from_fields(&fields).map(Datum::Binary),
            "GEOMETRY" => geometry::validate(fields).map(Datum::Object),
            "LITERAL" => Err(Error::logic(
                "Stray literal keyword found: literal is only legal inside of the object passed to merge or update and \
                 cannot nest inside other literals.",
            )),
            other => Err(Error::logic(format!("Unknown {PTYPE_FIELD} `PTYPE<{other}>`."))),
        }
    }

    /// The same of plain JSON, which may hold a `literal`: that has its meaning in `merge` and `update`.
    pub fn from_raw_fields(fields: Object) -> Result<Datum> {
        if fields.node().ptype() != Some(b"LITERAL") {
            return Datum::from_fields(fields);
        }
        let illegal = fields.keys().find(|name| !matches!(name.as_str(), PTYPE_FIELD | "value"));
        match illegal {
            Some(name) => Err(Error::logic(format!("Invalid literal term with illegal key `{name}`."))),
            None => Ok(Datum::Object(fields)),
        }
    }

    /// RethinkDB's name of the type: `NUMBER`, `PTYPE<TIME>`, ...
    pub fn type_name(&self) -> String {
        match self.node() {
            Node::Object(fields) => match fields.ptype() {
                Some(name) => format!("PTYPE<{}>", String::from_utf8_lossy(name)),
                None => "OBJECT".to_owned(),
            },
            other => compare::plain_type_name(&other).to_owned(),
        }
    }

    /// The name inside `PTYPE<..>`, if this is a pseudo-type.
    pub fn ptype_name(&self) -> Option<String> {
        match self {
            Datum::Binary(_) => Some("BINARY".to_owned()),
            Datum::Object(fields) => fields.node().ptype().map(|name| String::from_utf8_lossy(name).into_owned()),
            _ => None,
        }
    }

    /// Whether this is the pseudo-type of that name.
    pub fn is_ptype(&self, name: &str) -> bool {
        match self {
            Datum::Binary(_) => name == "BINARY",
            Datum::Object(fields) => fields.node().ptype() == Some(name.as_bytes()),
            _ => false,
        }
    }

    /// What `branch`, `filter` and `and` take it for: everything but false and null is true.
    pub fn is_truthy(&self) -> bool {
        !matches!(self, Datum::Null | Datum::Bool(false))
    }

    pub fn is_null(&self) -> bool {
        matches!(self, Datum::Null)
    }

    pub fn as_number(&self) -> Result<f64> {
        match self {
            Datum::Number(value) => Ok(*value),
            _ => Err(Error::expected_type("NUMBER", self)),
        }
    }

    /// A number without a fraction, at most 2^53 in size.
    pub fn as_integer(&self) -> Result<i64> {
        number::to_integer(self.as_number()?)
    }

    pub fn as_string(&self) -> Result<&Str> {
        match self {
            Datum::String(text) => Ok(text),
            _ => Err(Error::expected_type("STRING", self)),
        }
    }

    pub fn as_array(&self) -> Result<&Array> {
        match self {
            Datum::Array(items) => Ok(items),
            _ => Err(Error::expected_type("ARRAY", self)),
        }
    }

    pub fn as_object(&self) -> Result<&Object> {
        match self {
            Datum::Object(fields) => Ok(fields),
            _ => Err(Error::expected_type("OBJECT", self)),
        }
    }

    pub fn as_binary(&self) -> Result<&Bytes> {
        match self {
            Datum::Binary(data) => Ok(data),
            _ => Err(Error::expected_type("PTYPE<BINARY>", self)),
        }
    }

    /// A field of an object, with RethinkDB's errors for a missing one and for what is no object.
    pub fn field(&self, name: &str) -> Result<Datum> {
        self.as_object()?
            .get(name)
            .ok_or_else(|| Error::non_existence(format!("No attribute `{name}` in object:\n{}", self.print())))
    }

    /// How deep it nests: 0 for a scalar. Constant time but for views nested 255 levels and more.
    pub fn depth(&self) -> usize {
        match self {
            Datum::Array(items) => items.depth(),
            Datum::Object(fields) => fields.depth(),
            _ => 0,
        }
    }

    /// About how many bytes it takes encoded, for batches and budgets; exact for views. Constant time.
    pub fn size_hint(&self) -> usize {
        match self {
            Datum::String(text) => 1 + text.as_bytes().len(),
            Datum::Binary(data) => 1 + data.len(),
            Datum::Array(items) => items.size_hint(),
            Datum::Object(fields) => fields.size_hint(),
            Datum::Number(_) => 6,
            _ => 1,
        }
    }

    /// About how many bytes of memory it takes, all that it is made of included. Constant time. Parts that it shares with
    /// other values count as its own.
    pub fn footprint(&self) -> usize {
        size_of::<Datum>().saturating_add(self.heap())
    }

    fn heap(&self) -> usize {
        match self {
            Datum::Array(items) => items.heap(),
            Datum::Object(fields) => fields.heap(),
            Datum::String(text) => text.heap(),
            Datum::Binary(data) => COUNTERS_BYTES + data.len(),
            _ => 0,
        }
    }

    fn measures(&self) -> Measures {
        match self {
            Datum::Array(items) => items.measures(),
            Datum::Object(fields) => fields.measures(),
            scalar => Measures { depth: 0, size: scalar.size_hint(), heap: scalar.heap() },
        }
    }

    /// A borrowed look that is the same for trees and views.
    pub fn node(&self) -> Node<'_> {
        match self {
            Datum::MinVal => Node::MinVal,
            Datum::MaxVal => Node::MaxVal,
            Datum::Null => Node::Null,
            Datum::Bool(value) => Node::Bool(*value),
            Datum::Number(value) => Node::Number(*value),
            Datum::String(text) => Node::String(text.as_bytes()),
            Datum::Binary(data) => Node::Binary(data),
            Datum::Array(items) => Node::Array(items.node()),
            Datum::Object(fields) => Node::Object(fields.node()),
        }
    }

    /// Appends the encoded form ([`format`]), version included.
    pub fn encode(&self, out: &mut Vec<u8>) {
        format::encode(self, out);
    }

    pub fn to_encoded(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode(&mut out);
        out
    }

    /// A view over an encoded datum, after checking every byte of it. For bytes from another program or node.
    pub fn decode(document: Bytes) -> std::result::Result<Datum, DecodeError> {
        let value = format::strip_version(&document)?;
        format::validate(&value)?;
        Ok(format::lift(&value, &value))
    }

    /// A view over an encoded datum whose bytes are known to be what [`Datum::encode`] wrote (a checksum says so).
    /// Constant time. Should they be damaged after all, pieces read as null or empty; nothing panics.
    pub fn view(document: Bytes) -> std::result::Result<Datum, DecodeError> {
        let value = format::strip_version(&document)?;
        Ok(format::lift(&value, &value))
    }

    /// Becomes its encoded form, when it is an array or object that was made of parts: the same value in less memory.
    pub fn pack(&mut self) {
        let is_tree = match self {
            Datum::Array(items) => items.encoded().is_none(),
            Datum::Object(fields) => fields.encoded().is_none(),
            _ => false,
        };
        if is_tree {
            *self = self.detach();
        }
    }

    /// A copy that keeps no larger buffer alive.
    pub fn detach(&self) -> Datum {
        match self {
            Datum::String(text) => Datum::String(text.detach()),
            Datum::Binary(data) => Datum::Binary(Bytes::copy_from_slice(data)),
            Datum::Array(_) | Datum::Object(_) => {
                let bytes = Bytes::from(self.to_encoded());
                Datum::view(bytes).unwrap_or(Datum::Null)
            }
            scalar => scalar.clone(),
        }
    }

    /// Compact JSON as it goes over the wire. MINVAL and MAXVAL have none.
    pub fn write_json(&self, out: &mut Vec<u8>) -> Result<()> {
        json::write(self, out)
    }

    pub fn to_json(&self) -> Result<String> {
        json::to_string(self)
    }

    /// Indented JSON as it stands in error messages.
    pub fn print(&self) -> String {
        json::print(self)
    }

    /// As [`Datum::print`], cut to 300 bytes as RethinkDB cuts it in most messages.
    pub fn print_truncated(&self) -> String {
        truncate_printed(self.print())
    }
}

fn truncate_printed(mut text: String) -> String {
    if text.len() > PRINTED_DATUM_BYTES_MAX {
        let mut end = PRINTED_DATUM_BYTES_MAX - 3;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push_str("...");
    }
    text
}

/// Drops deep trees level by level, so that their depth never becomes the depth of the stack.
fn dismantle(mut pending: Vec<Datum>) {
    while let Some(datum) = pending.pop() {
        match datum {
            Datum::Array(items) => items.dismantle_into(&mut pending),
            Datum::Object(fields) => fields.dismantle_into(&mut pending),
            _ => {}
        }
    }
}

impl fmt::Debug for Datum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Datum::MinVal => f.write_str("minval"),
            Datum::MaxVal => f.write_str("maxval"),
            Datum::Null => f.write_str("null"),
            Datum::Bool(value) => write!(f, "{value}"),
            Datum::Number(value) => f.write_str(&number::to_json(*value)),
            Datum::String(text) => write!(f, "{text:?}"),
            Datum::Binary(data) => write!(f, "binary({data:?})"),
            Datum::Array(items) => items.fmt(f),
            Datum::Object(fields) => fields.fmt(f),
        }
    }
}

impl From<bool> for Datum {
    fn from(value: bool) -> Datum {
        Datum::Bool(value)
    }
}

impl From<i32> for Datum {
    fn from(value: i32) -> Datum {
        Datum::Number(f64::from(value))
    }
}

impl From<u32> for Datum {
    fn from(value: u32) -> Datum {
        Datum::Number(f64::from(value))
    }
}

impl From<i64> for Datum {
    /// Rounded to the nearest double beyond 2^53.
    fn from(value: i64) -> Datum {
        Datum::Number(value as f64)
    }
}

impl From<u64> for Datum {
    /// Rounded to the nearest double beyond 2^53.
    fn from(value: u64) -> Datum {
        Datum::Number(value as f64)
    }
}

impl From<usize> for Datum {
    /// Rounded to the nearest double beyond 2^53.
    fn from(value: usize) -> Datum {
        Datum::Number(value as f64)
    }
}

impl From<&str> for Datum {
    fn from(text: &str) -> Datum {
        Datum::String(Str::from(text))
    }
}

impl From<String> for Datum {
    fn from(text: String) -> Datum {
        Datum::String(Str::from(text))
    }
}

impl From<Str> for Datum {
    fn from(text: Str) -> Datum {
        Datum::String(text)
    }
}

impl From<Array> for Datum {
    fn from(items: Array) -> Datum {
        Datum::Array(items)
    }
}

impl From<Object> for Datum {
    fn from(fields: Object) -> Datum {
        Datum::Object(fields)
    }
}

impl From<Vec<Datum>> for Datum {
    fn from(items: Vec<Datum>) -> Datum {
        Datum::Array(Array::from(items))
    }
}

#[cfg(test)]
mod tests;
