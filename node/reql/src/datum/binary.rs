//! The pseudo-type BINARY: raw bytes inside, base64 outside.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::{Datum, Object, PTYPE_FIELD};
use crate::error::{Error, Result};

/// Appends standard base64 with padding.
pub fn write_base64(data: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    let length = data.len().div_ceil(3) * 4;
    out.resize(start + length, 0);
    // The buffer has exactly the length that padded base64 takes.
    let written = STANDARD.encode_slice(data, &mut out[start..]).unwrap_or(0);
    out.truncate(start + written);
}

/// How many bytes fill a line of base64 in JSON: 76 characters.
const BYTES_PER_LINE: usize = 57;

/// Appends the inside of a JSON string that holds the base64 of `data`, in lines as RethinkDB breaks them.
pub fn write_json_base64(data: &[u8], out: &mut Vec<u8>) {
    for (index, line) in data.chunks(BYTES_PER_LINE).enumerate() {
        if index > 0 {
            out.extend_from_slice(br"\r\n");
        }
        write_base64(line, out);
    }
}

/// Base64 as RethinkDB reads it: blanks and line ends anywhere, padding optional.
pub fn decode_base64(text: &[u8]) -> Result<Bytes> {
    let mut data = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut held) = (0u32, 0u32);
    let mut rest = text.iter();
    for &byte in rest.by_ref() {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => break,
            b'\r' | b'\n' | b' ' | b'\t' => continue,
            other => {
                let shown = String::from_utf8_lossy(&[other]).into_owned();
                return Err(Error::logic(format!("Invalid base64 character found: '{shown}'.")));
            }
        };
        bits = bits << 6 | u32::from(digit);
        held += 6;
        if held >= 8 {
            held -= 8;
            data.push((bits >> held) as u8);
        }
    }
    if held == 6 {
        return Err(Error::logic("Invalid base64 length: 1 character remaining, cannot decode a full byte."));
    }
    if rest.any(|byte| !matches!(byte, b'=' | b'\r' | b'\n' | b' ' | b'\t')) {
        return Err(Error::logic("Invalid base64 format, data found after padding character '='."));
    }
    Ok(Bytes::from(data))
}

/// The bytes of `{"$reql_type$": "BINARY", "data": base64}`.
pub fn from_fields(fields: &Object) -> Result<Bytes> {
    let mut data = None;
    for (name, value) in fields.iter() {
        match name.as_str() {
            PTYPE_FIELD => {}
            "data" => data = Some(decode_base64(value.as_string()?.as_bytes())?),
            other => return Err(Error::logic(format!("Invalid binary pseudotype: illegal `{other}` key."))),
        }
    }
    data.ok_or_else(|| Error::logic("Invalid binary pseudotype: lacking `data` key."))
}

/// Binary data of a copy of these bytes.
pub fn from_slice(data: &[u8]) -> Datum {
    Datum::Binary(Bytes::copy_from_slice(data))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_goes_both_ways() {
        for length in 0..70u8 {
            let data: Vec<u8> = (0..length).map(|n| n.wrapping_mul(37)).collect();
            let mut text = Vec::new();
            write_base64(&data, &mut text);
            assert_eq!(decode_base64(&text).unwrap(), data);
        }
    }

    #[test]
    fn json_breaks_lines() {
        let text = |length: usize| {
            let mut text = Vec::new();
            write_json_base64(&vec![0; length], &mut text);
            String::from_utf8(text).unwrap()
        };
        assert_eq!(text(57), "A".repeat(76));
        assert_eq!(text(58), format!(r"{}\r\nAA==", "A".repeat(76)));
        assert_eq!(text(0), "");
    }

    #[test]
    fn blanks_and_missing_padding_are_allowed() {
        assert_eq!(decode_base64(b" Zm\r\n9v YQ").unwrap(), &b"fooa"[..]);
    }

    #[test]
    fn faults_in_rethinkdbs_words() {
        let message = |text: &[u8]| decode_base64(text).unwrap_err().message;
        assert_eq!(message(b"!!"), "Invalid base64 character found: '!'.");
        assert_eq!(message(b"Q"), "Invalid base64 length: 1 character remaining, cannot decode a full byte.");
        assert_eq!(message(b"QQ==QQ"), "Invalid base64 format, data found after padding character '='.");
    }

    #[test]
    fn the_object_must_be_whole() {
        let object = |fields: &[(&str, &str)]| fields.iter().map(|(k, v)| (*k, *v)).collect::<Object>();
        let message = |fields: &[(&str, &str)]| from_fields(&object(fields)).unwrap_err().message;
        assert_eq!(message(&[(PTYPE_FIELD, "BINARY")]), "Invalid binary pseudotype: lacking `data` key.");
        assert_eq!(
            message(&[(PTYPE_FIELD, "BINARY"), ("data", "QQ=="), ("x", "")]),
            "Invalid binary pseudotype: illegal `x` key."
        );
    }
}
