//! Words to a term.

mod primary;

use photondb_reql::term::TermKind;
use serde_json::{Map, Value};

use super::Fault;
use super::token::{Placed, Token};
use super::vocabulary::{kind, nearest, option_name, options_after, takes_function};
use crate::limits::{EXPRESSION_CHAIN_MAX, EXPRESSION_NESTING_MAX};
use crate::term::{call_with as call, function};

pub(super) struct Parser {
    tokens: Vec<Placed>,
    next: usize,
    /// The parameters of the functions around, the innermost last, and their numbers.
    parameters: Vec<(String, u64)>,
    /// Numbers are given once.
    last_variable: u64,
    depth: usize,
}

/// A part of an expression.
struct Operand {
    at: usize,
    what: What,
}

enum What {
    /// The name `r` itself.
    R,
    /// A number that is written out, which can be reckoned with here.
    Number(f64),
    /// An object that is written out: a value, or options.
    Object(Map<String, Value>),
    Term(Value),
}

impl Parser {
    /// `tokens` end with [`Token::End`].
    pub fn new(tokens: Vec<Placed>) -> Parser {
        Parser { tokens, next: 0, parameters: Vec::new(), last_variable: 0, depth: 0 }
    }

    /// One expression and nothing behind it.
    pub fn whole(mut self) -> Result<Value, Fault> {
        let term = self.expression()?.into_term()?;
        while self.take(";") {}
        match self.peek() {
            Token::End => Ok(term),
            Token::Mark("=") => Err(self.fault("nothing can be assigned here; write one expression")),
            _ => Err(self.fault("the expression ends before this; write one at a time")),
        }
    }

    fn peek(&self) -> &Token {
        &self.tokens[self.next].token
    }

    fn peek_behind(&self, count: usize) -> &Token {
        self.tokens.get(self.next + count).map_or(&Token::End, |placed| &placed.token)
    }

    fn at(&self) -> usize {
        self.tokens[self.next].at
    }

    /// Goes on; never past the end.
    fn advance(&mut self) -> Token {
        let token = self.peek().clone();
        self.next = (self.next + 1).min(self.tokens.len() - 1);
        token
    }

    fn take(&mut self, mark: &'static str) -> bool {
        let found = *self.peek() == Token::Mark(mark);
        if found {
            self.advance();
        }
        found
    }

    fn expect(&mut self, mark: &'static str) -> Result<(), Fault> {
        if self.take(mark) { Ok(()) } else { Err(self.fault(format!("`{mark}` is missing here"))) }
    }

    /// At the next word; at the end more text may be what is missing.
    fn fault(&self, message: impl Into<String>) -> Fault {
        Fault { is_unfinished: *self.peek() == Token::End, ..Fault::new(self.at(), message) }
    }

    fn expression(&mut self) -> Result<Operand, Fault> {
        self.depth += 1;
        if self.depth > EXPRESSION_NESTING_MAX {
            return Err(Fault::new(
                self.at(),
                format!("more than {EXPRESSION_NESTING_MAX} levels of brackets and functions"),
            ));
        }
        let found = self.sum();
        self.depth -= 1;
        found
    }

    fn sum(&mut self) -> Result<Operand, Fault> {
        let mut left = self.product()?;
        while let Token::Mark(mark @ ("+" | "-")) = *self.peek() {
            left = self.reckon(left, mark, Parser::product)?;
        }
        match *self.peek() {
            Token::Mark(mark) => match meant(mark) {
                Some(method) => Err(self.fault(format!("`{mark}` is not known to the database; write `{method}`"))),
                None => Ok(left),
            },
            _ => Ok(left),
        }
    }

    fn product(&mut self) -> Result<Operand, Fault> {
        let mut left = self.unary()?;
        while let Token::Mark(mark @ ("*" | "/" | "%")) = *self.peek() {
            left = self.reckon(left, mark, Parser::unary)?;
        }
        Ok(left)
    }

    /// Numbers that are written out are reckoned with at once: `60 * 60`.
    fn reckon(
        &mut self,
        left: Operand,
        mark: &'static str,
        right: impl Fn(&mut Parser) -> Result<Operand, Fault>,
    ) -> Result<Operand, Fault> {
        let at = self.at();
        self.advance();
        let right = right(self)?;
        let (What::Number(a), What::Number(b)) = (&left.what, &right.what) else {
            let (term, method) = (meant_by_number(mark), "a number that is written out on each side");
            return Err(Fault::new(at, format!("`{mark}` needs {method}; with anything else write `{term}`")));
        };
        let number = match mark {
            "+" => a + b,
            "-" => a - b,
            "*" => a * b,
            "/" => a / b,
            _ => a % b,
        };
        if !number.is_finite() {
            return Err(Fault::new(at, "the result is no number"));
        }
        Ok(Operand { at: left.at, what: What::Number(number) })
    }

    fn unary(&mut self) -> Result<Operand, Fault> {
        let at = self.at();
        if self.take("-") {
            return match self.postfix()?.what {
                What::Number(number) => Ok(Operand { at, what: What::Number(-number) }),
                _ => Err(Fault::new(at, "`-` needs a number that is written out; with anything else write `.mul(-1)`")),
            };
        }
        if *self.peek() == Token::Mark("!") {
            return Err(self.fault("`!` is not known to the database; write `.not()` behind the value"));
        }
        self.postfix()
    }

    fn postfix(&mut self) -> Result<Operand, Fault> {
        let mut operand = self.primary()?;
        for _ in 0..EXPRESSION_CHAIN_MAX {
            let at = self.at();
            operand = match *self.peek() {
                Token::Mark(".") => {
                    self.advance();
                    self.member(operand)?
                }
                Token::Mark("(") => {
                    let mut arguments = self.arguments()?;
                    let argument = match (arguments.pop(), arguments.is_empty()) {
                        (Some(argument), true) => argument.into_term()?,
                        _ => return Err(Fault::new(at, "exactly one value stands in these parentheses")),
                    };
                    let what = match operand.what {
                        What::R => argument,
                        _ => call(TermKind::Bracket, vec![operand.into_term()?, argument], Map::new()),
                    };
                    Operand { at, what: What::Term(what) }
                }
                Token::Mark("[") => {
                    return Err(self.fault("a field or element is taken with parentheses: `x(\"name\")`, `x(0)`"));
                }
                _ => return Ok(operand),
            };
        }
        Err(Fault::new(self.at(), format!("more than {EXPRESSION_CHAIN_MAX} methods behind each other")))
    }

    /// What stands behind the dot.
    fn member(&mut self, base: Operand) -> Result<Operand, Fault> {
        let at = self.at();
        let Token::Name(name) = self.peek().clone() else { return Err(self.fault("a name is missing behind the dot")) };
        self.advance();
        let is_called = *self.peek() == Token::Mark("(");
        let is_r = matches!(base.what, What::R);
        let what = match (name.as_str(), is_called) {
            ("row", _) if is_r => call(TermKind::ImplicitVar, Vec::new(), Map::new()),
            ("expr", true) if is_r => {
                let mut arguments = self.arguments()?;
                match (arguments.pop(), arguments.is_empty()) {
                    (Some(argument), true) => argument.into_term()?,
                    _ => return Err(Fault::new(at, "`expr` takes exactly one value")),
                }
            }
            ("do", true) => self.function_call(base, at)?,
            ("run", true) => return Err(Fault::new(at, "it runs by itself; leave `.run(..)` out")),
            (name, _) => {
                let kind = kind(name).ok_or_else(|| unknown(at, name))?;
                if is_r && kind.is_constant() && !is_called {
                    call(kind, Vec::new(), Map::new())
                } else if is_called {
                    self.method(kind, base)?
                } else {
                    // More text could bring them, but whoever has written this thinks to be done.
                    return Err(Fault::new(at, format!("`{name}` needs parentheses: `{name}()`")));
                }
            }
        };
        Ok(Operand { at, what: What::Term(what) })
    }

    fn method(&mut self, kind: TermKind, base: Operand) -> Result<Value, Fault> {
        let mut arguments = match base.what {
            What::R => Vec::new(),
            _ => vec![base],
        };
        arguments.extend(self.arguments()?);
        let mut options = Map::new();
        let has_options = options_after(kind).is_some_and(|least| arguments.len() > least);
        if let Some(Operand { what: What::Object(_), .. }) = arguments.last()
            && has_options
            && let Some(Operand { what: What::Object(given), .. }) = arguments.pop()
        {
            options = given.into_iter().map(|(name, value)| (option_name(&name), value)).collect();
        }
        let first = usize::from(!matches!(kind, TermKind::Asc | TermKind::Desc));
        let mut terms = Vec::with_capacity(arguments.len());
        for (position, argument) in arguments.into_iter().enumerate() {
            let term = argument.into_term()?;
            let wraps = takes_function(kind) && position >= first;
            terms.push(if wraps { self.function_of_row(term) } else { term });
        }
        Ok(call(kind, terms, options))
    }

    /// `r.do(a, b, function)`, `a.do(function)`: the function comes first in the protocol.
    fn function_call(&mut self, base: Operand, at: usize) -> Result<Value, Fault> {
        let mut arguments = match base.what {
            What::R => Vec::new(),
            _ => vec![base.into_term()?],
        };
        for argument in self.arguments()? {
            arguments.push(argument.into_term()?);
        }
        let function = arguments.pop().ok_or_else(|| Fault::new(at, "`do` needs a function as its last argument"))?;
        let function = self.function_of_row(function);
        arguments.insert(0, function);
        Ok(call(TermKind::Funcall, arguments, Map::new()))
    }

    /// What is said of `r.row` is said of the one parameter of a function around it.
    fn function_of_row(&mut self, term: Value) -> Value {
        if !names_row(&term) {
            return term;
        }
        self.last_variable += 1;
        function(&[self.last_variable], term)
    }

    fn arguments(&mut self) -> Result<Vec<Operand>, Fault> {
        self.expect("(")?;
        let mut arguments = Vec::new();
        while !self.take(")") {
            arguments.push(self.expression()?);
            if *self.peek() != Token::Mark(")") && !self.take(",") {
                return Err(self.fault("`,` or `)` is missing here"));
            }
        }
        Ok(arguments)
    }
}

impl Operand {
    fn into_term(self) -> Result<Value, Fault> {
        match self.what {
            What::R => Err(Fault::new(self.at, "`r` alone is no value; a query begins as in `r.table(\"name\")`")),
            What::Number(number) => Ok(number_value(number)),
            What::Object(fields) => Ok(Value::Object(fields)),
            What::Term(term) => Ok(term),
        }
    }
}

/// Whether `r.row` stands in it, outside of functions: theirs is another row.
fn names_row(term: &Value) -> bool {
    match term {
        Value::Array(parts) => {
            match parts.first().and_then(Value::as_u64).and_then(|number| u16::try_from(number).ok()) {
                Some(number) if number == TermKind::ImplicitVar.number() => true,
                Some(number) if number == TermKind::Func.number() => false,
                _ => {
                    let arguments =
                        parts.get(1).and_then(Value::as_array).is_some_and(|terms| terms.iter().any(names_row));
                    arguments || parts.get(2).is_some_and(names_row)
                }
            }
        }
        Value::Object(fields) => fields.values().any(names_row),
        _ => false,
    }
}

/// Whole numbers without a point, as far as they are exact.
fn number_value(number: f64) -> Value {
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() <= EXACT_MAX {
        // Exact: checked in the line above.
        return Value::from(number as i64);
    }
    Value::from(number)
}

fn meant_by_number(mark: &str) -> &'static str {
    match mark {
        "+" => ".add(..)",
        "-" => ".sub(..)",
        "*" => ".mul(..)",
        "/" => ".div(..)",
        _ => ".mod(..)",
    }
}

/// The method for an operator that only JavaScript knows.
fn meant(mark: &str) -> Option<&'static str> {
    Some(match mark {
        "==" | "===" => ".eq(..)",
        "!=" | "!==" => ".ne(..)",
        "<" => ".lt(..)",
        "<=" => ".le(..)",
        ">" => ".gt(..)",
        ">=" => ".ge(..)",
        "&&" => ".and(..)",
        "||" => ".or(..)",
        "??" => ".default(..)",
        "?" => "r.branch(..)",
        _ => return None,
    })
}

fn unknown(at: usize, name: &str) -> Fault {
    let hint = match name {
        "toArray" | "each" | "next" | "then" | "catch" | "finally" => "; results are printed by themselves".to_owned(),
        name => nearest(name).map(|known| format!("; did you mean `{known}`?")).unwrap_or_default(),
    };
    Fault::new(at, format!("`{name}` is not known{hint}"))
}
