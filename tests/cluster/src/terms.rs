//! Terms as text, by the numbers of the wire protocol.

use serde_json::Value;

/// A table of the database `test`.
pub fn table(name: &str) -> String {
    format!(r#"[15,[[14,["test"]],"{name}"]]"#)
}

/// Makes it.
pub fn table_create(name: &str) -> String {
    format!(r#"[60,[[14,["test"]],"{name}"]]"#)
}

/// How many documents it has.
pub fn count(sequence: &str) -> String {
    format!("[43,[{sequence}]]")
}

/// One document of it.
pub fn get(name: &str, id: u64) -> String {
    format!("[16,[{},{id}]]", table(name))
}

/// Puts documents in, each as JSON.
pub fn insert(name: &str, documents: &[String]) -> String {
    format!("[56,[{},[2,[{}]]]]", table(name), documents.join(","))
}

/// Makes a simple index.
pub fn index_create(name: &str, field: &str) -> String {
    format!(r#"[75,[{},"{field}"]]"#, table(name))
}

/// Waits until all indexes are built.
pub fn index_wait(name: &str) -> String {
    format!("[140,[{}]]", table(name))
}

/// So many numbers that nobody counts them. An infinite range is refused by whatever wants all of it.
pub const FAR: &str = "[173,[1000000000000]]";

/// A query that is busy for hours and answers nothing meanwhile.
pub fn busy() -> String {
    count(&format!("[39,[{FAR},[69,[[2,[1]],[17,[[10,[1]],-1]]]]]]"))
}

/// What another server answers, with `options` as JSON.
pub fn http(url: &str, options: Value) -> String {
    format!("[153,[{}],{options}]", Value::from(url))
}

/// A feed of all changes.
pub fn changes(name: &str) -> String {
    format!("[152,[{}]]", table(name))
}
