//! The chart's README has a line for each value, with its default, and the schema knows each.

#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

use std::collections::BTreeMap;

use photondb_test_helm::{chart, read};
use serde_json::Value;

/// Where a value ends and what is inside is Kubernetes's: one line for the whole.
const WHOLE: [&str; 5] =
    ["resources", "initJob.resources", "podSecurityContext", "containerSecurityContext", "topologySpreadConstraints"];

fn defaults() -> BTreeMap<String, String> {
    let values: Value = serde_saphyr::from_str(&read(&chart().join("values.yaml"))).unwrap();
    let mut found = BTreeMap::new();
    collect("", &values, &mut found);
    found
}

fn collect(path: &str, value: &Value, found: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(fields) if !fields.is_empty() && !WHOLE.contains(&path) => {
            for (name, value) in fields {
                let dot = if path.is_empty() { "" } else { "." };
                collect(&format!("{path}{dot}{name}"), value, found);
            }
        }
        _ => {
            let shown = if WHOLE.contains(&path) { "see values.yaml".to_owned() } else { format!("`{value}`") };
            found.insert(path.to_owned(), shown);
        }
    }
}

/// The first two cells of each line of the table of values.
fn described() -> BTreeMap<String, String> {
    let text = read(&chart().join("README.md"));
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    rows.map(|(name, rest)| (name.to_owned(), rest.split(" | ").next().unwrap().to_owned())).collect()
}

#[test]
fn the_readme_lists_them_with_their_defaults() {
    assert_eq!(described(), defaults());
}

#[test]
fn the_schema_knows_them() {
    let schema: Value = serde_json::from_str(&read(&chart().join("values.schema.json"))).unwrap();
    for path in defaults().keys() {
        let mut at = &schema;
        for name in path.split('.') {
            if let Some(named) = at["$ref"].as_str() {
                at = schema.pointer(named.trim_start_matches('#')).unwrap();
            }
            // What is inside is text by any name.
            if at["properties"].is_null() && at["additionalProperties"].is_object() {
                break;
            }
            at = &at["properties"][name];
            assert!(!at.is_null(), "values.schema.json does not know {path}");
        }
    }
}
