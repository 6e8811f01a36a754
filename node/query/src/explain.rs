//! The global option `explain`: how a query would be answered, in place of its answer. [`walk`] finds the steps, [`access`] how
//! tables are read, [`outline`] shows them as a document and as text, [`wording`] has the words.
//!
//! What a query would read is not guessed: everything that only prepares a reading (`table`, `between`, `filter`, ...) is
//! evaluated as ever, which reads nothing, and the sequence that comes of it is asked for its plan.

mod access;
mod outline;
mod prepared;
mod walk;
mod wording;

use std::rc::Rc;

use photondb_reql::datum::{Datum, Object, ObjectBuilder};
use photondb_reql::error::{Error, Result};
use photondb_reql::eval::{Cx, Query, Traits};
use photondb_reql::term::Start;

use crate::run::{Answer, evaluate};
use crate::surroundings::Surroundings;
use outline::Outline;

/// `explain: true`. Errors: those of the query that show before anything is read: no such table, permission.
pub(crate) fn plan(query: &Query, start: &Start, surroundings: &Rc<Surroundings>, cx: &Cx) -> Result<Datum> {
    let outline = outline(query, start, surroundings, cx)?;
    Ok(Datum::Object(document(&outline, query.root.traits(), None, None).build()))
}

/// `explain: "analyze"`: runs the query too, writes and all, and throws its rows away. Errors: also those of running it, and
/// that a feed never ends.
pub(crate) fn analyze(query: &Query, start: &Start, surroundings: &Rc<Surroundings>, cx: &Cx) -> Result<Datum> {
    let clock = &surroundings.environment.clock;
    let began = clock.now();
    let outline = outline(query, start, surroundings, cx)?;
    let planned = clock.now();
    let mut result = None;
    let rows = match evaluate(query, surroundings, cx)? {
        Answer::Atom(datum) => {
            let rows = if let Datum::Array(rows) = &datum { rows.len() as u64 } else { 1 };
            // Nobody should write without being told what became of it.
            result = Some(datum).filter(|_| query.root.traits().writes);
            rows
        }
        Answer::Sequence(mut cursor) => {
            if cursor.is_feed() || cursor.is_infinite() {
                return Err(Error::logic(
                    "`explain: \"analyze\"` reads the whole result, and this one never ends; `explain: true` shows its plan.",
                ));
            }
            let mut rows = 0;
            loop {
                let batch = cursor.next_batch()?;
                rows += batch.rows.len() as u64;
                if !batch.more {
                    break rows;
                }
            }
        }
    };
    let milliseconds = |from, to: photondb_runtime::clock::Moment| Datum::Number(to.since(from).as_secs_f64() * 1e3);
    let examined = surroundings.observed.as_ref().map_or(0, |observed| observed.rows());
    let actual = Object::from([
        ("planning(ms)", milliseconds(began, planned)),
        ("rows_examined", Datum::from(examined)),
        ("rows_returned", Datum::from(rows)),
        ("running(ms)", milliseconds(planned, clock.now())),
    ]);
    let mut document = document(&outline, query.root.traits(), Some(actual), surroundings.observed.as_ref());
    if let Some(result) = result {
        document.insert("result", result);
    }
    Ok(Datum::Object(document.build()))
}

fn outline(query: &Query, start: &Start, surroundings: &Rc<Surroundings>, cx: &Cx) -> Result<Outline> {
    if surroundings.default_db.as_ref().is_some_and(|node| node.traits().writes) {
        return Err(Error::logic("A query whose global option `db` writes cannot be explained."));
    }
    walk::Walk::new(&start.term, cx).outline(&query.root)
}

fn document(
    outline: &Outline,
    traits: Traits,
    actual: Option<Object>,
    observed: Option<&crate::observed::Observed>,
) -> ObjectBuilder {
    let kind = match traits {
        Traits { writes: true, .. } => "write",
        Traits { touches_world: true, .. } => "read",
        _ => "compute",
    };
    let mut fields = ObjectBuilder::new();
    fields.insert("executed", Datum::Bool(actual.is_some()));
    fields.insert("kind", kind);
    fields.insert("plan", outline.to_datum(observed));
    let mut text = outline.to_text(observed);
    if let Some(actual) = &actual {
        let number = |name: &str| actual.get(name).and_then(|datum| datum.as_number().ok()).unwrap_or(0.0);
        text.push_str(&format!(
            "{} rows examined, {} returned; planned in {:.3} ms, run in {:.3} ms\n",
            number("rows_examined"),
            number("rows_returned"),
            number("planning(ms)"),
            number("running(ms)")
        ));
    }
    fields.insert("text", text);
    if let Some(actual) = actual {
        fields.insert("actual", Datum::Object(actual));
    }
    fields
}
