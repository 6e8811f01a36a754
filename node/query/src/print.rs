//! Functions as people read them: what the `query` fields show.

use photondb_reql::datum::Datum;
use photondb_reql::eval::stored;
use photondb_reql::term::print;
use photondb_reql::{Term, TermKind};

/// `indexCreate('a', function(var1) { .. }, {multi: true})`; empty for bytes that are no function.
pub(crate) fn index_create(name: &str, definition: &[u8], multi: bool, geo: bool) -> String {
    parts(definition).map(|(params, body)| print::index_create(name, &params, &body, multi, geo)).unwrap_or_default()
}

/// `setWriteHook(function(..) { .. })`; empty for bytes that are no function.
pub(crate) fn set_write_hook(definition: &[u8]) -> String {
    parts(definition).map(|(params, body)| print::set_write_hook(&params, &body)).unwrap_or_default()
}

fn parts(definition: &[u8]) -> Option<(Vec<i64>, Term)> {
    let term = stored::decode_function(definition).ok()?;
    if term.kind() != TermKind::Func {
        return None;
    }
    let [params, body] = term.args() else { return None };
    let params = match params {
        Term::Datum(Datum::Array(numbers), _) => numbers.iter().filter_map(|number| number.as_integer().ok()).collect(),
        other => other.args().iter().filter_map(Term::as_datum).filter_map(|number| number.as_integer().ok()).collect(),
    };
    Some((params, body.clone()))
}
