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
    /// `use_index`: whether a filter may read an index in place of its table.
    pub use_index: bool,
    /// `explain`.
    pub explain: Explain,
    /// Everything else, for terms that look for their options here too.
    pub values: Vec<(Str, Datum)>,
}

/// What is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Explain {
    /// The result.
    Nothing,
    /// How it would be found; nothing is run.
    Plan,
    /// How it was found, and what that took.
    Analyze,
}

/// Evaluates them. Errors: a limit that is none. Other options are checked by the terms that use them.
pub(super) fn read(start: &Start) -> Result<Globals> {
    let mut globals = Globals {
        db: None,
        limits: Limits::default(),
        queue_size: CHANGEFEED_QUEUE_SIZE,
        use_index: false,
        explain: Explain::Nothing,
        values: Vec::new(),
    };
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
            "explain" => globals.explain = explain(&value?)?,
            "use_index" => globals.use_index = use_index(&value?)?,
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

fn explain(datum: &Datum) -> Result<Explain> {
    match datum {
        Datum::Bool(false) | Datum::Null => Ok(Explain::Nothing),
        Datum::Bool(true) => Ok(Explain::Plan),
        Datum::String(text) if text == "analyze" => Ok(Explain::Analyze),
        other => Err(Error::logic(format!(
            "Expected `true`, `false` or \"analyze\" for optarg `explain` (got `{}`).",
            other.print_truncated()
        ))),
    }
}

fn use_index(datum: &Datum) -> Result<bool> {
    match datum {
        Datum::Null => Ok(false),
        Datum::String(text) if text == "never" => Ok(false),
        Datum::String(text) if text == "auto" => Ok(true),
        other => Err(Error::logic(format!(
            "Expected \"auto\" or \"never\" for optarg `use_index` (got `{}`).",
            other.print_truncated()
        ))),
    }
}

/// A limit of at least one.
pub(crate) fn positive(datum: &Datum, what: &str) -> Result<usize> {
    let number = datum.as_integer()?;
    match usize::try_from(number) {
        Ok(limit) if limit > 0 => Ok(limit),
        _ => Err(Error::logic(format!("Illegal {what} `{number}`.  (Must be >= 1.)"))),
    }
}
