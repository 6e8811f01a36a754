//! Paths into objects: what `pluck`, `without`, `has_fields` and `with_fields` take. A path is a field name, an object of
//! further paths, or an array of paths.

use crate::datum::{Array, Datum, Object, ObjectBuilder, Str};
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

    /// The object with nothing but these parts. Parts whose path leads through something that is no object are left out.
    pub fn project(&self, fields: &Object) -> Object {
        let mut out = ObjectBuilder::new();
        self.project_into(fields, &mut out);
        out.build()
    }

    fn project_into(&self, fields: &Object, out: &mut ObjectBuilder) {
        match self {
            Paths::Field(name) => {
                if let Some(value) = fields.get(name) {
                    out.insert(name.clone(), value);
                }
            }
            Paths::Each(paths) => paths.iter().for_each(|paths| paths.project_into(fields, out)),
            Paths::Inside(inside) => {
                for (name, paths) in inside {
                    let part = fields.get(name).and_then(|value| within(&value, |object| paths.project(object)));
                    if let Some(part) = part {
                        out.insert(name.clone(), part);
                    }
                }
            }
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
                    let rest = out.get(name).and_then(|value| within(value, |object| paths.unproject(object)));
                    if let Some(rest) = rest {
                        out.insert(name.clone(), rest);
                    }
                }
            }
        }
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

/// An object, or each object of an array, changed; `None` where there is anything else.
fn within(value: &Datum, change: impl Fn(&Object) -> Object) -> Option<Datum> {
    match value {
        Datum::Object(fields) => Some(Datum::from(change(fields))),
        Datum::Array(items) => {
            let changed = items.iter().map(|item| match item {
                Datum::Object(fields) => Some(Datum::from(change(&fields))),
                _ => None,
            });
            changed.collect::<Option<Array>>().map(Datum::from)
        }
        _ => None,
    }
}
