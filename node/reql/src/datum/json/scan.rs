//! The lexical side of JSON: one pass over bytes, no allocation but for the strings it hands out.
//!
//! What is accepted, and the words for what is not, follow the parser that RethinkDB uses, because its words reach the
//! client through `r.json`.

use super::super::Str;
use crate::limits::{NESTING_MAX, NUMBER_TOKEN_BYTES_MAX};

/// Why a text is not JSON, in RethinkDB's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Syntax {
    #[error("The document is empty.")]
    Empty,
    #[error("The document root must not be followed by other values.")]
    Trailing,
    #[error("Invalid value.")]
    Value,
    #[error("Missing a name for object member.")]
    MissingName,
    #[error("Missing a colon after a name of object member.")]
    MissingColon,
    #[error("Missing a comma or '}}' after an object member.")]
    ObjectEnd,
    #[error("Missing a comma or ']' after an array element.")]
    ArrayEnd,
    #[error("Incorrect hex digit after \\u escape in string.")]
    Hex,
    #[error("The surrogate pair in string is invalid.")]
    Surrogate,
    #[error("Invalid escape character in string.")]
    Escape,
    #[error("Missing a closing quotation mark in string.")]
    StringEnd,
    #[error("Invalid encoding in string.")]
    Encoding,
    #[error("Number too big to be stored in double.")]
    NumberTooBig,
    #[error("Miss fraction part in number.")]
    Fraction,
    #[error("Miss exponent in number.")]
    Exponent,
    #[error("Nesting deeper than {NESTING_MAX} levels.")]
    TooDeep,
}

/// A fault and the byte where it was noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{syntax}")]
pub struct JsonError {
    pub syntax: Syntax,
    pub offset: usize,
}

/// A position in a JSON text.
#[derive(Clone, Debug)]
pub struct Scanner<'a> {
    input: &'a [u8],
    at: usize,
}

type Scan<T> = Result<T, JsonError>;

impl<'a> Scanner<'a> {
    pub fn new(input: &'a [u8]) -> Scanner<'a> {
        Scanner { input, at: 0 }
    }

    pub fn offset(&self) -> usize {
        self.at
    }

    /// What was read since `start`.
    pub fn since(&self, start: usize) -> &'a [u8] {
        &self.input[start..self.at]
    }

    pub fn fail<T>(&self, syntax: Syntax) -> Scan<T> {
        Err(JsonError { syntax, offset: self.at })
    }

    /// The next byte that is not blank, without taking it.
    pub fn peek(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.input.get(self.at) {
            self.at += 1;
        }
        self.input.get(self.at).copied()
    }

    /// Takes the next byte that is not blank, if it is `byte`.
    pub fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Nothing but blanks may follow.
    pub fn end(&mut self) -> Scan<()> {
        if self.peek().is_none() { Ok(()) } else { self.fail(Syntax::Trailing) }
    }

    /// `null`, `true` or `false`.
    pub fn word(&mut self, word: &'static [u8]) -> Scan<()> {
        self.peek();
        if self.input[self.at..].starts_with(word) {
            self.at += word.len();
            Ok(())
        } else {
            self.fail(Syntax::Value)
        }
    }

    /// A number token.
    pub fn number(&mut self) -> Scan<f64> {
        self.peek();
        let start = self.at;
        let negative = self.input.get(self.at) == Some(&b'-');
        self.at += usize::from(negative);
        let mut small: u64 = 0;
        let whole = match self.input.get(self.at) {
            Some(b'0') => {
                self.at += 1;
                1
            }
            Some(b'1'..=b'9') => self.digits(|digit| small = small.wrapping_mul(10).wrapping_add(u64::from(digit))),
            _ => return self.fail(Syntax::Value),
        };
        let mut integer = true;
        if self.input.get(self.at) == Some(&b'.') {
            integer = false;
            self.at += 1;
            if self.digits(|_| ()) == 0 {
                return self.fail(Syntax::Fraction);
            }
        }
        if let Some(b'e' | b'E') = self.input.get(self.at) {
            integer = false;
            self.at += 1;
            if let Some(b'+' | b'-') = self.input.get(self.at) {
                self.at += 1;
            }
            if self.digits(|_| ()) == 0 {
                return self.fail(Syntax::Exponent);
            }
        }
        if integer && whole <= 15 {
            // Below 10^15 every integer is a double. An integer has no negative zero: that is `-0.0`.
            let value = small as f64;
            return Ok(if negative { 0.0 - value } else { value });
        }
        let token = &self.input[start..self.at];
        if token.len() > NUMBER_TOKEN_BYTES_MAX {
            return self.fail(Syntax::NumberTooBig);
        }
        match std::str::from_utf8(token).ok().and_then(|text| text.parse::<f64>().ok()) {
            Some(value) if value.is_finite() => Ok(value),
            _ => Err(JsonError { syntax: Syntax::NumberTooBig, offset: start }),
        }
    }

    fn digits(&mut self, mut each: impl FnMut(u8)) -> usize {
        let start = self.at;
        while let Some(digit @ b'0'..=b'9') = self.input.get(self.at) {
            each(digit - b'0');
            self.at += 1;
        }
        self.at - start
    }

    /// A string token, unescaped.
    pub fn string(&mut self) -> Scan<Str> {
        if !self.take(b'"') {
            return self.fail(Syntax::Value);
        }
        let start = self.at;
        self.plain_run();
        if self.input.get(self.at) == Some(&b'"') {
            let text = self.utf8(&self.input[start..self.at], start)?;
            self.at += 1;
            return Ok(Str::from(text));
        }
        let mut text = self.input[start..self.at].to_vec();
        loop {
            match self.input.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    let text = self.utf8(&text, start)?;
                    return Ok(Str::from(text));
                }
                Some(b'\\') => {
                    self.at += 1;
                    let character = self.escape()?;
                    text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                }
                Some(0..0x20) if self.input[self.at] != 0 => return self.fail(Syntax::Escape),
                _ => return self.fail(Syntax::StringEnd),
            }
            let run = self.at;
            self.plain_run();
            text.extend_from_slice(&self.input[run..self.at]);
        }
    }

    /// Moves to the next quote, backslash or control character.
    fn plain_run(&mut self) {
        self.at += super::find::bytes_before(&self.input[self.at..], super::is_escaped);
    }

    fn utf8<'b>(&self, bytes: &'b [u8], start: usize) -> Scan<&'b str> {
        std::str::from_utf8(bytes).map_err(|_| JsonError { syntax: Syntax::Encoding, offset: start })
    }

    /// What follows a backslash.
    fn escape(&mut self) -> Scan<char> {
        let Some(&byte) = self.input.get(self.at) else { return self.fail(Syntax::StringEnd) };
        self.at += 1;
        Ok(match byte {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode_escape(),
            _ => return self.fail(Syntax::Escape),
        })
    }

    fn unicode_escape(&mut self) -> Scan<char> {
        let unit = self.hex()?;
        if !(0xd800..0xe000).contains(&unit) {
            return char::from_u32(unit).map_or_else(|| self.fail(Syntax::Surrogate), Ok);
        }
        if unit >= 0xdc00 || !self.input[self.at..].starts_with(b"\\u") {
            return self.fail(Syntax::Surrogate);
        }
        self.at += 2;
        let low = self.hex()?;
        if !(0xdc00..0xe000).contains(&low) {
            return self.fail(Syntax::Surrogate);
        }
        let code = 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
        char::from_u32(code).map_or_else(|| self.fail(Syntax::Surrogate), Ok)
    }

    fn hex(&mut self) -> Scan<u32> {
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.input.get(self.at).and_then(|byte| char::from(*byte).to_digit(16));
            let Some(digit) = digit else { return self.fail(Syntax::Hex) };
            unit = unit * 16 + digit;
            self.at += 1;
        }
        Ok(unit)
    }

    /// Skips one value of any kind and says what kind it was. Needs no stack however deep the value nests; beyond
    /// `levels` it is refused.
    pub fn skip(&mut self, levels: usize) -> Scan<Kind> {
        let first = self.kind()?;
        // One bit per open container would do; a byte is simpler.
        let mut open: Vec<u8> = Vec::new();
        loop {
            match self.peek() {
                Some(bracket @ (b'[' | b'{')) => {
                    if open.len() == levels {
                        return self.fail(Syntax::TooDeep);
                    }
                    self.at += 1;
                    open.push(bracket);
                    if self.take(closing(bracket)) {
                        open.pop();
                    } else {
                        self.key_in(&open)?;
                        continue;
                    }
                }
                _ => self.scalar()?,
            }
            loop {
                let Some(&bracket) = open.last() else { return Ok(first) };
                if self.take(b',') {
                    self.key_in(&open)?;
                    break;
                }
                if !self.take(closing(bracket)) {
                    return self.fail(if bracket == b'[' { Syntax::ArrayEnd } else { Syntax::ObjectEnd });
                }
                open.pop();
            }
        }
    }

    /// The key and colon that stand before a value in an object.
    fn key_in(&mut self, open: &[u8]) -> Scan<()> {
        if open.last() == Some(&b'{') {
            self.key()?;
        }
        Ok(())
    }

    /// A field's name and its colon.
    pub fn key(&mut self) -> Scan<Str> {
        if self.peek() != Some(b'"') {
            return self.fail(Syntax::MissingName);
        }
        let name = self.string()?;
        if self.take(b':') { Ok(name) } else { self.fail(Syntax::MissingColon) }
    }

    fn scalar(&mut self) -> Scan<()> {
        match self.kind()? {
            Kind::Null => self.word(b"null"),
            Kind::Bool if self.peek() == Some(b't') => self.word(b"true"),
            Kind::Bool => self.word(b"false"),
            Kind::String => self.string().map(|_| ()),
            Kind::Number => self.number().map(|_| ()),
            Kind::Array | Kind::Object => self.fail(Syntax::Value),
        }
    }

    /// What the next value is, judged by its first byte.
    pub fn kind(&mut self) -> Scan<Kind> {
        Ok(match self.peek() {
            Some(b'n') => Kind::Null,
            Some(b't' | b'f') => Kind::Bool,
            Some(b'"') => Kind::String,
            Some(b'[') => Kind::Array,
            Some(b'{') => Kind::Object,
            Some(b'-' | b'0'..=b'9') => Kind::Number,
            _ => return self.fail(Syntax::Value),
        })
    }
}

fn closing(bracket: u8) -> u8 {
    if bracket == b'[' { b']' } else { b'}' }
}

/// The kinds of JSON values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Null,
    Bool,
    Number,
    String,
    Array,
    Object,
}

impl Kind {
    /// As error messages name it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Null => "NULL",
            Kind::Bool => "BOOL",
            Kind::Number => "NUMBER",
            Kind::String => "STRING",
            Kind::Array => "ARRAY",
            Kind::Object => "OBJECT",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skip(text: &str) -> Result<Kind, Syntax> {
        let mut scanner = Scanner::new(text.as_bytes());
        scanner.skip(5).and_then(|kind| scanner.end().map(|()| kind)).map_err(|error| error.syntax)
    }

    #[test]
    fn skipping_checks_everything() {
        assert_eq!(skip(" [1, {\"a\" : [null,true,false]}, -0.5e3, \"x\\n\"] "), Ok(Kind::Array));
        assert_eq!(skip("{}"), Ok(Kind::Object));
        assert_eq!(skip("[[[[[[1]]]]]]"), Err(Syntax::TooDeep));
        for (text, fault) in [
            ("", Syntax::Value),
            ("[1", Syntax::ArrayEnd),
            ("[1,]", Syntax::Value),
            ("{\"a\":1", Syntax::ObjectEnd),
            ("{\"a\" 1}", Syntax::MissingColon),
            ("{a:1}", Syntax::MissingName),
            ("nul", Syntax::Value),
            ("01", Syntax::Trailing),
            ("1.", Syntax::Fraction),
            ("1e", Syntax::Exponent),
            ("1e400", Syntax::NumberTooBig),
            ("\"\\ud800\"", Syntax::Surrogate),
            ("\"\\udc00\"", Syntax::Surrogate),
            ("\"\\uZZZZ\"", Syntax::Hex),
            ("\"\\q\"", Syntax::Escape),
            ("\"\n\"", Syntax::Escape),
            ("\"abc", Syntax::StringEnd),
            ("1 2", Syntax::Trailing),
        ] {
            assert_eq!(skip(text), Err(fault), "{text}");
        }
    }

    #[test]
    fn strings_are_unescaped() {
        let text = |json: &str| Scanner::new(json.as_bytes()).string().unwrap();
        assert_eq!(text(r#""plain ü""#), "plain ü");
        assert_eq!(text(r#""a\"\\\/\b\f\n\r\t\u00e9\u0000\ud83d\ude00z""#), "a\"\\/\u{8}\u{c}\n\r\té\0😀z");
    }

    #[test]
    fn numbers_keep_every_bit() {
        for text in ["0", "-0.0", "7", "-12", "123456789012345", "1234567890123456789", "0.1", "5e-324", "1.5E+3"] {
            let value = Scanner::new(text.as_bytes()).number().unwrap();
            assert_eq!(value.to_bits(), text.parse::<f64>().unwrap().to_bits(), "{text}");
        }
        assert_eq!(Scanner::new(b"-0").number().unwrap().to_bits(), 0);
    }
}
