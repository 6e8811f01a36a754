//! Objects and arrays: fields, and what is left of them. On a sequence these work on each of its objects.

use std::collections::BTreeMap;

use super::evaluate::{Call, Evaluation, Scope};
use super::fault::Fault;
use super::thing::Thing;
use super::value::Value;
use crate::term::number;

impl Evaluation<'_> {
    pub(super) fn shape(&mut self, call: &Call<'_>, scope: &Scope) -> Result<Thing, Fault> {
        call.knows(&[])?;
        let subject = self.evaluate(call.argument(0)?, scope)?;
        if matches!(call.number, number::PLUCK | number::WITHOUT | number::HAS_FIELDS) {
            // Also where there is no row to look at.
            self.field_names(&call.arguments[1..], scope)?;
        }
        if let Thing::Groups(_) = subject {
            return Err(Fault::undefined("fields of groups"));
        }
        let is_array_work = matches!(call.number, number::APPEND | number::PREPEND | number::TYPE_OF);
        let is_single = matches!(&subject, Thing::Value(value) | Thing::One { row: value, .. } if !matches!(value, Value::Array(_)));
        if is_single || is_array_work {
            let value = Value::try_from(subject)?;
            return self.shape_of(call, value, scope).map(Thing::Value);
        }
        if let (number::BRACKET, Ok(Value::Number(_))) = (call.number, self.value(call.argument(1)?, scope)) {
            return self.nth(subject, call.argument(1)?, scope);
        }
        // What has not the field is left out of a sequence.
        let is_filter = matches!(call.number, number::GET_FIELD | number::BRACKET | number::HAS_FIELDS);
        if matches!(call.number, number::KEYS | number::VALUES) {
            return Err(Fault::undefined("keys of a sequence"));
        }
        let keeps_documents = match (&subject, call.number) {
            (Thing::Table(table) | Thing::Selection { table, .. }, number::HAS_FIELDS) => Some(table.clone()),
            _ => None,
        };
        let is_value = matches!(subject, Thing::Value(_) | Thing::One { .. });
        let (rows, order) = self.rows(subject)?;
        let mut shaped = Vec::new();
        for row in rows {
            if is_filter && !matches!(row, Value::Object(_)) {
                return Err(Fault::undefined("fields of what is no object, in a sequence"));
            }
            match self.shape_of(call, row.clone(), scope) {
                Ok(Value::Bool(has)) if call.number == number::HAS_FIELDS => shaped.extend(has.then_some(row)),
                Ok(value) => shaped.push(value),
                Err(fault) if is_filter && fault.is_missing() => {}
                Err(fault) => return Err(fault),
            }
        }
        Ok(match keeps_documents {
            Some(table) => Thing::Selection { table, rows: shaped, order },
            None if is_value => Thing::Value(Value::Array(shaped)),
            None => Thing::stream(shaped, order),
        })
    }

    fn shape_of(&mut self, call: &Call<'_>, value: Value, scope: &Scope) -> Result<Value, Fault> {
        let rest = &call.arguments[1..];
        Ok(match call.number {
            number::GET_FIELD | number::BRACKET => {
                call.takes(2)?;
                let name = self.value(&rest[0], scope)?;
                match (&value, &name) {
                    (Value::Object(_) | Value::Null, Value::String(name)) => value.field(name)?.clone(),
                    _ => return Err(Fault::undefined("a field of what is no object")),
                }
            }
            number::HAS_FIELDS => {
                let names = self.field_names(rest, scope)?;
                let fields = value.fields()?;
                Value::Bool(names.iter().all(|name| fields.get(name).is_some_and(|value| *value != Value::Null)))
            }
            number::PLUCK | number::WITHOUT => {
                let names = self.field_names(rest, scope)?;
                let keeps = |name: &String| names.contains(name) == (call.number == number::PLUCK);
                let fields = value.fields()?.iter().filter(|(name, _)| keeps(name));
                Value::Object(fields.map(|(name, value)| (name.clone(), value.clone())).collect())
            }
            number::MERGE => {
                value.fields()?;
                let mut merged = value;
                for term in rest {
                    let function = self.function(term, scope)?;
                    let other = self.apply(&function, std::slice::from_ref(&merged))?;
                    if !matches!(other, Value::Object(_)) {
                        return Err(Fault::undefined("an object merged with something else"));
                    }
                    merged = merged.merged(&other);
                }
                merged
            }
            number::KEYS | number::VALUES if call.arguments.len() != 1 || value == Value::Null => {
                return Err(Fault::undefined("such keys or values"));
            }
            number::KEYS => Value::Array(value.fields()?.keys().map(|name| Value::String(name.clone())).collect()),
            number::VALUES => Value::Array(value.fields()?.values().cloned().collect()),
            number::TYPE_OF => Value::String(value.type_name().to_owned()),
            _ => {
                call.takes(2)?;
                let Value::Array(mut elements) = value else { return Err(value.mistyped("ARRAY")) };
                let at = if call.number == number::APPEND { elements.len() } else { 0 };
                elements.insert(at, self.value(&rest[0], scope)?);
                Value::Array(elements)
            }
        })
    }

    /// Names of fields. Errors: a path into fields of fields.
    fn field_names(&mut self, terms: &[crate::term::Term], scope: &Scope) -> Result<Vec<String>, Fault> {
        let names = self.values(terms, scope)?;
        let name = |value: Value| match value {
            Value::String(name) => Ok(name),
            _ => Err(Fault::undefined("a path into a field")),
        };
        names.into_iter().map(name).collect()
    }
}

/// An object of two fields.
pub fn pair(first: (&str, Value), second: (&str, Value)) -> Value {
    Value::Object(BTreeMap::from([(first.0.to_owned(), first.1), (second.0.to_owned(), second.1)]))
}
