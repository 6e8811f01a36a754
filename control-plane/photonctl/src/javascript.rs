//! ReQL as one writes it in JavaScript: `r.table("t").filter(x => x("a").gt(1))`. One expression becomes a term as the driver
//! protocol has it. It is read, not run: names are those of ReQL, the parameters of functions, and nothing else.

mod parse;
mod token;
mod vocabulary;

use std::fmt;

use serde_json::Value;

pub use vocabulary::names;

/// The term that an expression stands for.
pub fn term(text: &str) -> Result<Value, SyntaxError> {
    let tokens = token::tokens(text).map_err(|fault| SyntaxError::new(text, fault))?;
    parse::Parser::new(tokens).whole().map_err(|fault| SyntaxError::new(text, fault))
}

/// Whether there is nothing but comments.
pub fn is_blank(text: &str) -> bool {
    token::tokens(text).is_ok_and(|tokens| tokens.iter().all(|placed| placed.token == token::Token::End))
}

/// Where a text stops being an expression, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fault {
    /// In bytes from its beginning.
    at: usize,
    message: String,
    /// Whether more text could make it one.
    is_unfinished: bool,
}

impl Fault {
    fn new(at: usize, message: impl Into<String>) -> Fault {
        Fault { at, message: message.into(), is_unfinished: false }
    }

    fn unfinished(at: usize, message: impl Into<String>) -> Fault {
        Fault { is_unfinished: true, ..Fault::new(at, message) }
    }
}

/// A text that is no expression, with the place that shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    line: usize,
    column: usize,
    /// The line itself.
    shown: String,
    message: String,
    is_unfinished: bool,
}

impl SyntaxError {
    fn new(text: &str, fault: Fault) -> SyntaxError {
        let before = &text[..fault.at];
        let start = before.rfind('\n').map_or(0, |end| end + 1);
        SyntaxError {
            line: before.matches('\n').count() + 1,
            column: before[start..].chars().count() + 1,
            shown: text[start..].lines().next().unwrap_or_default().to_owned(),
            message: fault.message,
            is_unfinished: fault.is_unfinished,
        }
    }

    /// Whether it may become an expression when more is written behind it.
    pub fn is_unfinished(&self) -> bool {
        self.is_unfinished
    }
}

impl std::error::Error for SyntaxError {}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SyntaxError { line, column, shown, message, .. } = self;
        writeln!(f, "line {line}, column {column}: {message}")?;
        write!(f, "    {shown}\n    {:>column$}", "^")
    }
}

#[cfg(test)]
mod tests;
