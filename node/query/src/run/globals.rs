//! The options of the whole query.

use photondb_reql::Str;
use photondb_reql::datum::Datum;
use photondb_reql::error::{Error, Result};
use photondb_reql::eval::{Cx, Limits, Node, Scope, compile, eval};
use photondb_reql::term::Start;

use crate::limits::CHANGEFEED_QUEUE_SIZE;

/// What they say.
pub(super) struct Globals {
    /// `db`, compiled only: it is evaluated where a table is named without a database.
    pub db: Option<Node>,
    pub limits: Limits,
    /// `changefeed_queue_size`.
    pub queue_size: usize,
    /// Everything else, for terms that look for their options here too.
    pub values: Vec<(Str, Datum)>,
}

/// Evaluates them. Errors: a limit that is none. Other options are checked by the terms that use them.
pub(super) fn read(start: &Start) -> Result<Globals> {
    let mut globals =
        Globals { db: None, limits: Limits::default(), queue_size: CHANGEFEED_QUEUE_SIZE, values: Vec::new() };
    let cx = Cx::pure();
    for (name, term) in &start.global_optargs {
        let node = compile(term)?.root;
        if *name == "db" {
            globals.db = Some(node);
            continue;
        }
        let value = eval(&node, &Scope::empty(), &cx).and_then(|value| value.into_datum(&cx));
        match name.as_str() {
            "array_limit" => globals.limits.array = positive(&value?, "array size limit")?,
            "changefeed_queue_size" => globals.queue_size = positive(&value?, "changefeed queue size")?,
            _ => {
                if let Ok(value) = value {
                    globals.values.push((name.clone(), value));
                }
            }
        }
    }
    Ok(globals)
}

/// A limit of at least one.
pub(crate) fn positive(datum: &Datum, what: &str) -> Result<usize> {
    let number = datum.as_integer()?;
    match usize::try_from(number) {
        Ok(limit) if limit > 0 => Ok(limit),
        _ => Err(Error::logic(format!("Illegal {what} `{number}`.  (Must be >= 1.)"))),
    }
}
