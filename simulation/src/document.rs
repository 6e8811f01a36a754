//! The documents of a run: each is a function of its key and of the value it was written with, so that a torn or mixed
//! one gives itself away.

use photondb_query::table::{Conflict, Transition, Write};
use photondb_reql::datum::Datum;
use photondb_reql::error::Result;
use photondb_reql::eval::stored::{compile_term, encode_function};
use photondb_reql::eval::{Cx, Func};
use photondb_reql::{Term, term};

use crate::history::{Action, Key, Value};

/// The field that the indexes named `group...` are on.
pub const GROUP: &str = "group";
/// The field that the multi indexes named `tags...` are on.
pub const TAGS: &str = "tags";

/// The primary key as a datum.
pub fn key_datum(key: Key) -> Datum {
    Datum::Number(key as f64)
}

/// The write that does `action`; `None`: it is a read.
pub fn write(key: Key, action: Action) -> Option<Write> {
    let transition = match action {
        Action::Read => return None,
        Action::Insert(value) => Transition::Insert { document: datum(key, value), conflict: Conflict::Error },
        Action::Put(value) => Transition::Insert { document: datum(key, value), conflict: Conflict::Replace },
        Action::Update(value) => Transition::Update(function(&json(key, value))),
        Action::Increment => Transition::Update(function(r#"{"n":[24,[[170,[[10,[1]],"n"]],1]]}"#)),
        Action::Delete => Transition::Delete,
    };
    Some(Write { key: key_datum(key), transition })
}

/// The value of a document, `Null` for none. Errors: it is not one that anybody wrote; says what is wrong.
pub fn value_of(document: &Datum) -> std::result::Result<Value, String> {
    if document.is_null() {
        return Ok(None);
    }
    let read = || -> Result<(u64, i64, i64)> {
        let written = document.field("v")?.as_integer()?;
        Ok((document.field("id")?.as_integer()?.unsigned_abs(), written, document.field("n")?.as_integer()?))
    };
    let (key, written, now) = read().map_err(|error| format!("{}: {error}", document.print_truncated()))?;
    let expected = datum(key, written);
    for field in [GROUP, TAGS, "pad"] {
        let (expected, found) = (expected.field(field), document.field(field));
        if expected != found {
            return Err(format!("{} has another {field} than it was written with", document.print_truncated()));
        }
    }
    Ok(Some(now))
}

/// The stored definition of the index on `field`.
pub fn index_definition(field: &str) -> Vec<u8> {
    let field = function(&format!(r#"[170,[[10,[1]],"{field}"]]"#));
    encode_function(&field, &Cx::pure()).expect("a field of the argument can be stored")
}

fn json(key: Key, value: i64) -> String {
    let written = value.unsigned_abs() / 1_000_000;
    // Some fill a few pages, most are small, one in sixteen goes into overflow slots.
    let pad = match written % 16 {
        0 => 3_000 + written % 2_000,
        1..4 => 400,
        _ => written % 40,
    };
    let pad = "x".repeat(usize::try_from(pad).expect("a few kilobytes"));
    format!(
        r#"{{"id":{key},"n":{value},"v":{value},"{GROUP}":{},"{TAGS}":[2,[{},{}]],"pad":"{pad}"}}"#,
        written % 7,
        written % 3,
        10 + written % 5
    )
}

fn datum(key: Key, value: i64) -> Datum {
    let made = function(&json(key, value)).apply(Datum::Null, &Cx::pure());
    made.expect("a constant document")
}

fn function(body: &str) -> Func {
    compile_term(&term_of(&format!("[69,[[2,[1]],{body}]]"))).expect("the simulator's functions compile")
}

fn term_of(json: &str) -> Term {
    match term::parse(format!("[1,{json}]").as_bytes()) {
        Ok(term::Message::Start(start)) => start.term,
        _ => panic!("{json} is no term"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_shows_its_value_and_whether_it_is_whole() {
        let whole = datum(3, 17_000_000);
        assert_eq!(value_of(&whole), Ok(Some(17_000_000)));
        assert_eq!(value_of(&Datum::Null), Ok(None));
        let other = datum(3, 20_000_000);
        let mixed = whole.as_object().expect("an object").with("pad", other.field("pad").expect("has a pad"));
        assert!(value_of(&Datum::Object(mixed)).is_err());
    }
}
