//! Numbers, comparisons and logic.

use super::evaluate::{Call, Evaluation, Scope};
use super::fault::Fault;
use super::thing::Thing;
use super::value::Value;
use crate::term::number;

impl Evaluation<'_> {
    pub(super) fn arithmetic(&mut self, call: &Call<'_>, scope: &Scope) -> Result<Thing, Fault> {
        match call.number {
            number::AND | number::OR => return self.logic(call, scope),
            number::NOT => call.takes(1)?,
            _ if call.arguments.len() < 2 => return Err(Fault::undefined("an operator of one argument")),
            _ => {}
        }
        let values = self.values(call.arguments, scope)?;
        let pairs = || values.iter().zip(&values[1..]);
        let value = match call.number {
            number::NOT => Value::Bool(!values[0].is_true()),
            number::EQ => Value::Bool(pairs().all(|(a, b)| a == b)),
            number::NE => Value::Bool(!pairs().all(|(a, b)| a == b)),
            number::LT => Value::Bool(pairs().all(|(a, b)| a < b)),
            number::LE => Value::Bool(pairs().all(|(a, b)| a <= b)),
            number::GT => Value::Bool(pairs().all(|(a, b)| a > b)),
            number::GE => Value::Bool(pairs().all(|(a, b)| a >= b)),
            _ => {
                let mut values = values.into_iter();
                let first = values.next().ok_or_else(|| Fault::undefined("an operator of nothing"))?;
                values.try_fold(first, |sum, value| combine(call.number, sum, value))?
            }
        };
        Ok(Thing::Value(value))
    }

    /// Not the truth but the value that decides it is the answer.
    fn logic(&mut self, call: &Call<'_>, scope: &Scope) -> Result<Thing, Fault> {
        let mut value = Value::Bool(call.number == number::AND);
        for argument in call.arguments {
            value = self.value(argument, scope)?;
            if value.is_true() == (call.number == number::OR) {
                break;
            }
        }
        Ok(Thing::Value(value))
    }
}

fn combine(operator: u64, left: Value, right: Value) -> Result<Value, Fault> {
    let number = match (operator, &left, &right) {
        (number::ADD, Value::String(left), Value::String(right)) => return Ok(Value::String(format!("{left}{right}"))),
        (number::ADD, Value::Array(left), Value::Array(right)) => {
            return Ok(Value::Array(left.iter().chain(right).cloned().collect()));
        }
        (number::ADD, Value::String(_), _) => return Err(right.mistyped("STRING")),
        (number::ADD, Value::Array(_), _) => return Err(right.mistyped("ARRAY")),
        (number::MUL, Value::Array(_), _) | (number::MUL, _, Value::Array(_)) => {
            return Err(Fault::undefined("repeated arrays"));
        }
        (number::ADD, left, right) => left.number()? + right.number()?,
        (number::SUB, left, right) => left.number()? - right.number()?,
        (number::MUL, left, right) => left.number()? * right.number()?,
        (number::DIV, left, right) => {
            let (left, right) = (left.number()?, right.number()?);
            if right == 0.0 {
                return Err(Fault::logic("cannot divide by zero"));
            }
            left / right
        }
        (_, left, right) => {
            let (left, right) = (left.whole()?, right.whole()?);
            if right == 0 {
                return Err(Fault::logic("cannot take a number modulo 0"));
            }
            (left % right) as f64
        }
    };
    if number.is_finite() { Ok(Value::Number(number)) } else { Err(Fault::logic("the number is not finite")) }
}
