//! RE2's regular expressions, on the `regex` crate: both match in linear time and mean nearly the same.
//!
//! What differs is translated: RE2's `\d`, `\s`, `\w` and `\b` know ASCII only, its classes have no set operations, it
//! knows octal escapes and `\Q..\E`, and fewer flags and names of properties. An expression is read as RE2 reads it, so that
//! the first fault is found where RE2 finds it. The matcher works on bytes so that `\B` may mean what it does there.

mod build;
mod names;

use std::cell::RefCell;
use std::rc::Rc;
use std::str::Chars;

use regex::bytes::Regex;

use crate::error::{Error, Result};
use crate::limits::{PATTERN_BYTES_MAX, PATTERN_PROPERTIES_MAX};
use names::{CATEGORIES, POSIX_CLASSES, SCRIPTS};

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
        if expression.len() > PATTERN_BYTES_MAX {
            return Err(bare_fault(expression, TOO_LARGE));
        }
        let translation = translate(expression)?;
        let built = build::build(&translation.out, translation.deepest)
            .map_err(|error| Error::resource(format!("No pattern can be compiled now: {error}")))?;
        let regex = built.map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => bare_fault(expression, TOO_LARGE),
            other => fault(expression, expression, &last_line(&other.to_string())),
        })?;
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

/// The same of a fault that lies in no part of the expression.
fn bare_fault(expression: &str, what: &str) -> Error {
    Error::logic(format!("Error in regexp `{expression}` (portion ``): {what}"))
}

/// The crate explains in several lines, the last of which says what is wrong.
fn last_line(text: &str) -> String {
    text.lines().last().unwrap_or_default().trim().trim_start_matches("error: ").to_owned()
}

/// The same expression in the crate's language, or RE2's complaint about what it does not accept.
fn translate(expression: &str) -> Result<Translation<'_>> {
    let mut translation = Translation {
        whole: expression,
        rest: expression,
        out: String::new(),
        last_name: expression.rfind(":]"),
        deepest: 0,
        properties: 0,
    };
    let mut depth = 0usize;
    let mut repeatable = false;
    while let Some(next) = translation.rest.chars().next() {
        match next {
            '\\' => {
                translation.escape()?;
                repeatable = true;
            }
            '[' => {
                translation.class()?;
                repeatable = true;
            }
            '(' => {
                if translation.group_head()? {
                    depth += 1;
                    translation.deepest = translation.deepest.max(depth);
                    repeatable = false;
                }
            }
            ')' => {
                depth = depth.checked_sub(1).ok_or_else(|| fault(expression, expression, MISSING_PAREN))?;
                translation.copy(1);
                repeatable = true;
            }
            '*' | '+' | '?' | '{' => match Repetition::read(translation.rest) {
                Some(repetition) => {
                    let start = translation.rest;
                    let shown = &start[..repetition.length];
                    if !repetition.fits {
                        return Err(fault(expression, shown, "invalid repetition size"));
                    }
                    if !repeatable {
                        return Err(fault(expression, shown, "no argument for repetition operator"));
                    }
                    translation.copy(repetition.length);
                    if let Some(another) = Repetition::read(translation.rest) {
                        let both = &start[..repetition.length + another.length];
                        return Err(fault(expression, both, "bad repetition operator"));
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
        return Err(fault(expression, expression, MISSING_PAREN));
    }
    Ok(translation)
}

const TOO_LARGE: &str = "pattern too large - compile failed";
const MISSING_PAREN: &str = "missing )";
const BAD_RANGE: &str = "invalid character class range";

/// A class without members; also inside another class.
const NOTHING: &str = r"[^\x{0}-\x{10ffff}]";

/// The most that a count in braces may ask for.
const REPEATS_MAX: u32 = 1000;

/// The digits that a number in braces may have.
const COUNT_DIGITS_MAX: usize = 9;

/// An operator that repeats what is before it.
struct Repetition {
    /// A question mark behind makes it lazy, and is part of it.
    length: usize,
    /// Whether its count is one that RE2 takes.
    fits: bool,
}

impl Repetition {
    /// That at the beginning of a text, if there is one.
    fn read(text: &str) -> Option<Repetition> {
        let (length, fits) = match text.as_bytes().first()? {
            b'*' | b'+' | b'?' => (1, true),
            b'{' => counted(text)?,
            _ => return None,
        };
        Some(Repetition { length: length + usize::from(text[length..].starts_with('?')), fits })
    }
}

/// The length of a count in braces (`{2}`, `{2,}`, `{2,5}`) at the beginning of a text, if there is one, and whether it fits.
fn counted(text: &str) -> Option<(usize, bool)> {
    // Two numbers and what is around them: who looks on looks at all the rest behind each brace.
    let end = text.bytes().take(2 * COUNT_DIGITS_MAX + 3).position(|byte| byte == b'}')?;
    let (least, most) = match text[1..end].split_once(',') {
        Some((least, "")) => (count(least)?, None),
        Some((least, most)) => (count(least)?, Some(count(most)?)),
        None => {
            let exactly = count(&text[1..end])?;
            (exactly, Some(exactly))
        }
    };
    let fits = least <= REPEATS_MAX && most.is_none_or(|most| (least..=REPEATS_MAX).contains(&most));
    Some((end + 1, fits))
}

/// A number without leading zeros. One of more digits is none, as in RE2.
fn count(digits: &str) -> Option<u32> {
    let plain = digits.len() <= COUNT_DIGITS_MAX && digits.bytes().all(|byte| byte.is_ascii_digit());
    if plain && (digits == "0" || !digits.starts_with('0')) { digits.parse().ok() } else { None }
}

/// What a class of Perl's at the beginning of a text stands for; it fits inside another class too.
fn perl_class(text: &str) -> Option<&'static str> {
    Some(match text.as_bytes() {
        [b'\\', b'd', ..] => "[0-9]",
        [b'\\', b'D', ..] => "[^0-9]",
        [b'\\', b's', ..] => r"[\t\n\f\r ]",
        [b'\\', b'S', ..] => r"[^\t\n\f\r ]",
        [b'\\', b'w', ..] => "[0-9A-Za-z_]",
        [b'\\', b'W', ..] => "[^0-9A-Za-z_]",
        _ => return None,
    })
}

struct Translation<'a> {
    whole: &'a str,
    rest: &'a str,
    out: String,
    /// Where the last `:]` stands, behind which no class is looked for by its name.
    last_name: Option<usize>,
    /// How deep groups are nested.
    deepest: usize,
    /// How many properties were asked for.
    properties: usize,
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

    /// A parenthesis and what it is about; says whether a group is open now. Flags alone open none.
    fn group_head(&mut self) -> Result<bool> {
        let rest = self.rest;
        if !rest.starts_with("(?") {
            self.copy(1);
            return Ok(true);
        }
        if rest.starts_with("(?P<") && rest.len() > 4 {
            let name = rest[4..].split_once('>').map(|(name, _)| name);
            let shown = name.map_or(rest, |name| &rest[..name.len() + 5]);
            let fits = |byte: u8| byte == b'_' || byte.is_ascii_alphanumeric();
            if !name.is_some_and(|name| !name.is_empty() && name.bytes().all(fits)) {
                return Err(fault(self.whole, shown, "invalid named capture group"));
            }
            // Nobody asks for the name, and RE2 allows one twice.
            self.replace(shown.len(), "(");
            return Ok(true);
        }
        let (mut on, mut off) = (String::new(), String::new());
        let (mut negated, mut complete) = (false, true);
        for (at, next) in rest.char_indices().skip(2) {
            let end = at + next.len_utf8();
            match next {
                'i' | 'm' | 's' | 'U' => {
                    on.retain(|flag| flag != next);
                    off.retain(|flag| flag != next);
                    (if negated { &mut off } else { &mut on }).push(next);
                    complete = true;
                }
                '-' if !negated => (negated, complete) = (true, false),
                ':' | ')' if complete => {
                    if !off.is_empty() {
                        on.push('-');
                    }
                    // The crate takes no empty list of flags.
                    let head = if &rest[..end] == "(?)" { String::new() } else { format!("(?{on}{off}{next}") };
                    self.replace(end, &head);
                    return Ok(next == ':');
                }
                _ => return Err(fault(self.whole, &rest[..end], "invalid perl operator")),
            }
        }
        Err(fault(self.whole, rest, "invalid perl operator"))
    }

    /// A backslash outside of classes, and what it escapes.
    fn escape(&mut self) -> Result<()> {
        match self.rest.as_bytes().get(1) {
            Some(b'b') => self.replace(2, r"(?-u:\b)"),
            Some(b'B') => self.replace(2, r"(?-u:\B)"),
            Some(b'C') => self.replace(2, r"(?s-u:.)"),
            Some(b'A' | b'z') => self.copy(2),
            Some(b'Q') => self.quoted(),
            Some(b'p' | b'P') => self.property()?,
            _ => match perl_class(self.rest) {
                Some(class) => self.replace(2, class),
                None => match char::from_u32(self.escaped_character()?) {
                    Some(literal) => self.out.push_str(&regex::escape(literal.encode_utf8(&mut [0; 4]))),
                    // Half of a surrogate pair is in no text.
                    None => self.out.push_str(NOTHING),
                },
            },
        }
        Ok(())
    }

    /// `\Q..\E`: literally.
    fn quoted(&mut self) {
        let text = &self.rest[2..];
        let (text, rest) = text.split_once(r"\E").unwrap_or((text, ""));
        self.out.push_str(&regex::escape(text));
        self.rest = rest;
    }

    /// Reads a backslash and what it escapes as one character.
    fn escaped_character(&mut self) -> Result<u32> {
        let mut characters = self.rest[1..].chars();
        let code = match characters.next() {
            None => return Err(bare_fault(self.whole, r"trailing \")),
            Some('a') => Some(0x07),
            Some('f') => Some(0x0c),
            Some('t') => Some(0x09),
            Some('n') => Some(0x0a),
            Some('r') => Some(0x0d),
            Some('v') => Some(0x0b),
            Some('x') => match characters.next() {
                Some('{') => {
                    if characters.as_str().is_empty() {
                        return Err(bare_fault(self.whole, "invalid UTF-8"));
                    }
                    braced_hexadecimal(&mut characters)
                }
                first => {
                    let digit = |digit: Option<char>| digit.and_then(|digit| digit.to_digit(16));
                    let second = if first.is_some() { characters.next() } else { None };
                    digit(first).zip(digit(second)).map(|(first, second)| first * 16 + second)
                }
            },
            Some(first @ '0'..='7') => {
                let more = characters.as_str().bytes().take(2).take_while(|byte| matches!(byte, b'0'..=b'7')).count();
                let digits = &self.rest[1..2 + more];
                characters = self.rest[2 + more..].chars();
                // A single digit other than zero would be a back reference, which RE2 does not have.
                if more == 0 && first != '0' { None } else { u32::from_str_radix(digits, 8).ok() }
            }
            Some(other) if other.is_ascii() && !other.is_ascii_alphanumeric() => Some(u32::from(other)),
            Some(_) => None,
        };
        let read = &self.rest[..self.rest.len() - characters.as_str().len()];
        self.rest = characters.as_str();
        code.ok_or_else(|| fault(self.whole, read, "invalid escape sequence"))
    }

    /// `\pL`, `\p{Greek}`: a general category or a script of Unicode, by RE2's names alone.
    fn property(&mut self) -> Result<()> {
        let rest = self.rest;
        let name = match rest[2..].strip_prefix('{') {
            Some(braced) => braced.split_once('}').map(|(name, _)| (name, name.len() + 4)),
            None => {
                let length = rest[2..].chars().next().map_or(0, char::len_utf8);
                Some((&rest[2..2 + length], 2 + length))
            }
        };
        let Some((name, length)) = name else { return Err(fault(self.whole, rest, BAD_RANGE)) };
        let negated = rest.starts_with(r"\P") != name.starts_with('^');
        let letter = if negated { 'P' } else { 'p' };
        let property = match name.strip_prefix('^').unwrap_or(name) {
            "Any" if negated => NOTHING.to_owned(),
            // The crate has no surrogates, for no text has them.
            "Cs" if !negated => NOTHING.to_owned(),
            "Any" | "Cs" => r"\p{any}".to_owned(),
            // To the crate this is what is not assigned, too.
            "C" => format!(r"[{}\p{{Cc}}\p{{Cf}}\p{{Co}}]", if negated { "^" } else { "" }),
            category if CATEGORIES.contains(&category) => format!(r"\{letter}{{{category}}}"),
            script if SCRIPTS.contains(&script) => format!(r"\{letter}{{sc={script}}}"),
            _ => return Err(fault(self.whole, &rest[..length], BAD_RANGE)),
        };
        self.properties += 1;
        if self.properties > PATTERN_PROPERTIES_MAX {
            return Err(bare_fault(self.whole, TOO_LARGE));
        }
        self.replace(length, &property);
        Ok(())
    }

    /// A class in brackets.
    fn class(&mut self) -> Result<()> {
        let start = self.rest;
        self.copy(1);
        if self.rest.starts_with('^') {
            self.copy(1);
        }
        let mut first = true;
        while first || !self.rest.starts_with(']') {
            first = false;
            self.class_item(start)?;
        }
        self.copy(1);
        Ok(())
    }

    /// A part of the class that begins with `start`: a class by name, a character, or a range of them.
    fn class_item(&mut self, start: &str) -> Result<()> {
        let rest = self.rest;
        if rest.starts_with("[:")
            && self.last_name.is_some_and(|last| last >= self.whole.len() - rest.len())
            && let Some((name, _)) = rest[2..].split_once(":]")
        {
            if !POSIX_CLASSES.contains(&name.strip_prefix('^').unwrap_or(name)) {
                return Err(fault(self.whole, &rest[..name.len() + 4], BAD_RANGE));
            }
            self.copy(name.len() + 4);
            return Ok(());
        }
        if rest.len() > 2 && (rest.starts_with(r"\p") || rest.starts_with(r"\P")) {
            return self.property();
        }
        if let Some(class) = perl_class(rest) {
            self.replace(2, class);
            return Ok(());
        }
        let low = self.class_character(start)?;
        let high = match self.rest.as_bytes() {
            [b'-', behind, ..] if *behind != b']' => {
                self.rest = &self.rest[1..];
                self.class_character(start)?
            }
            _ => low,
        };
        if high < low {
            return Err(fault(self.whole, &rest[..rest.len() - self.rest.len()], BAD_RANGE));
        }
        self.out.push_str(&range(low, high));
        Ok(())
    }

    fn class_character(&mut self, start: &str) -> Result<u32> {
        let Some(next) = self.rest.chars().next() else { return Err(fault(self.whole, start, "missing ]")) };
        if next == '\\' {
            return self.escaped_character();
        }
        self.rest = &self.rest[next.len_utf8()..];
        Ok(u32::from(next))
    }
}

/// The digits of `\x{..}`, up to and with the brace, or to where they turn out to be no character.
fn braced_hexadecimal(characters: &mut Chars<'_>) -> Option<u32> {
    let mut code = None;
    for next in characters.by_ref() {
        if next == '}' {
            return code;
        }
        let digit = next.to_digit(16)?;
        let longer = code.unwrap_or(0) * 16 + digit;
        if longer > u32::from(char::MAX) {
            return None;
        }
        code = Some(longer);
    }
    None
}

/// A range inside a class, less the surrogates, which the crate does not know.
fn range(low: u32, high: u32) -> String {
    let low = if char::from_u32(low).is_some() { low } else { 0xe000 };
    let high = if char::from_u32(high).is_some() { high } else { 0xd7ff };
    if low > high { NOTHING.to_owned() } else { format!(r"\x{{{low:x}}}-\x{{{high:x}}}") }
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
            (r"a{01}", "a{01}", Some("a{01}")),
            (r"[\w-\.]+@", "joe-x.y@z", Some("joe-x.y@")),
            (r"[\s-a]+", "B-a", Some("-a")),
            (r"[%--]+", "x&-", Some("&-")),
            (r"[[:alpha:]-]+", "1a-z", Some("a-z")),
            (r"[\]\-\[]+", "a[-]", Some("[-]")),
            (r"[^\D]+", "a12", Some("12")),
            (r"\_\ \/", "_ /", Some("_ /")),
            (r"[\x41-\x{43}\104]+", "xABCD", Some("ABCD")),
            (r"\pN\p{^Greek}\P{Lu}", "α1ab", Some("1ab")),
            (r"[\p{Han}\d]+", "a漢1", Some("漢1")),
            (r"\x{d800}|a", "a", Some("a")),
            (r"(?P<n>a)(?P<n>b)", "ab", Some("ab")),
            (r"(?)(?i-i)(?ii)A(?-i:b)", "Abab", Some("Ab")),
            (r"(?sU)a.+", "a\nb", Some("a\n")),
            (r"\p{C}|b", "\u{378}b", Some("b")),
            (r"a(?:{){1,2}b{1234567890,1}{", "a{{b{1234567890,1}{", Some("a{{b{1234567890,1}{")),
            (r"x", "y", None),
        ] {
            let regex = compile(expression).unwrap();
            let hit = regex.find(text.as_bytes()).map(|hit| String::from_utf8_lossy(hit.as_bytes()).into_owned());
            assert_eq!(hit.as_deref(), found, "{expression} in {text}");
        }
    }

    #[test]
    fn deeply_nested_groups_take_little_of_the_stack() {
        let compiled = || {
            let nested = |depth: usize| format!("{}x{}", "(a|b".repeat(depth), ")*".repeat(depth));
            [1, 12, 13, 400].map(|depth| compile(&nested(depth)).is_ok())
        };
        let thread = std::thread::Builder::new().stack_size(192 * 1024).spawn(compiled).unwrap();
        assert_eq!(thread.join().unwrap(), [true; 4]);
    }

    #[test]
    fn what_would_take_much_memory_is_too_large() {
        for expression in ["a".repeat(PATTERN_BYTES_MAX + 1), r"\pL".repeat(PATTERN_PROPERTIES_MAX + 1)] {
            let message = compile(&expression).unwrap_err().message;
            assert!(message.ends_with("(portion ``): pattern too large - compile failed"));
        }
    }

    #[test]
    fn faults_in_re2s_words() {
        for (expression, message) in [
            ("[", "Error in regexp `[` (portion `[`): missing ]: ["),
            ("a[b", "Error in regexp `a[b` (portion `[b`): missing ]: [b"),
            ("(", "Error in regexp `(` (portion `(`): missing ): ("),
            ("a)", "Error in regexp `a)` (portion `a)`): missing ): a)"),
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
            ("\\", "Error in regexp `\\` (portion ``): trailing \\"),
            (r"[a\", r"Error in regexp `[a\` (portion ``): trailing \"),
            ("a{1001}", "Error in regexp `a{1001}` (portion `{1001}`): invalid repetition size: {1001}"),
            ("a{5,2}?", "Error in regexp `a{5,2}?` (portion `{5,2}?`): invalid repetition size: {5,2}?"),
            ("(?x)a b", "Error in regexp `(?x)a b` (portion `(?x`): invalid perl operator: (?x"),
            ("(?<n>a)", "Error in regexp `(?<n>a)` (portion `(?<`): invalid perl operator: (?<"),
            ("(?P=n)", "Error in regexp `(?P=n)` (portion `(?P`): invalid perl operator: (?P"),
            ("(?i-)a", "Error in regexp `(?i-)a` (portion `(?i-)`): invalid perl operator: (?i-)"),
            ("(?i", "Error in regexp `(?i` (portion `(?i`): invalid perl operator: (?i"),
            ("(?P<n", "Error in regexp `(?P<n` (portion `(?P<n`): invalid named capture group: (?P<n"),
            ("(?P<a-b>c)", "Error in regexp `(?P<a-b>c)` (portion `(?P<a-b>`): invalid named capture group: (?P<a-b>"),
            ("[z-a]", "Error in regexp `[z-a]` (portion `z-a`): invalid character class range: z-a"),
            (r"[a-\d]", r"Error in regexp `[a-\d]` (portion `\d`): invalid escape sequence: \d"),
            ("[[:foo:]]", "Error in regexp `[[:foo:]]` (portion `[:foo:]`): invalid character class range: [:foo:]"),
            (
                r"\p{greek}",
                r"Error in regexp `\p{greek}` (portion `\p{greek}`): invalid character class range: \p{greek}",
            ),
            (r"a\p{Gr", r"Error in regexp `a\p{Gr` (portion `\p{Gr`): invalid character class range: \p{Gr"),
            (r"\é", r"Error in regexp `\é` (portion `\é`): invalid escape sequence: \é"),
            (r"\x4g1", r"Error in regexp `\x4g1` (portion `\x4g`): invalid escape sequence: \x4g"),
            (r"\x{110000}", r"Error in regexp `\x{110000}` (portion `\x{110000`): invalid escape sequence: \x{110000"),
            (r"\x{}", r"Error in regexp `\x{}` (portion `\x{}`): invalid escape sequence: \x{}"),
            (
                "((a{1000}){1000}){1000}",
                "Error in regexp `((a{1000}){1000}){1000}` (portion ``): pattern too large - compile failed",
            ),
        ] {
            assert_eq!(compile(expression).unwrap_err().message, message);
        }
    }
}
