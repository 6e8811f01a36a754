//! `slice` of values in memory, and how a slice of a stream is read.

use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::eval::Args;
use crate::eval::terms::array::from_end;
use crate::eval::terms::bounds;

/// What a `slice` asks for, as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    /// The first index; negative ones count from the end.
    pub left: i64,
    /// Whether the element at `left` is left out.
    pub left_open: bool,
    /// The last index.
    pub right: i64,
    /// Whether the element at `right` is left out.
    pub right_open: bool,
}

impl Slice {
    /// Reads everything but the first argument.
    pub fn read(args: &Args<'_>) -> Result<Slice> {
        let left_open = bounds::left_is_open(args)?;
        let left = args.integer(1)?;
        let (right_open, right) =
            if args.len() > 2 { (bounds::right_is_open(args)?, args.integer(2)?) } else { (false, -1) };
        Ok(Slice { left, left_open, right, right_open })
    }

    /// The elements from the first number up to but without the second, of `size`.
    fn range(&self, size: usize) -> (usize, usize) {
        let place = |index: i64, further: bool| match from_end(index, size) {
            // Before the start, where being open changes nothing.
            None => 0,
            Some(place) => usize::try_from(place + u64::from(further)).unwrap_or(usize::MAX).min(size),
        };
        let (start, end) = (place(self.left, self.left_open), place(self.right, !self.right_open));
        (start, end.max(start))
    }

    /// How many elements of a stream to skip, and how many to take then (`None`: all).
    pub fn of_stream(&self) -> Result<(u64, Option<u64>)> {
        let Ok(left) = u64::try_from(self.left) else {
            return Err(Error::logic("Cannot use a negative left index on a stream."));
        };
        let start = left + u64::from(self.left_open);
        match u64::try_from(self.right) {
            Ok(right) => Ok((start, Some((right + u64::from(!self.right_open)).saturating_sub(start)))),
            Err(_) if self.right < -1 => Err(Error::logic("Cannot use a right index < -1 on a stream.")),
            Err(_) if self.right_open => Err(Error::logic("Cannot slice to an open right index of -1 on a stream.")),
            Err(_) => Ok((start, None)),
        }
    }
}

/// A slice of an array (by elements), of binary data (by bytes) or of a string (by code points).
pub fn slice(datum: &Datum, slice: &Slice) -> Result<Datum> {
    match datum {
        Datum::Array(items) => {
            let (start, end) = slice.range(items.len());
            Ok(items.slice(start, end).into())
        }
        Datum::Binary(data) => {
            let (start, end) = slice.range(data.len());
            Ok(Datum::Binary(data.slice(start..end)))
        }
        Datum::String(text) => {
            let text = text.as_str();
            let (start, end) = slice.range(text.chars().count());
            let text = &text[offset(text, start)..];
            Ok(Datum::from(&text[..offset(text, end - start)]))
        }
        other => Err(Error::logic(format!("Expected ARRAY, BINARY, or STRING, but found {}.", other.type_name()))),
    }
}

/// Where code point number `count` begins.
fn offset(text: &str, count: usize) -> usize {
    text.char_indices().nth(count).map_or(text.len(), |(at, _)| at)
}

#[cfg(test)]
mod tests {
    use crate::eval::terms::checked::check;

    #[test]
    fn arrays_strings_and_bytes() {
        check(&[
            ("[30,[[2,[0,1,2,3]],1,3]]", "[1,2]"),
            (r#"[30,[[2,[0,1,2,3]],1,3],{"right_bound":"closed"}]"#, "[1,2,3]"),
            (r#"[30,[[2,[0,1,2,3]],1,3],{"left_bound":"open"}]"#, "[2]"),
            ("[30,[[2,[0,1,2,3]],-2]]", "[2,3]"),
            ("[30,[[2,[0,1]],3,1]]", "[]"),
            ("[30,[[2,[0,1]],-9,1]]", "[0]"),
            (r#"[30,["hello",-4,3]]"#, r#""el""#),
            (r#"[30,["\u3053\u3093\u306b\u3061\u306f",1,2]]"#, r#""ん""#),
            (r#"[51,[[30,[[155,["abcdefg"]],-5,5]],"string"]]"#, r#""cde""#),
        ]);
    }

    #[test]
    fn faults() {
        check(&[
            ("[30,[null,1,2]]", "QueryLogic: Expected ARRAY, BINARY, or STRING, but found NULL."),
            (
                r#"[30,[[2,[]],0,1],{"left_bound":"x"}]"#,
                r#"QueryLogic: Expected `open` or `closed` for optarg `left_bound` (got `"x"`)."#,
            ),
            ("[30,[[173,[5]],-1,1]]", "QueryLogic: Cannot use a negative left index on a stream."),
        ]);
    }
}
