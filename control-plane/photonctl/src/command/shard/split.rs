//! `photonctl shard split`: where a shard is cut.

use std::time::Duration;

use photondb_proto::KeyRange;
use photondb_proto::v1;
use photondb_reql::Datum;
use photondb_reql::key::PrimaryKey;
use photondb_reql::term::TermKind;
use serde_json::{Map, Value, json};

use super::range;
use crate::client::Client;
use crate::failure::Failure;
use crate::term::{TableName, array, call, call_with};

/// The encoded key of `--at`. Errors: it is no JSON, or no key.
pub fn key_of(text: &str) -> Result<Vec<u8>, String> {
    let value: Value =
        serde_json::from_str(text).map_err(|error| format!("not JSON ({error}); a text stands in quotes: '\"m\"'"))?;
    let datum = datum(&value).ok_or("not a number, a text, a truth value, or an array of these")?;
    let key = PrimaryKey::new(&datum).map_err(|error| format!("not a key: {}", error.message))?;
    Ok(key.bytes().to_vec())
}

/// The key with as many documents of the shard before it as behind it.
pub fn middle(status: &v1::ShardStatus, client: &Client, wait: Duration) -> Result<Vec<u8>, Failure> {
    let range = range(status).map_err(|source| client.malformed(source))?;
    let nothing = || Failure::Impossible("the shard's keys do not tell where its middle is: name a key (--at)");
    let name = TableName { database: status.database.clone(), table: status.table.clone() };
    let info = client.value(&call(TermKind::Info, [name.term()]))?;
    let primary_key = info["primary_key"].as_str().ok_or_else(nothing)?;
    let documents = within(&name, &range).ok_or_else(nothing)?;
    let count = client.value(&call(TermKind::Count, [documents.clone()]))?.as_u64().ok_or_else(nothing)?;
    if count < 2 {
        return Err(Failure::Impossible("the shard has too few documents to be divided by them: name a key (--at)"));
    }
    let by_key = Map::from_iter([("index".to_owned(), primary_key.into())]);
    let ordered = call_with(TermKind::OrderBy, vec![documents], by_key);
    // What is skipped is not read.
    let document = call(TermKind::Nth, [call(TermKind::Skip, [ordered, (count / 2).into()]), 0.into()]);
    let key = client.value_within(&call(TermKind::GetField, [document, primary_key.into()]), wait)?;
    let key = datum(&key).and_then(|datum| PrimaryKey::new(&datum).ok());
    let unnamed = "the shard's middle is a time or binary data, at which nothing is cut yet but by more shards (table reconfigure)";
    Ok(key.ok_or(Failure::Impossible(unnamed))?.bytes().to_vec())
}

/// The table's documents within a range; `None`: its ends are the values of no keys.
fn within(table: &TableName, range: &KeyRange) -> Option<Value> {
    let start = match range.start() {
        [] => call(TermKind::Minval, []),
        start => term_of(start)?,
    };
    let end = match range.end() {
        None => call(TermKind::Maxval, []),
        Some(end) => term_of(end)?,
    };
    Some(call(TermKind::Between, [table.term(), start, end]))
}

/// The term whose value an encoded key is.
fn term_of(key: &[u8]) -> Option<Value> {
    let mut text = Vec::new();
    PrimaryKey::from_encoded(key.to_vec().into()).to_datum().ok()?.write_json(&mut text).ok()?;
    serde_json::from_slice(&text).ok().map(quoted)
}

/// Arrays are terms where they do not stand in one that makes them.
fn quoted(value: Value) -> Value {
    match value {
        Value::Array(elements) => array(elements.into_iter().map(quoted).collect()),
        Value::Object(fields) => {
            json!(fields.into_iter().map(|(name, value)| (name, quoted(value))).collect::<Map<_, _>>())
        }
        value => value,
    }
}

fn datum(value: &Value) -> Option<Datum> {
    Some(match value {
        Value::Bool(value) => Datum::from(*value),
        Value::Number(number) => Datum::Number(number.as_f64()?),
        Value::String(text) => Datum::from(text.as_str()),
        Value::Array(elements) => Datum::Array(elements.iter().map(datum).collect::<Option<_>>()?),
        Value::Null | Value::Object(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_named_as_json() {
        for text in ["12", "-1.5", "\"m\"", "true", "[1,\"a\",[2]]"] {
            let key = key_of(text).unwrap();
            let term = term_of(&key).unwrap();
            let array = |value: &Value| if value.is_array() { quoted(value.clone()) } else { value.clone() };
            let expected: Value = serde_json::from_str(text).unwrap();
            assert_eq!(term.to_string().replace(".0", ""), array(&expected).to_string(), "{text}");
        }
        assert!(key_of("m").unwrap_err().contains("stands in quotes"));
        assert!(key_of("null").unwrap_err().contains("not a number"));
        assert!(key_of("{\"a\":1}").unwrap_err().contains("not a number"));
    }

    #[test]
    fn documents_of_a_shard_are_those_between_its_ends() {
        let table: TableName = "d.t".parse().unwrap();
        let cut = |text: &str| key_of(text).unwrap();
        let range = KeyRange::new(cut("\"a\""), Some(cut("[1,2]"))).or(KeyRange::new(cut("[1,2]"), Some(cut("\"a\""))));
        let found = within(&table, &range.unwrap()).unwrap().to_string();
        assert!(found.starts_with("[182,[[15,[[14,[\"d\"]],\"t\"]],"), "{found}");
        assert!(found.contains("[2,[1,2]]") || found.contains("[2,[1.0,2.0]]"), "{found}");
        assert_eq!(within(&table, &KeyRange::all()).unwrap(), json!([182, [table.term(), [180, []], [181, []]]]));
        // The bytes stand between two keys.
        assert_eq!(within(&table, &KeyRange::new(vec![0x38, b'a'], None).unwrap()), None);
    }
}
