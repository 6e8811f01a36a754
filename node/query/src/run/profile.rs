//! What `profile: true` answers.

use std::time::Duration;

use photondb_reql::datum::{Array, Datum, Object};

/// One task: the whole evaluation. Parts of it are not measured by themselves.
pub(super) fn of(elapsed: Duration) -> Datum {
    let task = Object::from([
        ("description", Datum::from("Evaluating the query.")),
        ("duration(ms)", Datum::Number(elapsed.as_secs_f64() * 1e3)),
        ("sub_tasks", Datum::Array(Array::new())),
    ]);
    Datum::from(vec![Datum::Object(task)])
}
