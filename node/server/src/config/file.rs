//! Options from a file: RethinkDB's `key=value` lines, or TOML.

use std::path::Path;

use super::{ConfigError, Given};

/// Reads the file. A name that ends in `.toml` is TOML; anything else is lines.
pub fn read(path: &Path) -> Result<Given, ConfigError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
    if path.extension().is_some_and(|extension| extension == "toml") {
        parse_toml(path, &text)
    } else {
        parse_lines(path, &text)
    }
}

/// `key=value`, or `key` alone for an option without a value; `#` begins a comment.
pub fn parse_lines(path: &Path, text: &str) -> Result<Given, ConfigError> {
    let mut given = Given::default();
    for (index, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let (name, value) = line.split_once('=').unwrap_or((line, "true"));
        given.add(name.trim(), value.trim()).map_err(|source| ConfigError::AtLine {
            path: path.to_owned(),
            line: index + 1,
            source: Box::new(source),
        })?;
    }
    Ok(given)
}

/// Top-level keys; an array gives an option several values.
pub fn parse_toml(path: &Path, text: &str) -> Result<Given, ConfigError> {
    let malformed = |reason: String| ConfigError::Malformed { path: path.to_owned(), reason };
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| malformed(error.to_string()))?;
    let mut given = Given::default();
    for (name, value) in &table {
        let values = match value {
            toml::Value::Array(values) => values.as_slice(),
            single => std::slice::from_ref(single),
        };
        for value in values {
            let text = match value {
                toml::Value::String(text) => text.clone(),
                toml::Value::Integer(number) => number.to_string(),
                toml::Value::Boolean(yes) => yes.to_string(),
                _ => return Err(malformed(format!("`{name}` must be a text, a number, true or false"))),
            };
            given.add(name, text).map_err(|error| malformed(error.to_string()))?;
        }
    }
    Ok(given)
}
