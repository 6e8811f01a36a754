//! From JSON text to a datum, with a list instead of the stack, so that depth is only a number to check.

use super::super::{Array, Datum, Object, Str};
use super::scan::{JsonError, Kind, Scanner, Syntax};
use crate::error::{Error, Result};
use crate::limits::{NESTING_MAX, SHOWN_TEXT_BYTES_MAX};

/// Why a text did not become a datum.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The text is not JSON.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// It is JSON, but no datum: a field twice, or a pseudo-type that is none.
    #[error(transparent)]
    Datum(#[from] Error),
}

/// What becomes of an object whose fields are all there.
pub type Finish = fn(Object) -> Result<Datum>;

enum Open {
    Array(Vec<Datum>),
    Object(Vec<(Str, Datum)>, Str),
}

/// Whoever lets a long text be parsed looks on: [`Progress::look`] is called now and then. An error ends the parsing.
pub trait Progress {
    /// So many values more were made, which take about `bytes` of memory.
    fn look(&mut self, values: usize, bytes: usize) -> Result<()>;

    /// An array of so many elements is done.
    fn array(&mut self, _length: usize) -> Result<()> {
        Ok(())
    }
}

/// Nobody looks.
pub struct Unwatched;

impl Progress for Unwatched {
    fn look(&mut self, _values: usize, _bytes: usize) -> Result<()> {
        Ok(())
    }
}

/// Values between two looks, if they are short.
const VALUES_BETWEEN_LOOKS: usize = 1_024;

/// Bytes of the text between two looks, unless one value is longer.
const BYTES_BETWEEN_LOOKS: usize = 64 * 1024;

/// What was made since the last look.
struct Watch<'a, P> {
    progress: &'a mut P,
    values: usize,
    /// Where the last look was.
    offset: usize,
}

impl<P: Progress> Watch<'_, P> {
    fn value(&mut self, offset: usize) -> Result<()> {
        self.values += 1;
        if self.values >= VALUES_BETWEEN_LOOKS || offset - self.offset >= BYTES_BETWEEN_LOOKS {
            self.look(offset)?;
        }
        Ok(())
    }

    fn look(&mut self, offset: usize) -> Result<()> {
        let values = std::mem::take(&mut self.values);
        // Vectors grow by doubling; texts are copied; a field has a name beside its value.
        let bytes = values * (2 * size_of::<Datum>() + size_of::<Str>()) + (offset - self.offset);
        self.offset = offset;
        self.progress.look(values, bytes)
    }
}

/// A whole text as one datum. Pseudo-types are checked and base64 becomes binary, see [`Datum::from_fields`].
pub fn parse(text: &[u8]) -> std::result::Result<Datum, ParseError> {
    parse_watched(text, &mut Unwatched)
}

/// The same, while somebody looks on.
pub fn parse_watched(text: &[u8], progress: &mut impl Progress) -> std::result::Result<Datum, ParseError> {
    parse_with(text, Datum::from_fields, progress)
}

fn parse_with(text: &[u8], finish: Finish, progress: &mut impl Progress) -> std::result::Result<Datum, ParseError> {
    let mut scanner = Scanner::new(text);
    if scanner.peek().is_none() {
        return Ok(scanner.fail(Syntax::Empty)?);
    }
    let datum = value_watched(&mut scanner, NESTING_MAX, finish, progress)?;
    scanner.end()?;
    Ok(datum)
}

/// `r.json(text)` with RethinkDB's messages. A text may hold what `literal` makes.
pub fn parse_text(text: &str, progress: &mut impl Progress) -> Result<Datum> {
    if text.contains('\0') {
        return Err(Error::logic("Encountered unescaped null byte in JSON string."));
    }
    parse_with(text.as_bytes(), Datum::from_raw_fields, progress).map_err(|error| match error {
        ParseError::Json(error) => Error::logic(format!("Failed to parse \"{}\" as JSON: {error}", shown(text))),
        ParseError::Datum(error) => error,
    })
}

/// A text as the message about it shows it, in 40 bytes; RethinkDB cuts it there in the midst of a character, too.
fn shown(text: &str) -> String {
    if text.len() <= SHOWN_TEXT_BYTES_MAX {
        return text.to_owned();
    }
    format!("{}...", &text[..text.floor_char_boundary(SHOWN_TEXT_BYTES_MAX - 3)])
}

/// The next value of a text.
pub fn value(scanner: &mut Scanner<'_>, levels: usize, finish: Finish) -> std::result::Result<Datum, ParseError> {
    value_watched(scanner, levels, finish, &mut Unwatched)
}

/// The same, while somebody looks on.
pub fn value_watched<P: Progress>(
    scanner: &mut Scanner<'_>,
    levels: usize,
    finish: Finish,
    progress: &mut P,
) -> std::result::Result<Datum, ParseError> {
    let mut watch = Watch { progress, values: 0, offset: scanner.offset() };
    let mut open: Vec<Open> = Vec::new();
    loop {
        watch.value(scanner.offset())?;
        let mut done = match scanner.kind()? {
            Kind::Null => scanner.word(b"null").map(|()| Datum::Null)?,
            Kind::Bool if scanner.peek() == Some(b't') => scanner.word(b"true").map(|()| Datum::Bool(true))?,
            Kind::Bool => scanner.word(b"false").map(|()| Datum::Bool(false))?,
            Kind::Number => Datum::Number(scanner.number()?),
            Kind::String => Datum::String(scanner.string()?),
            Kind::Array => {
                scanner.take(b'[');
                if scanner.take(b']') {
                    Datum::Array(Array::new())
                } else {
                    push(&mut open, Open::Array(Vec::new()), levels, scanner)?;
                    continue;
                }
            }
            Kind::Object => {
                scanner.take(b'{');
                if scanner.take(b'}') {
                    finish(Object::new())?
                } else {
                    let key = scanner.key()?;
                    push(&mut open, Open::Object(Vec::new(), key), levels, scanner)?;
                    continue;
                }
            }
        };
        // Put the value where it belongs, and close what it was the last of.
        loop {
            match open.pop() {
                None => {
                    watch.look(scanner.offset())?;
                    return Ok(done);
                }
                Some(Open::Array(mut items)) => {
                    items.push(done);
                    if scanner.take(b',') {
                        open.push(Open::Array(items));
                        break;
                    }
                    if !scanner.take(b']') {
                        return Ok(scanner.fail(Syntax::ArrayEnd)?);
                    }
                    watch.progress.array(items.len())?;
                    done = Datum::Array(Array::from(items));
                }
                Some(Open::Object(mut fields, key)) => {
                    fields.push((key, done));
                    if scanner.take(b',') {
                        let key = scanner.key()?;
                        open.push(Open::Object(fields, key));
                        break;
                    }
                    if !scanner.take(b'}') {
                        return Ok(scanner.fail(Syntax::ObjectEnd)?);
                    }
                    done = finish(unique_fields(fields)?)?;
                }
            }
        }
    }
}

fn push(open: &mut Vec<Open>, frame: Open, levels: usize, scanner: &Scanner<'_>) -> std::result::Result<(), JsonError> {
    if open.len() >= levels {
        return scanner.fail(Syntax::TooDeep);
    }
    open.push(frame);
    Ok(())
}

fn unique_fields(fields: Vec<(Str, Datum)>) -> Result<Object> {
    let count = fields.len();
    match first_duplicate(&fields) {
        Some(name) => Err(Error::logic(format!("Duplicate key {} in JSON.", Datum::String(name).print()))),
        None => {
            let object = Object::from(fields);
            debug_assert_eq!(object.len(), count, "no field stands twice");
            Ok(object)
        }
    }
}

/// The first name, in the order of the text, that has stood before.
pub fn first_duplicate<T>(fields: &[(Str, T)]) -> Option<Str> {
    if fields.is_sorted_by(|a, b| a.0 < b.0) {
        return None;
    }
    if fields.len() <= 8 {
        let repeats = |index: usize| fields[..index].iter().any(|(name, _)| *name == fields[index].0);
        return (1..fields.len()).find(|index| repeats(*index)).map(|index| fields[index].0.clone());
    }
    let mut order: Vec<usize> = (0..fields.len()).collect();
    order.sort_by(|a, b| fields[*a].0.cmp(&fields[*b].0).then(a.cmp(b)));
    let repeated = order.windows(2).filter(|pair| fields[pair[0]].0 == fields[pair[1]].0).map(|pair| pair[1]).min();
    repeated.map(|index| fields[index].0.clone())
}
