//! Terms as the driver protocol has them.

use std::fmt;
use std::str::FromStr;

use photondb_reql::term::TermKind;
use serde_json::{Map, Value, json};

/// The database of names without one, as in ReQL.
const DEFAULT_DATABASE: &str = "test";

/// `[kind, arguments]`
pub fn call<const N: usize>(kind: TermKind, arguments: [Value; N]) -> Value {
    call_with(kind, arguments.into(), Map::new())
}

/// `[kind, arguments, options]`
pub fn call_with(kind: TermKind, arguments: Vec<Value>, options: Map<String, Value>) -> Value {
    match options.is_empty() {
        true => json!([kind.number(), arguments]),
        false => json!([kind.number(), arguments, options]),
    }
}

/// An array, whose elements are terms.
pub fn array(elements: Vec<Value>) -> Value {
    call_with(TermKind::MakeArray, elements, Map::new())
}

/// A function of parameters that have these numbers.
pub fn function(parameters: &[u64], body: Value) -> Value {
    let parameters = array(parameters.iter().map(|number| Value::from(*number)).collect());
    call(TermKind::Func, [parameters, body])
}

/// A database.
pub fn database(name: &str) -> Value {
    call(TermKind::Db, [name.into()])
}

/// A table of the system.
pub fn system_table(name: &str) -> Value {
    call(TermKind::Table, [database("rethinkdb"), name.into()])
}

/// `TABLE` or `DATABASE.TABLE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableName {
    /// `test` unless it is named.
    pub database: String,
    /// Its name there.
    pub table: String,
}

impl TableName {
    /// The table.
    pub fn term(&self) -> Value {
        call(TermKind::Table, [database(&self.database), self.table.as_str().into()])
    }
}

/// A text that names no table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not `TABLE` or `DATABASE.TABLE`")]
pub struct NotATable;

impl FromStr for TableName {
    type Err = NotATable;

    fn from_str(text: &str) -> Result<TableName, NotATable> {
        let (database, table) = text.split_once('.').unwrap_or((DEFAULT_DATABASE, text));
        if database.is_empty() || table.is_empty() || table.contains('.') {
            return Err(NotATable);
        }
        Ok(TableName { database: database.to_owned(), table: table.to_owned() })
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.database, self.table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_tables_have_a_database_or_get_one() {
        let name = |text: &str| text.parse::<TableName>().map(|name| name.to_string());
        assert_eq!(name("t"), Ok("test.t".to_owned()));
        assert_eq!(name("d.t"), Ok("d.t".to_owned()));
        for text in ["", ".", "d.", ".t", "a.b.c"] {
            assert_eq!(name(text), Err(NotATable), "{text}");
        }
        assert_eq!("d.t".parse::<TableName>().unwrap().term(), json!([15, [[14, ["d"]], "t"]]));
    }

    #[test]
    fn options_are_left_out_when_there_are_none() {
        assert_eq!(call(TermKind::Now, []), json!([103, []]));
        let options = Map::from_iter([("float".to_owned(), Value::Bool(true))]);
        assert_eq!(call_with(TermKind::Random, Vec::new(), options), json!([151, [], {"float": true}]));
        assert_eq!(function(&[1, 2], 3.into()), json!([69, [[2, [1, 2]], 3]]));
    }
}
