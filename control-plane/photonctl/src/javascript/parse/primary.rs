//! What stands by itself: constants, lists, objects, names and functions.

use photondb_reql::term::TermKind;
use serde_json::{Map, Value};

use super::{Operand, Parser, What, number_value};
use crate::javascript::Fault;
use crate::javascript::token::Token;
use crate::javascript::vocabulary::kind;
use crate::term::{array, call, function};

impl Parser {
    pub(super) fn primary(&mut self) -> Result<Operand, Fault> {
        let at = self.at();
        let what = match self.peek().clone() {
            Token::Number(number) => {
                self.advance();
                What::Number(number)
            }
            Token::Text(text) => {
                self.advance();
                What::Term(Value::from(text))
            }
            Token::Name(name) => self.named(&name)?,
            Token::Mark("(") if self.is_head() => What::Term(self.arrow()?),
            Token::Mark("(") => {
                self.advance();
                let inner = self.expression()?;
                self.expect(")")?;
                return Ok(inner);
            }
            Token::Mark("[") => {
                self.advance();
                let mut items = Vec::new();
                while !self.take("]") {
                    items.push(self.expression()?.into_term()?);
                    if *self.peek() != Token::Mark("]") && !self.take(",") {
                        return Err(self.fault("`,` or `]` is missing here"));
                    }
                }
                What::Term(array(items))
            }
            Token::Mark("{") => What::Object(self.fields()?),
            Token::End => return Err(Fault::unfinished(at, "a value is missing here")),
            Token::Mark(mark) => return Err(self.fault(format!("a value is missing before `{mark}`"))),
        };
        Ok(Operand { at, what })
    }

    fn named(&mut self, name: &str) -> Result<What, Fault> {
        let at = self.at();
        if *self.peek_behind(1) == Token::Mark("=>") {
            return Ok(What::Term(self.arrow()?));
        }
        self.advance();
        if let Some((_, number)) = self.parameters.iter().rev().find(|(parameter, _)| parameter == name) {
            return Ok(What::Term(call(TermKind::Var, [Value::from(*number)])));
        }
        match name {
            "r" => Ok(What::R),
            "true" => Ok(What::Term(Value::Bool(true))),
            "false" => Ok(What::Term(Value::Bool(false))),
            "null" => Ok(What::Term(Value::Null)),
            "function" => self.long_function().map(What::Term),
            "new" => Err(Fault::new(at, "nothing can be made with `new`; a time is `r.now()` or `r.ISO8601(\"..\")`")),
            name if kind(name).is_some() => {
                Err(Fault::new(at, format!("`{name}` is not known; did you mean `r.{name}`?")))
            }
            name => {
                Err(Fault::new(at, format!("`{name}` is not known; queries begin with `r`, and texts stand in quotes")))
            }
        }
    }

    /// `{name: value, ..}`
    fn fields(&mut self) -> Result<Map<String, Value>, Fault> {
        self.expect("{")?;
        let mut fields = Map::new();
        while !self.take("}") {
            let name = match self.peek().clone() {
                Token::Name(name) | Token::Text(name) => name,
                Token::Number(number) => number_value(number).to_string(),
                _ => return Err(self.fault("the name of a field is missing here")),
            };
            self.advance();
            self.expect(":")?;
            fields.insert(name, self.expression()?.into_term()?);
            if *self.peek() != Token::Mark("}") && !self.take(",") {
                return Err(self.fault("`,` or `}` is missing here"));
            }
        }
        Ok(fields)
    }

    /// Whether the parenthesis opens the parameters of an arrow function.
    fn is_head(&self) -> bool {
        let mut at = 1;
        loop {
            match self.peek_behind(at) {
                Token::Name(_) | Token::Mark(",") => at += 1,
                Token::Mark(")") => return *self.peek_behind(at + 1) == Token::Mark("=>"),
                _ => return false,
            }
        }
    }

    /// `x => ..`, `(x, y) => ..`, with an expression or `{ return ..; }` behind it.
    fn arrow(&mut self) -> Result<Value, Fault> {
        let names = match self.peek().clone() {
            Token::Name(name) => {
                self.advance();
                vec![name]
            }
            _ => self.head()?,
        };
        self.expect("=>")?;
        self.with_parameters(names, |parser| match *parser.peek() {
            Token::Mark("{") => parser.block(),
            _ => parser.expression()?.into_term(),
        })
    }

    /// `function(x, y) { return ..; }`, behind the first word.
    fn long_function(&mut self) -> Result<Value, Fault> {
        if let Token::Name(_) = self.peek() {
            self.advance();
        }
        let names = self.head()?;
        self.with_parameters(names, Parser::block)
    }

    fn head(&mut self) -> Result<Vec<String>, Fault> {
        self.expect("(")?;
        let mut names = Vec::new();
        while !self.take(")") {
            let Token::Name(name) = self.peek().clone() else {
                return Err(self.fault("the name of a parameter is missing here"));
            };
            self.advance();
            names.push(name);
            if *self.peek() != Token::Mark(")") && !self.take(",") {
                return Err(self.fault("`,` or `)` is missing here"));
            }
        }
        Ok(names)
    }

    fn block(&mut self) -> Result<Value, Fault> {
        self.expect("{")?;
        if *self.peek() != Token::Name("return".to_owned()) {
            return Err(self
                .fault("a function is one `return` and nothing else; an object stands in parentheses: `x => ({..})`"));
        }
        self.advance();
        let body = self.expression()?.into_term()?;
        while self.take(";") {}
        self.expect("}")?;
        Ok(body)
    }

    fn with_parameters(
        &mut self,
        names: Vec<String>,
        body: impl FnOnce(&mut Parser) -> Result<Value, Fault>,
    ) -> Result<Value, Fault> {
        let outside = self.parameters.len();
        for name in names {
            self.last_variable += 1;
            self.parameters.push((name, self.last_variable));
        }
        let numbers: Vec<u64> = self.parameters[outside..].iter().map(|(_, number)| *number).collect();
        let body = body(self)?;
        self.parameters.truncate(outside);
        Ok(function(&numbers, body))
    }
}
