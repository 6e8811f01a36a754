//! Binary data as a string, if it is UTF-8, or RethinkDB's word for where it is not.

use crate::error::{Error, Result};
use crate::limits::SHOWN_BYTES_MAX;

/// The bytes as text.
pub fn from_bytes(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|error| {
        let start = error.valid_up_to();
        let (reason, position) = explain(&bytes[start..]);
        // The message shows the beginning of what was read before the fault, as C shows a string.
        let read = std::str::from_utf8(&bytes[..start]).unwrap_or_default();
        let read = &read[..read.floor_char_boundary(SHOWN_BYTES_MAX)];
        let read = read.split('\0').next().unwrap_or_default();
        let position = start + position;
        Error::logic(format!("String `{read}` (truncated) is not a UTF-8 string; {reason} at position {position}."))
    })
}

/// What is wrong with the first character, and how many bytes into it that shows.
fn explain(bytes: &[u8]) -> (&'static str, usize) {
    let length = match bytes.first() {
        Some(0xc0..=0xdf) => 2,
        Some(0xe0..=0xef) => 3,
        Some(0xf0..=0xf7) => 4,
        _ => return ("Invalid initial byte seen", 0),
    };
    for position in 1..length {
        match bytes.get(position) {
            None => return ("Expected continuation byte, saw end of string", position),
            Some(0x80..=0xbf) => {}
            Some(_) => return ("Expected continuation byte, saw something else", position),
        }
    }
    let last = length - 1;
    match (bytes[0], bytes[1]) {
        (0xf5..=0xf7, _) | (0xf4, 0x90..) => ("Non-Unicode character encoded (beyond U+10FFFF)", last),
        (0xed, 0xa0..) => ("Surrogate pair seen", last),
        _ => ("Overlong encoding seen", last),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults() {
        for (bytes, message) in [
            (&b"\xff"[..], "String `` (truncated) is not a UTF-8 string; Invalid initial byte seen at position 0."),
            (
                b"ab\xc3",
                "String `ab` (truncated) is not a UTF-8 string; Expected continuation byte, saw end of string at \
                position 3.",
            ),
            (
                b"abcdefghijklmnopqrstuvwxyz\xff",
                "String `abcdefghijklmnopqrst` (truncated) is not a UTF-8 string; Invalid initial byte seen at position 26.",
            ),
            (b"a\0b\xff", "String `a` (truncated) is not a UTF-8 string; Invalid initial byte seen at position 3."),
            (b"\xc0\xa2", "String `` (truncated) is not a UTF-8 string; Overlong encoding seen at position 1."),
        ] {
            assert_eq!(from_bytes(bytes).unwrap_err().message, message);
        }
        assert_eq!(from_bytes("né".as_bytes()), Ok("né"));
    }
}
