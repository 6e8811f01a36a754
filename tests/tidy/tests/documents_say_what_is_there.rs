//! What the documents list is complete, as far as a machine can tell.

use photondb_test_tidy::{read, root};

/// `GetAll` as the protocol writes it: `get_all`.
fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

#[test]
fn compatibility_names_every_term() {
    let kinds = read(&root().join("node/reql/src/term/kind.rs"));
    let from = kinds.find("pub enum TermKind {").expect("the terms are an enum");
    let body = kinds[from..].split("\n}").next().unwrap_or_default();
    let variants: Vec<&str> = body.lines().skip(1).filter_map(|line| line.trim().split(" = ").next()).collect();
    assert!(variants.len() > 180, "only {} terms were found", variants.len());
    let document = read(&root().join("docs/compatibility.md"));
    for variant in variants.into_iter().filter(|variant| !variant.is_empty() && !variant.starts_with("//")) {
        let name = snake_case(variant);
        assert!(document.contains(&format!("`{name}`")), "docs/compatibility.md does not name `{name}`");
    }
}

#[test]
fn compatibility_names_every_system_table() {
    let folder = root().join("node/server/src/tables/system");
    let document = read(&root().join("docs/compatibility.md"));
    for table in std::fs::read_dir(folder).expect("the system tables stand in a folder") {
        let path = table.expect("an entry can be read").path();
        if path.is_dir() {
            continue;
        }
        let source = read(&path);
        // A file of a table opens with the table's name; the others are what they share.
        let Some(name) = source.strip_prefix("//! `").and_then(|rest| rest.split('`').next()) else { continue };
        assert!(document.contains(&format!("`{name}`")), "docs/compatibility.md does not name `{name}`");
    }
}
