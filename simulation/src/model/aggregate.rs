//! Many rows into one value, and groups of them.

use std::collections::BTreeMap;

use super::evaluate::{Call, Evaluation, Scope};
use super::fault::Fault;
use super::shape::pair;
use super::thing::{Order, Thing};
use super::value::Value;
use crate::term::number;

impl Evaluation<'_> {
    pub(super) fn aggregate(&mut self, call: &Call<'_>, scope: &Scope) -> Result<Thing, Fault> {
        call.knows(&[])?;
        let subject = self.evaluate(call.argument(0)?, scope)?;
        match (call.number, subject) {
            (number::GROUP, subject) => self.group(call, subject, scope),
            (number::UNGROUP, Thing::Groups(groups)) => {
                let mut array = Vec::new();
                for (group, reduction) in groups {
                    let Thing::Value(reduction) = *reduction else { return Err(Fault::undefined("rows in groups")) };
                    array.push(pair(("group", group), ("reduction", reduction)));
                }
                Ok(Thing::Value(Value::Array(array)))
            }
            (number::UNGROUP, _) => Err(Fault::undefined("ungroup of no groups")),
            (_, Thing::Groups(groups)) => {
                let mut reduced = Vec::new();
                for (group, rows) in groups {
                    let (rows, order) = self.rows(*rows)?;
                    if call.number == number::SUM && !self.any_counts(call, &rows, scope)? {
                        // A group of which nothing was added up does not come to be.
                        continue;
                    }
                    reduced.push((group, Box::new(Thing::Value(self.reduced(call, rows, order, scope)?))));
                }
                Ok(Thing::Groups(reduced))
            }
            (number::COUNT, Thing::Value(Value::Object(_) | Value::String(_)) | Thing::One { .. }) => {
                Err(Fault::undefined("count of what is no sequence"))
            }
            (_, subject) => {
                let (rows, order) = self.rows(subject)?;
                self.reduced(call, rows, order, scope).map(Thing::Value)
            }
        }
    }

    fn group(&mut self, call: &Call<'_>, subject: Thing, scope: &Scope) -> Result<Thing, Fault> {
        call.takes(2)?;
        let (rows, order) = self.rows(subject)?;
        let mut groups: BTreeMap<Value, Vec<Value>> = BTreeMap::new();
        for row in rows {
            let value = self.of_row(call, &row, scope)?;
            let value = value.ok_or_else(|| Fault::undefined("the group of a row without the field"))?;
            groups.entry(value).or_default().push(row);
        }
        let groups = groups.into_iter().map(|(group, rows)| (group, Box::new(Thing::stream(rows, order))));
        Ok(Thing::Groups(groups.collect()))
    }

    /// What an aggregation looks at in a row: a field of it, or a function of it. `None`: the row has no such field.
    fn of_row(&mut self, call: &Call<'_>, row: &Value, scope: &Scope) -> Result<Option<Value>, Fault> {
        let Some(term) = call.arguments.get(1) else { return Ok(Some(row.clone())) };
        let found = match term.as_str() {
            Some(name) => row.field(name).cloned(),
            None => {
                let function = self.explicit_function(term, scope)?;
                self.apply(&function, std::slice::from_ref(row))
            }
        };
        match found {
            Ok(value) => Ok(Some(value)),
            Err(fault) if fault.is_missing() => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    fn any_counts(&mut self, call: &Call<'_>, rows: &[Value], scope: &Scope) -> Result<bool, Fault> {
        for row in rows {
            if self.of_row(call, row, scope)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn reduced(&mut self, call: &Call<'_>, rows: Vec<Value>, order: Order, scope: &Scope) -> Result<Value, Fault> {
        match call.number {
            number::COUNT => {
                call.takes(1)?;
                Ok(Value::Number(rows.len() as f64))
            }
            number::IS_EMPTY => {
                call.takes(1)?;
                Ok(Value::Bool(rows.is_empty()))
            }
            number::CONTAINS => {
                call.takes(2)?;
                let wanted = self.value(call.argument(1)?, scope)?;
                Ok(Value::Bool(rows.contains(&wanted)))
            }
            number::REDUCE => {
                if order == Order::Fixed && rows.len() > 1 {
                    return Err(Fault::undefined("the order of a reduction"));
                }
                let function = self.explicit_function(call.argument(1)?, scope)?;
                let mut rows = rows.into_iter();
                let first = rows.next().ok_or_else(|| Fault::missing("cannot reduce over an empty stream"))?;
                rows.try_fold(first, |sum, row| self.apply(&function, &[sum, row]))
            }
            number::MIN | number::MAX => self.extreme(call, rows, scope),
            _ => {
                let mut numbers = Vec::new();
                for row in &rows {
                    numbers.extend(self.of_row(call, row, scope)?);
                }
                let numbers = numbers.iter().map(Value::number).collect::<Result<Vec<_>, _>>()?;
                let sum: f64 = numbers.iter().sum();
                match (call.number, numbers.len()) {
                    (number::SUM, _) => Ok(Value::Number(sum)),
                    (_, 0) => Err(Fault::missing("cannot take the average of an empty stream")),
                    (_, count) => Ok(Value::Number(sum / count as f64)),
                }
            }
        }
    }

    fn extreme(&mut self, call: &Call<'_>, rows: Vec<Value>, scope: &Scope) -> Result<Value, Fault> {
        let mut found: Option<(Value, Value)> = None;
        for row in rows {
            let Some(value) = self.of_row(call, &row, scope)? else { continue };
            let replaces = match &found {
                None => true,
                Some((best, other)) if *best == value && *other != row => {
                    return Err(Fault::undefined("which of equal rows is the extreme"));
                }
                Some((best, _)) => (value < *best) == (call.number == number::MIN),
            };
            if replaces {
                found = Some((value, row));
            }
        }
        found.map(|(_, row)| row).ok_or_else(|| Fault::missing("cannot take the extreme of an empty stream"))
    }
}
