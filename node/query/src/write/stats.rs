//! The answer of a write: what happened to how many documents.

use photondb_reql::Str;
use photondb_reql::datum::{Array, Datum, Object, ObjectBuilder};
use photondb_reql::error::{Error, Result};
use photondb_reql::eval::Cx;

use crate::table::WriteResult;

/// `return_changes`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ReturnChanges {
    /// None.
    #[default]
    No,
    /// Of documents that changed.
    Yes,
    /// Of every document, with the errors.
    Always,
}

/// Counts results.
#[derive(Default)]
pub(crate) struct Stats {
    return_changes: ReturnChanges,
    array_limit: usize,
    deleted: u64,
    errors: u64,
    inserted: u64,
    replaced: u64,
    skipped: u64,
    unchanged: u64,
    first_error: Option<String>,
    changes: Vec<Datum>,
    /// Bytes that further changes may take.
    changes_room: usize,
    changes_cut: bool,
    touched: bool,
    generated_keys: Vec<Datum>,
    generated: usize,
}

impl Stats {
    /// Of one write of the query.
    pub fn new(return_changes: ReturnChanges, cx: &Cx) -> Stats {
        Stats { return_changes, array_limit: cx.limits().array, changes_room: cx.room(), ..Stats::default() }
    }

    /// A key that the query made up.
    pub fn generated(&mut self, key: Datum) {
        self.generated += 1;
        if self.generated_keys.len() < self.array_limit {
            self.generated_keys.push(key);
        }
    }

    /// An error whose place in `changes` is taken by [`Stats::invalid`].
    pub fn error(&mut self, error: &Error) {
        self.errors += 1;
        self.first_error.get_or_insert_with(|| error.message.clone());
    }

    /// The change that shows a document which could not be written whatever the table held; any `return_changes` shows it.
    pub fn invalid(&mut self, error: &Error) {
        self.touched = true;
        if self.return_changes != ReturnChanges::No {
            self.error_change(error, &Datum::Null);
        }
    }

    fn error_change(&mut self, error: &Error, old: &Datum) {
        let fields =
            [("error", Datum::from(error.message.as_str())), ("new_val", old.clone()), ("old_val", old.clone())];
        self.change(Datum::Object(Object::from(fields)));
    }

    /// One result.
    pub fn add(&mut self, result: &WriteResult) {
        self.touched = true;
        let (old, new) = match result {
            WriteResult::Refused { error, old } => {
                self.error(error);
                if self.return_changes == ReturnChanges::Always {
                    self.error_change(error, old);
                }
                return;
            }
            WriteResult::Done { old, new } => (old, new),
        };
        let same = old == new;
        let counter = match (old.is_null(), new.is_null()) {
            (true, true) => &mut self.skipped,
            (true, false) => &mut self.inserted,
            (false, true) => &mut self.deleted,
            (false, false) if same => &mut self.unchanged,
            (false, false) => &mut self.replaced,
        };
        *counter += 1;
        let shown = match self.return_changes {
            ReturnChanges::No => false,
            ReturnChanges::Yes => !same,
            ReturnChanges::Always => true,
        };
        if shown {
            self.change(Datum::Object(Object::from([("new_val", new.clone()), ("old_val", old.clone())])));
        }
    }

    fn change(&mut self, change: Datum) {
        // What was written cannot be taken back, so that what is too much is left out, and nothing fails.
        let size = change.footprint();
        if self.changes.len() < self.array_limit && size <= self.changes_room && !self.changes_cut {
            self.changes_room -= size;
            self.changes.push(change);
        } else {
            self.changes_cut = true;
        }
    }

    /// The answer.
    pub fn into_datum(self) -> Datum {
        let mut fields = ObjectBuilder::with_capacity(10);
        let mut warnings = Vec::new();
        if self.changes_cut {
            warnings.push(Datum::from(format!("Too many changes, array truncated to {}.", self.changes.len())));
        }
        if self.generated > self.generated_keys.len() {
            warnings.push(Datum::from(format!(
                "Too many generated keys ({}), array truncated to {}.",
                self.generated, self.array_limit
            )));
        }
        // Where no document was touched there is not even an empty list, as in RethinkDB.
        if self.return_changes != ReturnChanges::No && self.touched {
            fields.insert("changes", Array::from(self.changes));
        }
        fields.insert("deleted", self.deleted);
        fields.insert("errors", self.errors);
        if let Some(error) = self.first_error {
            fields.insert("first_error", error);
        }
        if !self.generated_keys.is_empty() {
            fields.insert("generated_keys", Array::from(self.generated_keys));
        }
        fields.insert("inserted", self.inserted);
        fields.insert("replaced", self.replaced);
        fields.insert("skipped", self.skipped);
        fields.insert("unchanged", self.unchanged);
        if !warnings.is_empty() {
            fields.insert("warnings", Array::from(warnings));
        }
        Datum::Object(fields.build())
    }
}

/// Adds the answers of two writes: numbers are added, arrays joined, of strings the first stays.
pub(crate) fn merge(left: &Object, right: &Object, array_limit: usize) -> Result<Object> {
    let mut fields = ObjectBuilder::from(left.clone());
    let mut cut = false;
    for (name, value) in right.iter() {
        let merged = match fields.get(&name) {
            None => value,
            Some(there) => merge_field(there, &value, array_limit, &mut cut)?,
        };
        fields.insert(name, merged);
    }
    if cut {
        let warning = Datum::from(format!("Too many changes, array truncated to {array_limit}."));
        let mut warnings = match fields.get("warnings") {
            Some(Datum::Array(warnings)) => warnings.clone().into_vec(),
            _ => Vec::new(),
        };
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
        fields.insert(Str::from_static("warnings"), Array::from(warnings));
    }
    Ok(fields.build())
}

fn merge_field(left: &Datum, right: &Datum, array_limit: usize, cut: &mut bool) -> Result<Datum> {
    match (left, right) {
        (Datum::Number(left), Datum::Number(right)) => Datum::number(left + right),
        (Datum::Array(left), Datum::Array(right)) => {
            *cut |= left.len() + right.len() > array_limit;
            Ok(Datum::from(left.iter().chain(right.iter()).take(array_limit).collect::<Vec<_>>()))
        }
        (Datum::String(_), Datum::String(_)) => Ok(left.clone()),
        _ => Err(Error::logic(format!(
            "Cannot merge statistics `{}` (type {}) and `{}` (type {}).",
            left.print_truncated(),
            left.type_name(),
            right.print_truncated(),
            right.type_name()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(json: &[(&str, Datum)]) -> Object {
        json.iter().map(|(name, value)| (*name, value.clone())).collect()
    }

    #[test]
    fn a_document_counts_once_by_what_became_of_it() {
        let document = Datum::Object(object(&[("id", Datum::from(1))]));
        let mut stats = Stats::new(ReturnChanges::Yes, &Cx::pure());
        stats.add(&WriteResult::Done { old: Datum::Null, new: document.clone() });
        stats.add(&WriteResult::Done { old: document.clone(), new: document.clone() });
        stats.add(&WriteResult::Done { old: document.clone(), new: Datum::Null });
        stats.add(&WriteResult::Done { old: Datum::Null, new: Datum::Null });
        stats.add(&WriteResult::Refused { error: Error::logic("no"), old: document });
        let answer = stats.into_datum();
        for (field, count) in [("inserted", 1), ("unchanged", 1), ("deleted", 1), ("skipped", 1), ("errors", 1)] {
            assert_eq!(answer.field(field).unwrap(), Datum::from(count), "{field}");
        }
        assert_eq!(answer.field("changes").unwrap().as_array().unwrap().len(), 2);
        assert_eq!(answer.field("first_error").unwrap(), Datum::from("no"));
    }

    #[test]
    fn merging_adds_and_keeps_the_first_error() {
        let left = object(&[("errors", Datum::from(1)), ("first_error", Datum::from("a"))]);
        let right =
            object(&[("errors", Datum::from(2)), ("first_error", Datum::from("b")), ("deleted", Datum::from(1))]);
        let merged = merge(&left, &right, 10).unwrap();
        assert_eq!(merged.get("errors"), Some(Datum::from(3)));
        assert_eq!(merged.get("first_error"), Some(Datum::from("a")));
        assert_eq!(merged.get("deleted"), Some(Datum::from(1)));
    }
}
