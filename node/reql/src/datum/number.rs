//! Numbers: doubles and nothing else, printed as RethinkDB prints them.

mod grisu;

use crate::error::{Error, Result};

/// The largest size up to which every integer is a double of its own.
pub const INTEGER_MAX: f64 = 9_007_199_254_740_992.0;

/// Refuses infinities and NaN.
pub fn check_finite(value: f64) -> Result<f64> {
    if value.is_finite() { Ok(value) } else { Err(Error::logic(format!("Non-finite number: {}", print_exact(value)))) }
}

/// The number as an integer, if it is one of at most 2^53 in size.
pub fn integer(value: f64) -> Option<i64> {
    (value.abs() <= INTEGER_MAX && value.fract() == 0.0).then_some(value as i64)
}

/// As [`integer`], with RethinkDB's errors.
pub fn to_integer(value: f64) -> Result<i64> {
    integer(value).ok_or_else(|| {
        let why = if value < -INTEGER_MAX {
            " (<-2^53)"
        } else if value > INTEGER_MAX {
            " (>2^53)"
        } else {
            ""
        };
        Error::logic(format!("Number not an integer{why}: {}", print_exact(value)))
    })
}

/// JSON text of a number.
pub fn to_json(value: f64) -> String {
    let mut out = Vec::with_capacity(24);
    write_json(value, &mut out);
    String::from_utf8(out).unwrap_or_default()
}

/// Appends the JSON text of a number: integers up to 2^53 without a fraction, -0 as `-0.0`, everything else with few
/// digits that read back the same ([`grisu`]), in plain notation from 1e-6 up to 1e21 and in scientific notation beyond.
pub fn write_json(value: f64, out: &mut Vec<u8>) {
    if let Some(integer) = integer(value) {
        if integer == 0 && value.is_sign_negative() {
            out.extend_from_slice(b"-0.0");
        } else {
            write_integer(integer, out);
        }
        return;
    }
    let decimal = Decimal::of(value);
    if value < 0.0 {
        out.push(b'-');
    }
    decimal.write(out);
}

fn write_integer(value: i64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = value.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[at..]);
}

/// Significant digits and where the point stands: 0.d1d2d3... times ten to the power of `point`.
struct Decimal {
    digits: grisu::Digits,
    point: i32,
}

impl Decimal {
    /// Of a finite number that is not zero; the sign is dropped.
    fn of(value: f64) -> Decimal {
        let (digits, scale) = grisu::digits(value.abs());
        let point = digits.len() as i32 + scale;
        Decimal { digits, point }
    }

    fn write(&self, out: &mut Vec<u8>) {
        let count = self.digits.len() as i32;
        let zeros = |number: i32| std::iter::repeat_n(b'0', number.max(0) as usize);
        if count <= self.point && self.point <= 21 {
            out.extend_from_slice(&self.digits);
            out.extend(zeros(self.point - count));
            out.extend_from_slice(b".0");
        } else if 0 < self.point && self.point <= 21 {
            let (whole, fraction) = self.digits.split_at(self.point as usize);
            out.extend_from_slice(whole);
            out.push(b'.');
            out.extend_from_slice(fraction);
        } else if -6 < self.point && self.point <= 0 {
            out.extend_from_slice(b"0.");
            out.extend(zeros(-self.point));
            out.extend_from_slice(&self.digits);
        } else {
            let (first, rest) = self.digits.split_at(1.min(self.digits.len()));
            out.extend_from_slice(first);
            if !rest.is_empty() {
                out.push(b'.');
                out.extend_from_slice(rest);
            }
            out.push(b'e');
            write_integer(i64::from(self.point - 1), out);
        }
    }
}

/// A number as RethinkDB's error messages show it: up to 20 significant digits, like C's `%.20g`.
pub fn print_exact(value: f64) -> String {
    if value.is_nan() {
        return if value.is_sign_negative() { "-nan" } else { "nan" }.to_owned();
    }
    if value.is_infinite() {
        return if value < 0.0 { "-inf" } else { "inf" }.to_owned();
    }
    if value == 0.0 {
        return if value.is_sign_negative() { "-0" } else { "0" }.to_owned();
    }
    const DIGITS: i32 = 20;
    let scientific = format!("{value:.19e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..DIGITS).contains(&exponent) {
        let decimals = usize::try_from(DIGITS - 1 - exponent).unwrap_or(0);
        trim_fraction(&format!("{value:.decimals$}")).to_owned()
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{}e{sign}{:02}", trim_fraction(mantissa), exponent.abs())
    }
}

fn trim_fraction(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_text() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0.0"),
            (1.0, "1"),
            (-17.0, "-17"),
            (9_007_199_254_740_992.0, "9007199254740992"),
            (9_007_199_254_740_994.0, "9007199254740994.0"),
            (1e20, "100000000000000000000.0"),
            (1e21, "1e21"),
            (1.5e300, "1.5e300"),
            (0.1, "0.1"),
            (-1.25, "-1.25"),
            (123_456.789, "123456.789"),
            (0.000_001, "0.000001"),
            (1e-7, "1e-7"),
            (1.5e-7, "1.5e-7"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e308"),
        ] {
            assert_eq!(to_json(value), text);
            assert_eq!(text.parse::<f64>().unwrap().to_bits(), value.to_bits());
        }
    }

    #[test]
    fn text_in_messages() {
        for (value, text) in [
            (1.5, "1.5"),
            (0.1, "0.10000000000000000555"),
            (1e20, "1e+20"),
            (1e-5, "1.0000000000000000818e-05"),
            (0.0001, "0.00010000000000000000479"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (-0.0, "-0"),
            (9_007_199_254_740_994.0, "9007199254740994"),
        ] {
            assert_eq!(print_exact(value), text);
        }
    }

    #[test]
    fn integers_end_at_two_to_the_53rd() {
        assert_eq!(to_integer(-3.0), Ok(-3));
        assert_eq!(to_integer(INTEGER_MAX), Ok(1 << 53));
        assert_eq!(to_integer(0.5).unwrap_err().message, "Number not an integer: 0.5");
        assert_eq!(to_integer(1e16).unwrap_err().message, "Number not an integer (>2^53): 10000000000000000");
        assert_eq!(to_integer(-1e16).unwrap_err().message, "Number not an integer (<-2^53): -10000000000000000");
    }

    #[test]
    fn infinities_are_refused() {
        assert_eq!(check_finite(f64::INFINITY).unwrap_err().message, "Non-finite number: inf");
    }
}
