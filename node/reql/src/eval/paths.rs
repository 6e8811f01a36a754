//! Paths into objects: what `pluck`, `without`, `has_fields` and `with_fields` take. A path is a field name, an object of
//! further paths, or an array of paths.

use crate::datum::{Array, Datum, Object, ObjectBuilder, PTYPE_FIELD, Str};
use crate::error::{Error, Result};

/// Which parts of an object are meant.
#[derive(Clone, Debug)]
pub enum Paths {
    /// One field.
    Field(Str),
    /// Each of these.
    Each(Vec<Paths>),
    /// Parts of the values of these fields.
    Inside(Vec<(Str, Paths)>),
}

impl Paths {
    /// From the arguments of a term. Errors: `Invalid path argument ...`.
    pub fn from_args(args: impl IntoIterator<Item = Datum>) -> Result<Paths> {
        let paths = args.into_iter().map(|path| Paths::read(&path)).collect::<Result<Vec<_>>>()?;
        Ok(Paths::each(paths))
    }

    /// From one argument.
    pub fn read(path: &Datum) -> Result<Paths> {
        match path {
            Datum::String(name) => Ok(Paths::Field(name.clone())),
            Datum::Array(items) => Paths::from_args(items.iter()),
            Datum::Object(fields) => {
                let mut whole = Vec::new();
                let mut inside = Vec::new();
                for (name, value) in fields.iter() {
                    match value {
                        Datum::Bool(true) => whole.push(Paths::Field(name)),
                        value => inside.push((name, Paths::read(&value)?)),
                    }
                }
                if whole.is_empty() {
                    return Ok(Paths::Inside(inside));
                }
                if !inside.is_empty() {
                    whole.push(Paths::Inside(inside));
                }
                Ok(Paths::each(whole))
            }
            other => Err(Error::logic(format!("Invalid path argument `{}`.", other.print()))),
        }
    }

    fn each(mut paths: Vec<Paths>) -> Paths {
        match paths.pop() {
            Some(only) if paths.is_empty() => only,
            Some(last) => {
                paths.push(last);
                Paths::Each(paths)
            }
            None => Paths::Each(paths),
        }
    }

    /// The object with nothing but these parts. It is a plain one. Parts whose path leads through something that is no object
    /// are left out.
    pub fn project(&self, fields: &Object) -> Object {
        let mut out = ObjectBuilder::new();
        self.project_into(fields, &mut out);
        out.build()
    }

    /// Whether that can be: the name of a pseudo-type without the rest of it cannot.
    fn project_into(&self, fields: &Object, out: &mut ObjectBuilder) -> bool {
        match self {
            Paths::Field(name) => {
                let Some(value) = fields.get(name) else { return true };
                out.insert(name.clone(), value);
                name.as_str() != PTYPE_FIELD
            }
            Paths::Each(paths) => paths.iter().all(|paths| paths.project_into(fields, out)),
            Paths::Inside(inside) => inside.iter().all(|(name, paths)| {
                let Some(part) = fields.get(name).and_then(|value| paths.part_of(&value)) else { return true };
                out.insert(name.clone(), part);
                name.as_str() != PTYPE_FIELD
            }),
        }
    }

    /// These parts of a value, or of each in an array; `None`: they cannot be taken.
    fn part_of(&self, value: &Datum) -> Option<Datum> {
        let of_one = |value: &Datum| {
            let mut out = ObjectBuilder::new();
            let is_whole = match value {
                Datum::Object(fields) => self.project_into(fields, &mut out),
                _ => self.asks_nothing(),
            };
            is_whole.then(|| Datum::from(out.build()))
        };
        of_each(value, of_one)
    }

    /// Whether it takes nothing from whatever it is asked of, so that even what is no object has it.
    fn asks_nothing(&self) -> bool {
        match self {
            Paths::Field(_) => false,
            Paths::Each(paths) => paths.iter().all(Paths::asks_nothing),
            Paths::Inside(inside) => inside.is_empty(),
        }
    }

    /// The object without these parts.
    pub fn unproject(&self, fields: &Object) -> Object {
        let mut out = ObjectBuilder::from(fields.clone());
        self.remove_from(&mut out);
        out.build()
    }

    fn remove_from(&self, out: &mut ObjectBuilder) {
        match self {
            Paths::Field(name) => {
                out.remove(name);
            }
            Paths::Each(paths) => paths.iter().for_each(|paths| paths.remove_from(out)),
            Paths::Inside(inside) => {
                for (name, paths) in inside {
                    let rest = out.get(name).and_then(|value| paths.rest_of(value));
                    if let Some(rest) = rest {
                        out.insert(name.clone(), rest);
                    }
                }
            }
        }
    }

    /// A value, or each in an array, without these parts; `None`: that is no value, as half a time.
    fn rest_of(&self, value: &Datum) -> Option<Datum> {
        of_each(value, |value| match value {
            Datum::Object(fields) => Datum::from_fields(self.unproject(fields)).ok(),
            _ => None,
        })
    }

    /// Whether a value has all these parts, none of them null.
    pub fn found_in(&self, datum: &Datum) -> bool {
        match (self, datum) {
            (Paths::Each(paths), _) => paths.iter().all(|paths| paths.found_in(datum)),
            (Paths::Field(name), Datum::Object(fields)) => fields.get(name).is_some_and(|value| !value.is_null()),
            (Paths::Inside(inside), Datum::Object(fields)) => {
                inside.iter().all(|(name, paths)| fields.get(name).is_some_and(|value| paths.found_in(&value)))
            }
            (Paths::Inside(inside), _) => inside.is_empty(),
            (Paths::Field(_), _) => false,
        }
    }
}

/// A value, or each element of an array, changed; `None` where one cannot be.
fn of_each(value: &Datum, change: impl Fn(&Datum) -> Option<Datum>) -> Option<Datum> {
    match value {
        Datum::Array(items) => items.iter().map(|item| change(&item)).collect::<Option<Array>>().map(Datum::from),
        other => change(other),
    }
}
