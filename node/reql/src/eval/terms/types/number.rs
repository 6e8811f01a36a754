//! A string as a number, as C's `scanf` reads one: decimal or hexadecimal, infinities too, blanks before but not behind.

use crate::error::{Error, Result};

/// The number that a string is, infinite ones included. Like C, this reads up to a NUL.
pub fn parse(text: &str) -> Result<f64> {
    let text = text.split('\0').next().unwrap_or_default();
    read(text.trim_start_matches([' ', '\t', '\n', '\u{b}', '\u{c}', '\r']))
        .ok_or_else(|| Error::logic(format!("Could not coerce `{text}` to NUMBER.")))
}

fn read(text: &str) -> Option<f64> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => (-1.0, &text[1..]),
        b'+' => (1.0, &text[1..]),
        _ => (1.0, text),
    };
    let lower = digits.to_ascii_lowercase();
    let size = match lower.as_str() {
        "inf" | "infinity" => f64::INFINITY,
        "nan" => f64::NAN,
        _ => match lower.strip_prefix("0x") {
            Some(digits) => hexadecimal(digits)?,
            // Rust reads the rest as C does, once words and signs are gone.
            None if lower.starts_with(|c: char| c.is_ascii_digit() || c == '.') => lower.parse().ok()?,
            None => return None,
        },
    };
    Some(sign * size)
}

fn hexadecimal(text: &str) -> Option<f64> {
    let (mantissa, exponent) = match text.split_once('p') {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut value = 0.0;
    for digit in whole.chars().chain(fraction.chars()) {
        value = value * 16.0 + f64::from(digit.to_digit(16)?);
    }
    let scale = exponent.saturating_sub(i32::try_from(fraction.len()).ok()?.saturating_mul(4));
    Some(value * 2f64.powi(scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_c_reads_them() {
        for (text, number) in [
            ("-1.2", Some(-1.2)),
            (" 7", Some(7.0)),
            ("0xa", Some(10.0)),
            ("0x1.8p1", Some(3.0)),
            ("1e3", Some(1000.0)),
            (".5", Some(0.5)),
            ("5.", Some(5.0)),
            ("1e400", Some(f64::INFINITY)),
            ("7 ", None),
            ("--1.2", None),
            ("-1.2-", None),
            ("", None),
            (".", None),
            ("abc", None),
            ("+ 1", None),
            ("1\0x", Some(1.0)),
        ] {
            assert_eq!(parse(text).ok(), number, "{text:?}");
        }
        assert_eq!(parse("abc").unwrap_err().message, "Could not coerce `abc` to NUMBER.");
    }
}
