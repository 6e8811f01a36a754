//! The words of an expression.

use super::Fault;

/// A word.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Name(String),
    Number(f64),
    Text(String),
    Mark(&'static str),
    /// Behind the last one.
    End,
}

/// A word and where it begins, in bytes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Placed {
    pub at: usize,
    pub token: Token,
}

/// Longer ones first, so that none hides behind its own beginning. Those that mean nothing here are known to be named in an error.
const MARKS: [&str; 34] = [
    "===", "!==", "...", "=>", "==", "!=", "<=", ">=", "&&", "||", "??", "++", "--", "?.", "(", ")", "[", "]", "{",
    "}", ",", ":", ";", ".", "+", "-", "*", "/", "%", "=", "<", ">", "!", "?",
];

/// All words of a text, and `End` behind them.
pub(super) fn tokens(text: &str) -> Result<Vec<Placed>, Fault> {
    let mut lexer = Lexer { text, at: 0 };
    let mut tokens = Vec::new();
    loop {
        lexer.skip_blank()?;
        let at = lexer.at;
        let token = lexer.token()?;
        let is_end = token == Token::End;
        tokens.push(Placed { at, token });
        if is_end {
            return Ok(tokens);
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn take_while(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|letter| !belongs(letter)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    /// Spaces and comments.
    fn skip_blank(&mut self) -> Result<(), Fault> {
        loop {
            self.take_while(char::is_whitespace);
            if self.rest().starts_with("//") {
                self.take_while(|letter| letter != '\n');
            } else if self.rest().starts_with("/*") {
                let end =
                    self.rest().find("*/").ok_or_else(|| Fault::unfinished(self.at, "this comment has no end"))?;
                self.at += end + 2;
            } else {
                return Ok(());
            }
        }
    }

    fn token(&mut self) -> Result<Token, Fault> {
        let Some(first) = self.rest().chars().next() else { return Ok(Token::End) };
        if first.is_alphabetic() || first == '_' || first == '$' {
            let name = self.take_while(|letter| letter.is_alphanumeric() || letter == '_' || letter == '$');
            return Ok(Token::Name(name.to_owned()));
        }
        let second_is_digit = self.rest().chars().nth(1).is_some_and(|letter| letter.is_ascii_digit());
        if first.is_ascii_digit() || (first == '.' && second_is_digit) {
            return self.number();
        }
        if matches!(first, '"' | '\'' | '`') {
            return self.quoted(first);
        }
        if let Some(mark) = MARKS.into_iter().find(|mark| self.rest().starts_with(mark)) {
            self.at += mark.len();
            return Ok(Token::Mark(mark));
        }
        Err(Fault::new(self.at, format!("`{first}` means nothing here")))
    }

    fn number(&mut self) -> Result<Token, Fault> {
        let start = self.at;
        if let Some(digits) = self.rest().strip_prefix("0x").or_else(|| self.rest().strip_prefix("0X")) {
            let end = digits.find(|letter: char| !letter.is_ascii_hexdigit()).unwrap_or(digits.len());
            let value = u32::from_str_radix(&digits[..end], 16);
            self.at += 2 + end;
            return value.map(|value| Token::Number(value.into())).map_err(|_| bad_number(start));
        }
        self.take_while(|letter| letter.is_ascii_digit());
        if self.rest().starts_with('.') {
            self.at += 1;
            self.take_while(|letter| letter.is_ascii_digit());
        }
        if self.rest().starts_with(['e', 'E']) {
            self.at += 1;
            if self.rest().starts_with(['+', '-']) {
                self.at += 1;
            }
            self.take_while(|letter| letter.is_ascii_digit());
        }
        let number = self.text[start..self.at].parse::<f64>().ok().filter(|number| number.is_finite());
        let runs_on = self.rest().starts_with(|letter: char| letter.is_alphanumeric() || letter == '_');
        number.filter(|_| !runs_on).map(Token::Number).ok_or_else(|| bad_number(start))
    }

    fn quoted(&mut self, quote: char) -> Result<Token, Fault> {
        let start = self.at;
        let mut text = String::new();
        self.at += 1;
        loop {
            let at = self.at;
            let Some(letter) = self.rest().chars().next() else {
                let fault = format!("this text has no closing {quote}");
                return Err(Fault { is_unfinished: quote == '`', ..Fault::new(start, fault) });
            };
            self.at += letter.len_utf8();
            match letter {
                letter if letter == quote => return Ok(Token::Text(text)),
                '\n' if quote != '`' => return Err(Fault::new(start, format!("this text has no closing {quote}"))),
                '$' if quote == '`' && self.rest().starts_with('{') => {
                    return Err(Fault::new(at, "`${..}` is not put in; use `.add(..)`, or `r.format(..)`"));
                }
                '\\' => text.extend(self.escape(at)?),
                letter => text.push(letter),
            }
        }
    }

    /// What stands behind a backslash; `None`: a line that goes on.
    fn escape(&mut self, at: usize) -> Result<Option<char>, Fault> {
        let bad = || Fault::new(at, "this escape is not known; write a backslash as `\\\\`");
        let letter = self.rest().chars().next().ok_or_else(bad)?;
        self.at += letter.len_utf8();
        Ok(Some(match letter {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'v' => '\u{b}',
            '0' => '\0',
            '\n' => return Ok(None),
            'x' => char::from_u32(self.hexadecimal(2).ok_or_else(bad)?).ok_or_else(bad)?,
            'u' => self.unicode().ok_or_else(bad)?,
            letter if letter.is_alphanumeric() => return Err(bad()),
            letter => letter,
        }))
    }

    /// `XXXX`, a pair of them that makes one letter, or `{X..}`.
    fn unicode(&mut self) -> Option<char> {
        if let Some(rest) = self.rest().strip_prefix('{') {
            let digits = &rest[..rest.find('}')?];
            self.at += digits.len() + 2;
            return char::from_u32(u32::from_str_radix(digits, 16).ok()?);
        }
        let first = self.hexadecimal(4)?;
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first);
        }
        self.at += self.rest().starts_with("\\u").then_some(2)?;
        let second = self.hexadecimal(4).filter(|second| (0xdc00..0xe000).contains(second))?;
        char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00))
    }

    fn hexadecimal(&mut self, count: usize) -> Option<u32> {
        let digits = self.rest().get(..count)?;
        let value = digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u32::from_str_radix(digits, 16))?;
        self.at += count;
        value.ok()
    }
}

fn bad_number(at: usize) -> Fault {
    Fault::new(at, "this is no number")
}
