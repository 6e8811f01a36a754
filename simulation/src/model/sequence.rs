//! Sequences: which rows, and in which order.

use super::evaluate::{Call, Evaluation, Function, Scope};
use super::fault::Fault;
use super::thing::{Order, TableName, Thing};
use super::value::Value;
use crate::term::{Term, number};

impl Evaluation<'_> {
    pub(super) fn sequence(&mut self, call: &Call<'_>, scope: &Scope) -> Result<Thing, Fault> {
        if call.number == number::UNION {
            return self.union(call, scope);
        }
        if call.number == number::MAP {
            call.takes(2)?;
        }
        let subject = self.evaluate(call.argument(0)?, scope)?;
        if let Thing::Groups(_) = subject {
            return Err(Fault::undefined("this on groups"));
        }
        match call.number {
            number::GET => {
                call.takes(2)?;
                let Thing::Table(table) = subject else { return Err(Fault::undefined("get on no table")) };
                let key = self.value(call.argument(1)?, scope)?;
                if !matches!(key, Value::Number(_) | Value::String(_)) {
                    return Err(Fault::undefined("such a primary key"));
                }
                let row = self.database.document(&table, &key)?;
                Ok(Thing::One { table, key, row })
            }
            number::GET_ALL | number::BETWEEN => self.by_index(call, subject, scope),
            number::FILTER => self.filter(call, subject, scope),
            number::NTH => self.nth(subject, call.argument(1)?, scope),
            number::COERCE_TO => {
                if call.argument(1)?.as_str() != Some("array") {
                    return Err(Fault::undefined("coerce_to anything but an array"));
                }
                if let Thing::Value(Value::Object(_)) | Thing::One { .. } = subject {
                    return Err(Fault::undefined("an object as an array"));
                }
                let (rows, order) = self.rows(subject)?;
                self.array(rows, order).map(Thing::Value)
            }
            _ => self.over_rows(call, subject, scope),
        }
    }

    /// The row at a place, from the end for negative ones.
    pub(super) fn nth(&mut self, subject: Thing, at: &Term, scope: &Scope) -> Result<Thing, Fault> {
        let (rows, order) = self.rows(subject)?;
        let at = self.value(at, scope)?.whole()?;
        if at < 0 && order == Order::Any {
            return Err(Fault::undefined("counting a stream from its end"));
        }
        let place = if at < 0 { at + rows.len() as i64 } else { at };
        let row = usize::try_from(place).ok().and_then(|place| rows.get(place));
        let row = row.cloned().ok_or_else(|| Fault::missing(format!("index out of bounds: {at}")))?;
        if order == Order::Any && rows.len() > 1 {
            return Err(Fault::undefined("one of rows without an order"));
        }
        Ok(Thing::Value(row))
    }

    fn union(&mut self, call: &Call<'_>, scope: &Scope) -> Result<Thing, Fault> {
        call.knows(&[])?;
        let mut all = Vec::new();
        let mut is_array = true;
        for argument in call.arguments {
            let subject = self.evaluate(argument, scope)?;
            is_array &= matches!(subject, Thing::Value(_));
            all.extend(self.rows(subject)?.0);
        }
        if is_array {
            return Err(Fault::undefined("the order of a union of arrays"));
        }
        Ok(Thing::stream(all, Order::Any))
    }

    fn by_index(&mut self, call: &Call<'_>, subject: Thing, scope: &Scope) -> Result<Thing, Fault> {
        call.knows(&["index"])?;
        let Thing::Table(table) = subject else { return Err(Fault::undefined("an index of no table")) };
        let index = call.option("index").and_then(Term::as_str).unwrap_or("id").to_owned();
        if index != "id" && !self.database.table(&table)?.indexes.contains(&index) {
            return Err(Fault::Error(crate::client::ErrorKind::OpFailed, format!("no index {index}")));
        }
        let bounds = self.values(&call.arguments[1..], scope)?;
        let is_key =
            |value: &Value| matches!(value, Value::Number(_) | Value::String(_) | Value::MinVal | Value::MaxVal);
        if !bounds.iter().all(is_key) {
            return Err(Fault::undefined("such a key of an index"));
        }
        let documents = self.database.documents(&table)?;
        let key = |row: &Value| row.field(&index).ok().filter(|key| is_key(key)).cloned();
        let mut rows = Vec::new();
        if call.number == number::BETWEEN {
            call.takes(3)?;
            let (low, high) = (&bounds[0], &bounds[1]);
            rows.extend(documents.into_iter().filter(|row| key(row).is_some_and(|key| *low <= key && key < *high)));
        } else {
            // A key that is given twice gives its documents twice.
            for wanted in &bounds {
                rows.extend(documents.iter().filter(|row| key(row).as_ref() == Some(wanted)).cloned());
            }
        }
        Ok(Thing::Selection { table, rows, order: Order::Any })
    }

    fn filter(&mut self, call: &Call<'_>, subject: Thing, scope: &Scope) -> Result<Thing, Fault> {
        call.takes(2)?;
        call.knows(&[])?;
        let table = documents_of(&subject);
        let is_array = matches!(subject, Thing::Value(_) | Thing::One { .. });
        let (rows, order) = self.rows(subject)?;
        let test = self.function(call.argument(1)?, scope)?;
        let mut kept = Vec::new();
        for row in rows {
            let passes = match self.apply(&test, std::slice::from_ref(&row)) {
                // An object stands for the test that the row has its fields.
                Ok(Value::Object(wanted)) => wanted.iter().all(|(name, value)| matches(&row, name, value)),
                Ok(value) => value.is_true(),
                Err(fault) if fault.is_missing() => false,
                Err(fault) => return Err(fault),
            };
            kept.extend(passes.then_some(row));
        }
        Ok(match table {
            Some(table) => Thing::Selection { table, rows: kept, order },
            None if is_array => Thing::Value(Value::Array(kept)),
            None => Thing::stream(kept, order),
        })
    }

    fn over_rows(&mut self, call: &Call<'_>, subject: Thing, scope: &Scope) -> Result<Thing, Fault> {
        let table = documents_of(&subject);
        let is_array = matches!(subject, Thing::Value(_) | Thing::One { .. });
        let (rows, order) = self.rows(subject)?;
        let (rows, order, keeps_documents) = match call.number {
            number::MAP | number::CONCAT_MAP => {
                call.takes(2)?;
                let function = self.explicit_function(call.argument(1)?, scope)?;
                (self.mapped(rows, &function, call.number == number::CONCAT_MAP)?, order, false)
            }
            number::ORDER_BY => {
                call.knows(&[])?;
                let (rows, order) = self.ordered(rows, &call.arguments[1..], scope)?;
                if table.is_none() || rows.is_empty() {
                    // Without an index it is an array, whatever it was.
                    return Ok(Thing::Value(Value::Array(rows)));
                }
                (rows, order, true)
            }
            number::DISTINCT => {
                call.takes(1)?;
                call.knows(&[])?;
                let mut rows = rows;
                rows.sort();
                rows.dedup();
                // An array, in an order that is the server's business.
                return self.array(rows, Order::Any).map(Thing::Value);
            }
            _ => {
                call.takes(2)?;
                let count = usize::try_from(self.value(call.argument(1)?, scope)?.whole()?);
                let count = count.map_err(|_| Fault::logic("a negative number of rows"))?;
                let takes_part = count < rows.len() && (call.number == number::LIMIT || count > 0);
                if order == Order::Any && takes_part && count > 0 {
                    return Err(Fault::undefined("a part of rows without an order"));
                }
                let rows = rows.into_iter();
                let rows =
                    if call.number == number::LIMIT { rows.take(count).collect() } else { rows.skip(count).collect() };
                (rows, order, true)
            }
        };
        Ok(match table.filter(|_| keeps_documents) {
            Some(table) => Thing::Selection { table, rows, order },
            None if is_array => Thing::Value(Value::Array(rows)),
            None => Thing::stream(rows, order),
        })
    }

    fn mapped(&mut self, rows: Vec<Value>, function: &Function<'_>, flat: bool) -> Result<Vec<Value>, Fault> {
        let mut mapped = Vec::new();
        for row in rows {
            match self.apply(function, &[row])? {
                Value::Array(elements) if flat => mapped.extend(elements),
                other if flat => return Err(other.mistyped("a sequence")),
                value => mapped.push(value),
            }
        }
        Ok(mapped)
    }

    fn ordered(&mut self, rows: Vec<Value>, by: &[Term], scope: &Scope) -> Result<(Vec<Value>, Order), Fault> {
        let mut keyed = Vec::new();
        let mut descending = Vec::new();
        for row in rows {
            let mut key = Vec::new();
            descending.clear();
            for term in by {
                let (down, term) = match Call::of(term)? {
                    Some(call) if call.number == number::DESC => (true, call.argument(0)?),
                    Some(call) if call.number == number::ASC => (false, call.argument(0)?),
                    _ => (false, term),
                };
                descending.push(down);
                let part = match term.as_str() {
                    Some(name) => row.field(name).cloned(),
                    None => {
                        let function = self.explicit_function(term, scope)?;
                        self.apply(&function, std::slice::from_ref(&row))
                    }
                };
                key.push(part.map_err(|_| Fault::undefined("the place of a row without what it is ordered by"))?);
            }
            keyed.push((key, row));
        }
        let compare = |a: &Vec<Value>, b: &Vec<Value>| {
            let parts = a.iter().zip(b).zip(&descending);
            let parts = parts.map(|((a, b), down)| if *down { b.cmp(a) } else { a.cmp(b) });
            parts.fold(std::cmp::Ordering::Equal, |found, next| found.then(next))
        };
        keyed.sort_by(|(a, _), (b, _)| compare(a, b));
        if keyed.iter().zip(keyed.iter().skip(1)).any(|((a, row), (b, other))| a == b && row != other) {
            return Err(Fault::undefined("the order of rows that are ordered alike"));
        }
        Ok((keyed.into_iter().map(|(_, row)| row).collect(), Order::Fixed))
    }
}

/// The table whose documents the rows are.
pub fn documents_of(subject: &Thing) -> Option<TableName> {
    match subject {
        Thing::Table(table) | Thing::Selection { table, .. } => Some(table.clone()),
        _ => None,
    }
}

fn matches(row: &Value, name: &str, wanted: &Value) -> bool {
    match (row.field(name), wanted) {
        (Ok(Value::Object(inner)), Value::Object(wanted)) => {
            let inner = Value::Object(inner.clone());
            wanted.iter().all(|(name, value)| matches(&inner, name, value))
        }
        (Ok(value), wanted) => value == wanted,
        (Err(_), _) => false,
    }
}
