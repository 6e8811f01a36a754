//! RE2's regular expressions, on the `regex` crate: both match in linear time and mean nearly the same.
//!
//! What differs is translated: RE2's `\d`, `\s`, `\w` and `\b` know ASCII only, its classes have no set operations, and it
//! knows octal escapes and `\Q..\E`. The matcher works on bytes so that `\B` may mean what it does there.

use std::cell::RefCell;
use std::rc::Rc;

use regex::bytes::{Regex, RegexBuilder};

use crate::error::{Error, Result};

/// How many compiled expressions each thread keeps, the last used first.
const KEPT: usize = 32;

thread_local! {
    static COMPILED: RefCell<Vec<(String, Rc<Regex>)>> = const { RefCell::new(Vec::new()) };
}

/// The matcher of an expression. Compiling is dear and the same few expressions come for every row, so they are kept.
pub fn compile(expression: &str) -> Result<Rc<Regex>> {
    COMPILED.with_borrow_mut(|kept| {
        if let Some(at) = kept.iter().position(|(known, _)| known == expression) {
            kept[..=at].rotate_right(1);
            return Ok(kept[0].1.clone());
        }
        let regex = RegexBuilder::new(&translate(expression)?)
            .build()
            .map_err(|error| fault(expression, expression, &last_line(&error.to_string())))?;
        let regex = Rc::new(regex);
        kept.truncate(KEPT - 1);
        kept.insert(0, (expression.to_owned(), regex.clone()));
        Ok(regex)
    })
}

/// RethinkDB's message, with RE2's words for the fault and the part of the expression where it lies.
fn fault(expression: &str, portion: &str, what: &str) -> Error {
    Error::logic(format!("Error in regexp `{expression}` (portion `{portion}`): {what}: {portion}"))
}

/// The crate explains in several lines, the last of which says what is wrong.
fn last_line(text: &str) -> String {
    text.lines().last().unwrap_or_default().trim().trim_start_matches("error: ").to_owned()
}

/// The same expression in the crate's language, or RE2's complaint about what it does not accept.
fn translate(expression: &str) -> Result<String> {
    let mut translation = Translation { whole: expression, rest: expression, out: String::new() };
    let mut depth = 0usize;
    let mut repeatable = false;
    while let Some(next) = translation.rest.chars().next() {
        match next {
            '\\' => repeatable = translation.escape(false)?,
            '[' => {
                translation.class()?;
                repeatable = true;
            }
            '(' => {
                depth += 1;
                translation.group_head()?;
                repeatable = false;
            }
            ')' => {
                depth = depth.checked_sub(1).ok_or_else(|| fault(expression, expression, "unexpected )"))?;
                translation.copy(1);
                repeatable = true;
            }
            '*' | '+' | '?' | '{' => match repetition(translation.rest) {
                Some(length) if !repeatable => {
                    return Err(fault(expression, &translation.rest[..length], "no argument for repetition operator"));
                }
                Some(length) => {
                    let start = translation.rest;
                    translation.copy(length);
                    if let Some(another) = repetition(translation.rest) {
                        return Err(fault(expression, &start[..length + another], "bad repetition operator"));
                    }
                }
                // Braces that hold no count stand for themselves.
                None => {
                    translation.replace(1, r"\{");
                    repeatable = true;
                }
            },
            '|' => {
                translation.copy(1);
                repeatable = false;
            }
            other => {
                translation.copy(other.len_utf8());
                repeatable = true;
            }
        }
    }
    if depth > 0 {
        return Err(fault(expression, expression, "missing )"));
    }
    Ok(translation.out)
}

/// The length of a repetition at the beginning of a text, if there is one. A question mark behind makes it lazy, and is part of it.
fn repetition(text: &str) -> Option<usize> {
    let length = if text.starts_with('{') { counted(text)? } else { usize::from(text.starts_with(['*', '+', '?'])) };
    (length > 0).then(|| length + usize::from(text[length..].starts_with('?')))
}

/// The length of a count in braces (`{2}`, `{2,}`, `{2,5}`) at the beginning of a text, if there is one.
fn counted(text: &str) -> Option<usize> {
    let end = text.find('}')?;
    let (least, most) = text[1..end].split_once(',').unwrap_or((&text[1..end], ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    (!least.is_empty() && digits(least) && digits(most)).then_some(end + 1)
}

struct Translation<'a> {
    whole: &'a str,
    rest: &'a str,
    out: String,
}

impl<'a> Translation<'a> {
    fn copy(&mut self, bytes: usize) {
        let (done, rest) = self.rest.split_at(bytes);
        self.out.push_str(done);
        self.rest = rest;
    }

    fn replace(&mut self, bytes: usize, with: &str) {
        self.rest = &self.rest[bytes..];
        self.out.push_str(with);
    }

    fn group_head(&mut self) -> Result<()> {
        // Looking around takes more than linear time.
        if let Some(around) = ["(?=", "(?!", "(?<=", "(?<!"].iter().find(|around| self.rest.starts_with(**around)) {
            return Err(fault(self.whole, &around[..3], "invalid perl operator"));
        }
        if !self.rest.starts_with("(?") {
            self.copy(1);
            return Ok(());
        }
        // The flags and the name that may follow are the same in both languages.
        let end = match self.rest.find([':', '>', ')']) {
            Some(end) if self.rest[end..].starts_with(')') => end,
            Some(end) => end + 1,
            None => self.rest.len(),
        };
        self.copy(end);
        Ok(())
    }

    /// A backslash and what it escapes; says whether the result can be repeated.
    fn escape(&mut self, in_class: bool) -> Result<bool> {
        let Some(escaped) = self.rest[1..].chars().next() else {
            return Err(Error::logic(format!(
                "Error in regexp `{0}` (portion ``): trailing \\ at end of regexp",
                self.whole
            )));
        };
        let length = 1 + escaped.len_utf8();
        match (escaped, in_class) {
            ('d', false) => self.replace(length, "[0-9]"),
            ('d', true) => self.replace(length, "0-9"),
            ('D', _) => self.replace(length, "[^0-9]"),
            ('s', false) => self.replace(length, r"[\t\n\f\r ]"),
            ('s', true) => self.replace(length, r"\t\n\f\r "),
            ('S', _) => self.replace(length, r"[^\t\n\f\r ]"),
            ('w', false) => self.replace(length, "[0-9A-Za-z_]"),
            ('w', true) => self.replace(length, "0-9A-Za-z_"),
            ('W', _) => self.replace(length, "[^0-9A-Za-z_]"),
            ('b', false) => self.replace(length, r"(?-u:\b)"),
            ('B', false) => self.replace(length, r"(?-u:\B)"),
            ('C', false) => self.replace(length, r"(?s-u:.)"),
            ('Q', false) => return Ok(self.quoted()),
            ('0'..='7', _) => return self.octal(),
            ('a' | 'f' | 't' | 'n' | 'r' | 'v' | 'p' | 'P' | 'x', _) => self.copy(length),
            ('A' | 'z', false) => {
                self.copy(length);
                return Ok(true);
            }
            (other, _) if other.is_ascii_punctuation() || !other.is_ascii() => {
                self.rest = &self.rest[length..];
                self.out.push_str(&regex::escape(other.encode_utf8(&mut [0; 4])));
            }
            _ => return Err(fault(self.whole, &self.rest[..length], "invalid escape sequence")),
        }
        // What follows `\p` and `\x` in braces is copied here, where braces are no repetition.
        if matches!(escaped, 'p' | 'P' | 'x') && self.rest.starts_with('{') {
            self.copy(self.rest.find('}').map_or(self.rest.len(), |end| end + 1));
        }
        Ok(true)
    }

    /// `\Q..\E`: literally.
    fn quoted(&mut self) -> bool {
        let text = &self.rest[2..];
        let (text, rest) = text.split_once(r"\E").unwrap_or((text, ""));
        self.out.push_str(&regex::escape(text));
        self.rest = rest;
        true
    }

    /// `\0`, `\07`, `\123`. A single digit other than zero would be a back reference, which RE2 does not have.
    fn octal(&mut self) -> Result<bool> {
        let digits = self.rest[1..].bytes().take(3).take_while(|byte| matches!(byte, b'0'..=b'7')).count();
        let text = &self.rest[1..1 + digits];
        if digits == 1 && text != "0" {
            return Err(fault(self.whole, &self.rest[..2], "invalid escape sequence"));
        }
        let code = u32::from_str_radix(text, 8).unwrap_or(0);
        self.replace(1 + digits, &format!("\\x{{{code:x}}}"));
        Ok(true)
    }

    /// A class in brackets.
    fn class(&mut self) -> Result<()> {
        let start = self.rest;
        self.copy(1);
        if self.rest.starts_with('^') {
            self.copy(1);
        }
        let mut first = true;
        loop {
            match self.rest.chars().next() {
                None => return Err(fault(self.whole, start, "missing ]")),
                Some(']') if !first => {
                    self.copy(1);
                    return Ok(());
                }
                Some(']') => self.replace(1, r"\]"),
                Some('\\') => {
                    self.escape(true)?;
                }
                Some('[') => match self.rest.starts_with("[:").then(|| self.rest.find(":]")).flatten() {
                    Some(end) => self.copy(end + 2),
                    None => self.replace(1, r"\["),
                },
                Some(operator @ ('&' | '~')) => self.replace(1, if operator == '&' { r"\&" } else { r"\~" }),
                Some(other) => self.copy(other.len_utf8()),
            }
            first = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ascii_classes_and_literal_brackets() {
        for (expression, text, found) in [
            (r"\d+", "a١12", Some("12")),
            (r"[\d_]+", "x4_2", Some("4_2")),
            (r"[^\S]", "a b", Some(" ")),
            (r"\w+", "é_a1", Some("_a1")),
            (r"[[a]+", "x[a[", Some("[a[")),
            (r"[]a]+", "x]a", Some("]a")),
            (r"[a&&b]+", "a&b", Some("a&b")),
            (r"[[:digit:]]+", "a12", Some("12")),
            (r"\Qa.b\E", "aab a.b", Some("a.b")),
            (r"\101\x{42}", "AB", Some("AB")),
            (r"(?i)F.*", "a foo", Some("foo")),
            (r"é", "été", Some("é")),
            (r"\bfoo\b", "a foo", Some("foo")),
            (r"a{2}?", "aaa", Some("aa")),
            (r"a{x{1,2}}", "a{xx}", Some("a{xx}")),
            (r"x", "y", None),
        ] {
            let regex = compile(expression).unwrap();
            let hit = regex.find(text.as_bytes()).map(|hit| String::from_utf8_lossy(hit.as_bytes()).into_owned());
            assert_eq!(hit.as_deref(), found, "{expression} in {text}");
        }
    }

    #[test]
    fn faults_in_re2s_words() {
        for (expression, message) in [
            ("[", "Error in regexp `[` (portion `[`): missing ]: ["),
            ("a[b", "Error in regexp `a[b` (portion `[b`): missing ]: [b"),
            ("(", "Error in regexp `(` (portion `(`): missing ): ("),
            ("a)", "Error in regexp `a)` (portion `a)`): unexpected ): a)"),
            ("*a", "Error in regexp `*a` (portion `*`): no argument for repetition operator: *"),
            ("a(?=b)", "Error in regexp `a(?=b)` (portion `(?=`): invalid perl operator: (?="),
            ("a(?<!b)", "Error in regexp `a(?<!b)` (portion `(?<`): invalid perl operator: (?<"),
            ("a**", "Error in regexp `a**` (portion `**`): bad repetition operator: **"),
            ("ba{2}{3}c", "Error in regexp `ba{2}{3}c` (portion `{2}{3}`): bad repetition operator: {2}{3}"),
            ("a{2}?+", "Error in regexp `a{2}?+` (portion `{2}?+`): bad repetition operator: {2}?+"),
            ("a*{1,}?", "Error in regexp `a*{1,}?` (portion `*{1,}?`): bad repetition operator: *{1,}?"),
            ("*?", "Error in regexp `*?` (portion `*?`): no argument for repetition operator: *?"),
            ("a|+?b", "Error in regexp `a|+?b` (portion `+?`): no argument for repetition operator: +?"),
            ("{2}", "Error in regexp `{2}` (portion `{2}`): no argument for repetition operator: {2}"),
            ("({2}?)", "Error in regexp `({2}?)` (portion `{2}?`): no argument for repetition operator: {2}?"),
            (r"\8", r"Error in regexp `\8` (portion `\8`): invalid escape sequence: \8"),
            (r"(a)\1", r"Error in regexp `(a)\1` (portion `\1`): invalid escape sequence: \1"),
            ("\\", "Error in regexp `\\` (portion ``): trailing \\ at end of regexp"),
        ] {
            assert_eq!(compile(expression).unwrap_err().message, message);
        }
    }
}
