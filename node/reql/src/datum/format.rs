//! The encoded form of a datum: what is stored, hashed and sent between nodes.
//!
//! ```text
//! document  := version:u8 (= 1)  value
//! value     := tag:u8  payload            its end is known from outside: a value never carries its own length
//!
//! tag   1 minval      2 maxval      3 null      4 false      5 true        (no payload)
//!       6 number: f64, little endian
//!       7, 8, 9 number: i8, i16, i32, little endian
//!      10 string: UTF-8 to the end of the value
//!      11 binary: bytes to the end of the value
//!      16 + n array, 20 + n object, with n = 0, 1, 2, 3 for a width w of 1, 2, 4, 8 bytes
//!
//! array     := tag  value*             end:w *count  count:w  depth:u8
//! object    := tag  (key value)*       end:w *count  count:w  depth:u8
//! key       := length:LEB128  UTF-8                     keys ascend strictly by bytes
//! end       := where the element ends, counted from the first byte after the tag
//! depth     := 1 + the greatest depth of an element (a scalar has 0), 255 meaning "255 or more"
//! ```
//!
//! The table of ends stands behind the elements, so that a value is written in one pass and a field is found by binary
//! search without looking at its neighbours. The form is canonical: one datum has one encoding (the narrowest number and
//! the narrowest width; -0 is an f64), so equal bytes mean equal values and a digest over bytes is a digest over values.
//! Time, geometry and other pseudo-types are objects with `$reql_type$`, as in RethinkDB; binary has its own tag.

use bytes::Bytes;
use smallvec::SmallVec;

use super::node::{ArrayNode, Cursor, Node, ObjectNode};
use super::{Array, Datum, Object, Str};
use crate::limits::NESTING_MAX;

/// The version this code writes, the first byte of a document.
pub const VERSION: u8 = 1;

pub(super) mod tag {
    pub const MINVAL: u8 = 1;
    pub const MAXVAL: u8 = 2;
    pub const NULL: u8 = 3;
    pub const FALSE: u8 = 4;
    pub const TRUE: u8 = 5;
    pub const F64: u8 = 6;
    pub const I8: u8 = 7;
    pub const I16: u8 = 8;
    pub const I32: u8 = 9;
    pub const STRING: u8 = 10;
    pub const BINARY: u8 = 11;
    pub const ARRAY: u8 = 16;
    pub const OBJECT: u8 = 20;
}

/// Bytes that are not an encoded datum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("an encoded datum of version {found}, newer than this program's {VERSION}")]
    Version { found: u8 },
    #[error("an encoded datum ends before it should")]
    Truncated,
    #[error("unknown tag {found} in an encoded datum")]
    Tag { found: u8 },
    #[error("an encoded datum contradicts itself: {what}")]
    Malformed { what: &'static str },
}

fn malformed(what: &'static str) -> DecodeError {
    DecodeError::Malformed { what }
}

/// The elements of an encoded array or object.
#[derive(Clone, Copy, Debug)]
pub struct Container<'a> {
    body: &'a [u8],
    ends: &'a [u8],
    width: usize,
    count: usize,
    depth: u8,
}

impl<'a> Container<'a> {
    /// Reads the trailer of `value` (tag included). Nothing of the elements is looked at.
    fn parse(value: &'a [u8]) -> Option<Container<'a>> {
        let (&first, rest) = value.split_first()?;
        let width = match first {
            tag::ARRAY..=0x13 => 1 << (first - tag::ARRAY),
            tag::OBJECT..=0x17 => 1 << (first - tag::OBJECT),
            _ => return None,
        };
        let (&depth, rest) = rest.split_last()?;
        let (rest, count) = rest.split_at_checked(rest.len().checked_sub(width)?)?;
        let count = read_uint(count)?;
        let (body, ends) = rest.split_at_checked(rest.len().checked_sub(count.checked_mul(width)?)?)?;
        Some(Container { body, ends, width, count, depth })
    }

    pub fn len(&self) -> usize {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The depth byte: 255 means "255 or more".
    pub fn depth(&self) -> u8 {
        self.depth
    }

    fn end(&self, index: usize) -> Option<usize> {
        let at = index.checked_mul(self.width)?;
        read_uint(self.ends.get(at..at + self.width)?)
    }

    /// The bytes of element `index`: a value, or in an object a key and a value.
    pub fn element(&self, index: usize) -> Option<&'a [u8]> {
        if index >= self.count {
            return None;
        }
        let start = if index == 0 { 0 } else { self.end(index - 1)? };
        self.body.get(start..self.end(index)?)
    }

    /// Key and value number `index` of an object.
    pub fn entry(&self, index: usize) -> Option<(&'a [u8], &'a [u8])> {
        split_entry(self.element(index)?)
    }

    /// The position of a key, or where it would stand.
    pub fn find(&self, key: &[u8]) -> Result<usize, usize> {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            let Some((found, _)) = self.entry(middle) else { return Err(middle) };
            match found.cmp(key) {
                std::cmp::Ordering::Equal => return Ok(middle),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Err(low)
    }

    /// The value under a key.
    pub fn get(&self, key: &[u8]) -> Option<&'a [u8]> {
        self.find(key).ok().and_then(|index| self.entry(index)).map(|(_, value)| value)
    }
}

fn split_entry(entry: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, header) = read_length(entry)?;
    entry.get(header..)?.split_at_checked(length)
}

fn read_uint(bytes: &[u8]) -> Option<usize> {
    match *bytes {
        [byte] => Some(usize::from(byte)),
        [low, high] => Some(usize::from(u16::from_le_bytes([low, high]))),
        _ => {
            let mut wide = [0; 8];
            wide.get_mut(..bytes.len())?.copy_from_slice(bytes);
            usize::try_from(u64::from_le_bytes(wide)).ok()
        }
    }
}

/// A LEB128 length and how many bytes it took.
fn read_length(bytes: &[u8]) -> Option<(usize, usize)> {
    if let Some(&first) = bytes.first()
        && first < 0x80
    {
        return Some((usize::from(first), 1));
    }
    let mut length = 0u64;
    for (index, byte) in bytes.iter().take(9).enumerate() {
        length |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((usize::try_from(length).ok()?, index + 1));
        }
    }
    None
}

pub(crate) fn write_length(mut length: usize, out: &mut Vec<u8>) {
    while length >= 0x80 {
        out.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
}

/// What a value is, without touching its elements. Damaged bytes read as null: they cannot come from a checked decode.
pub(super) fn node(value: &[u8]) -> Node<'_> {
    try_node(value).unwrap_or(Node::Null)
}

fn try_node(value: &[u8]) -> Option<Node<'_>> {
    let (&first, payload) = value.split_first()?;
    Some(match first {
        tag::MINVAL => Node::MinVal,
        tag::MAXVAL => Node::MaxVal,
        tag::NULL => Node::Null,
        tag::FALSE => Node::Bool(false),
        tag::TRUE => Node::Bool(true),
        tag::F64 => Node::Number(f64::from_le_bytes(payload.try_into().ok()?)),
        tag::I8 => Node::Number(f64::from(i8::from_le_bytes(payload.try_into().ok()?))),
        tag::I16 => Node::Number(f64::from(i16::from_le_bytes(payload.try_into().ok()?))),
        tag::I32 => Node::Number(f64::from(i32::from_le_bytes(payload.try_into().ok()?))),
        tag::STRING => Node::String(payload),
        tag::BINARY => Node::Binary(payload),
        tag::ARRAY..=0x13 => Node::Array(ArrayNode::View(Container::parse(value)?)),
        tag::OBJECT..=0x17 => Node::Object(ObjectNode::View(Container::parse(value)?)),
        _ => return None,
    })
}

/// The elements of an encoded container. Only called on values that were containers when they became views.
pub(super) fn container(value: &[u8]) -> Container<'_> {
    Container::parse(value).unwrap_or(Container { body: &[], ends: &[], width: 1, count: 0, depth: 1 })
}

/// The datum whose encoding is `value`, a piece of `whole`, sharing its bytes.
pub(super) fn lift(whole: &Bytes, value: &[u8]) -> Datum {
    match node(value) {
        Node::MinVal => Datum::MinVal,
        Node::MaxVal => Datum::MaxVal,
        Node::Null => Datum::Null,
        Node::Bool(value) => Datum::Bool(value),
        Node::Number(value) => Datum::Number(value),
        Node::String(text) => Datum::String(Str::view(whole.slice_ref(text))),
        Node::Binary(data) => Datum::Binary(whole.slice_ref(data)),
        Node::Array(_) => Datum::Array(Array::view(whole.slice_ref(value))),
        Node::Object(_) => Datum::Object(Object::view(whole.slice_ref(value))),
    }
}

/// Appends version and value.
pub(super) fn encode(datum: &Datum, out: &mut Vec<u8>) {
    out.push(VERSION);
    encode_value(datum, out);
}

/// Appends the value alone. Walks it with a list instead of the stack.
pub(super) fn encode_value(datum: &Datum, out: &mut Vec<u8>) {
    let mut open: SmallVec<[ContainerWriter<'_>; 4]> = SmallVec::new();
    // The ends of all open containers, the innermost last.
    let mut ends: SmallVec<[usize; 32]> = SmallVec::new();
    let mut datum = datum;
    loop {
        match ContainerWriter::open(datum, out, ends.len()) {
            Some(writer) => open.push(writer),
            None => {
                encode_whole(datum, out);
                if let Some(writer) = open.last() {
                    ends.push(out.len() - writer.tag_at - 1);
                }
            }
        }
        datum = loop {
            let Some(writer) = open.last_mut() else { return };
            if let Some(element) = writer.next(out) {
                break element;
            }
            writer.close(&mut ends, out);
            open.pop();
            if let Some(outer) = open.last() {
                ends.push(out.len() - outer.tag_at - 1);
            }
        };
    }
}

/// Appends a scalar or a view.
fn encode_whole(datum: &Datum, out: &mut Vec<u8>) {
    match datum {
        Datum::MinVal => out.push(tag::MINVAL),
        Datum::MaxVal => out.push(tag::MAXVAL),
        Datum::Null => out.push(tag::NULL),
        Datum::Bool(false) => out.push(tag::FALSE),
        Datum::Bool(true) => out.push(tag::TRUE),
        Datum::Number(number) => encode_number(*number, out),
        Datum::String(text) => {
            out.push(tag::STRING);
            out.extend_from_slice(text.as_bytes());
        }
        Datum::Binary(data) => {
            out.push(tag::BINARY);
            out.extend_from_slice(data);
        }
        Datum::Array(array) => out.extend_from_slice(array.encoded().unwrap_or_default()),
        Datum::Object(object) => out.extend_from_slice(object.encoded().unwrap_or_default()),
    }
}

fn encode_number(number: f64, out: &mut Vec<u8>) {
    // The casts saturate, so a number they change is one that they cannot hold.
    let integer = number as i32;
    if f64::from(integer).to_bits() != number.to_bits() {
        out.push(tag::F64);
        out.extend_from_slice(&number.to_le_bytes());
    } else if let Ok(small) = i8::try_from(integer) {
        out.push(tag::I8);
        out.extend_from_slice(&small.to_le_bytes());
    } else if let Ok(small) = i16::try_from(integer) {
        out.push(tag::I16);
        out.extend_from_slice(&small.to_le_bytes());
    } else {
        out.push(tag::I32);
        out.extend_from_slice(&integer.to_le_bytes());
    }
}

/// The width that holds numbers up to `largest`: what it adds to the tag, and its bytes.
fn narrowest(largest: usize) -> (u8, usize) {
    match largest {
        0..=0xff => (0, 1),
        0x100..=0xffff => (1, 2),
        0x1_0000..=0xffff_ffff => (2, 4),
        _ => (3, 8),
    }
}

/// A tree being written: its elements, then the table of their ends, then the right tag in front of them.
struct ContainerWriter<'a> {
    tag_at: usize,
    base_tag: u8,
    depth: usize,
    /// Where this container's ends begin among those of all open ones.
    ends_from: usize,
    elements: Elements<'a>,
}

enum Elements<'a> {
    Items(std::slice::Iter<'a, Datum>),
    Entries(std::slice::Iter<'a, (Str, Datum)>),
}

impl<'a> ContainerWriter<'a> {
    /// Opens a tree; nothing for what is written in one piece.
    fn open(datum: &'a Datum, out: &mut Vec<u8>, ends_from: usize) -> Option<ContainerWriter<'a>> {
        let (base_tag, depth, elements) = match datum {
            Datum::Array(array) if array.encoded().is_none() => {
                (tag::ARRAY, array.depth(), Elements::Items(array.items().iter()))
            }
            Datum::Object(object) if object.encoded().is_none() => {
                (tag::OBJECT, object.depth(), Elements::Entries(object.entries().iter()))
            }
            _ => return None,
        };
        let tag_at = out.len();
        out.push(base_tag);
        Some(ContainerWriter { tag_at, base_tag, depth, ends_from, elements })
    }

    /// The next element; its key is written.
    fn next(&mut self, out: &mut Vec<u8>) -> Option<&'a Datum> {
        match &mut self.elements {
            Elements::Items(items) => items.next(),
            Elements::Entries(entries) => {
                let (key, value) = entries.next()?;
                write_length(key.as_bytes().len(), out);
                out.extend_from_slice(key.as_bytes());
                Some(value)
            }
        }
    }

    fn close(&self, ends: &mut SmallVec<[usize; 32]>, out: &mut Vec<u8>) {
        let own = &ends[self.ends_from..];
        let body = own.last().copied().unwrap_or(0);
        let (step, width) = narrowest(body.max(own.len()));
        out.reserve((own.len() + 1) * width + 1);
        for end in own.iter().chain([&own.len()]) {
            out.extend_from_slice(&(*end as u64).to_le_bytes()[..width]);
        }
        out.push(self.depth.min(255) as u8);
        out[self.tag_at] = self.base_tag + step;
        ends.truncate(self.ends_from);
    }
}

/// The depth of an encoded container. Only beyond 254 levels, which its depth byte cannot tell, are elements looked at.
pub(super) fn depth(value: &[u8]) -> usize {
    let mut open: Vec<Cursor<'_>> = Vec::new();
    let mut deepest = 0;
    let mut node = node(value);
    loop {
        let known = match node {
            Node::Array(ArrayNode::View(elements)) | Node::Object(ObjectNode::View(elements)) => elements.depth,
            _ => 0,
        };
        match Cursor::open(node) {
            Some(cursor) if known == 255 => open.push(cursor),
            _ => deepest = deepest.max(open.len() + usize::from(known)),
        }
        node = loop {
            let Some(cursor) = open.last_mut() else { return deepest };
            match cursor.take() {
                Some((_, element)) => break element,
                None => {
                    open.pop();
                }
            }
        };
    }
}

/// What an encoded document is, borrowed from its bytes, which are known to be what [`encode`] wrote.
pub fn document_node(document: &[u8]) -> Option<Node<'_>> {
    match document.split_first()? {
        (&VERSION, value) => try_node(value),
        _ => None,
    }
}

/// Splits off the version.
pub(super) fn strip_version(document: &Bytes) -> Result<Bytes, DecodeError> {
    match document.first() {
        None => Err(DecodeError::Truncated),
        Some(&VERSION) if document.len() > 1 => Ok(document.slice(1..)),
        Some(&VERSION) => Err(DecodeError::Truncated),
        Some(&found) => Err(DecodeError::Version { found }),
    }
}

/// A view over a value without its version, after checking every byte of it.
pub fn decode_value(value: Bytes) -> Result<Datum, DecodeError> {
    validate(&value)?;
    Ok(lift(&value, &value))
}

/// Checks every byte, so that no later reading of a view can find anything amiss. Walks with a list instead of the stack.
pub(super) fn validate(value: &[u8]) -> Result<(), DecodeError> {
    let mut open: Vec<Validated<'_>> = Vec::new();
    let mut value = value;
    loop {
        if let Some(container) = validate_outside(value)? {
            if open.len() == NESTING_MAX {
                return Err(malformed("nesting too deep"));
            }
            open.push(container);
        }
        value = loop {
            let Some(container) = open.last_mut() else { return Ok(()) };
            if let Some(element) = container.next()? {
                break element;
            }
            let depth = container.close()?;
            open.pop();
            if let Some(outer) = open.last_mut() {
                outer.deepest = outer.deepest.max(depth);
            }
        };
    }
}

/// Checks a value but for its elements.
fn validate_outside(value: &[u8]) -> Result<Option<Validated<'_>>, DecodeError> {
    let (&first, payload) = value.split_first().ok_or(DecodeError::Truncated)?;
    let node = try_node(value).ok_or(match first {
        tag::F64..=tag::I32 | tag::ARRAY..=0x17 => DecodeError::Truncated,
        _ => DecodeError::Tag { found: first },
    })?;
    let (elements, keyed) = match node {
        Node::String(text) if std::str::from_utf8(text).is_err() => return Err(malformed("a string is not UTF-8")),
        Node::Number(number) if !number.is_finite() => return Err(malformed("a number is not finite")),
        Node::Number(number) if number_bytes(number) != value.len() => {
            return Err(malformed("a number is wider than it need be"));
        }
        Node::Array(ArrayNode::View(elements)) => (elements, false),
        Node::Object(ObjectNode::View(elements)) => (elements, true),
        _ if first <= tag::TRUE && !payload.is_empty() => return Err(malformed("bytes behind a constant")),
        _ => return Ok(None),
    };
    if narrowest(elements.body.len().max(elements.len())).1 != elements.width {
        return Err(malformed("the ends are wider than they need be"));
    }
    Ok(Some(Validated { elements, keyed, next: 0, last_key: None, deepest: 0 }))
}

/// How many bytes a number takes, tag included: as [`encode_number`] writes it.
fn number_bytes(number: f64) -> usize {
    let integer = number as i32;
    match (i8::try_from(integer), i16::try_from(integer)) {
        _ if f64::from(integer).to_bits() != number.to_bits() => 9,
        (Ok(_), _) => 2,
        (_, Ok(_)) => 3,
        _ => 5,
    }
}

/// A container whose elements are being checked.
struct Validated<'a> {
    elements: Container<'a>,
    keyed: bool,
    next: usize,
    last_key: Option<&'a [u8]>,
    deepest: usize,
}

impl<'a> Validated<'a> {
    /// The value of the next element, its key checked.
    fn next(&mut self) -> Result<Option<&'a [u8]>, DecodeError> {
        if self.next == self.elements.len() {
            return Ok(None);
        }
        let element = self.elements.element(self.next).ok_or(malformed("the ends do not ascend"))?;
        self.next += 1;
        if !self.keyed {
            return Ok(Some(element));
        }
        let (key, value) = split_entry(element).ok_or(malformed("a key runs over its end"))?;
        let header = element.len() - key.len() - value.len();
        if header > 1 && element[header - 1] == 0 {
            return Err(malformed("the length of a key is wider than it need be"));
        }
        if std::str::from_utf8(key).is_err() {
            return Err(malformed("a key is not UTF-8"));
        }
        if self.last_key.is_some_and(|last| last >= key) {
            return Err(malformed("the keys do not ascend"));
        }
        self.last_key = Some(key);
        Ok(Some(value))
    }

    /// The true depth of the container, after its last element.
    fn close(&self) -> Result<usize, DecodeError> {
        let last = self.elements.len().checked_sub(1);
        let body = last.and_then(|last| self.elements.end(last)).unwrap_or(0);
        if body != self.elements.body.len() {
            return Err(malformed("bytes between the elements and their ends"));
        }
        let depth = self.deepest.saturating_add(1);
        if usize::from(self.elements.depth) != depth.min(255) {
            return Err(malformed("the depth is wrong"));
        }
        Ok(depth)
    }
}

#[cfg(test)]
mod tests;
