//! What a visitor sees first does not grow.

use std::fs;

use photondb_test_tidy::root;

#[test]
fn the_top_level_holds_exactly_what_the_layout_names() {
    let fixed = [
        "Cargo.lock",
        "Cargo.toml",
        "LICENSE",
        "README.md",
        "control-plane",
        "docs",
        "helm",
        "k8s",
        "node",
        "proto",
        "simulation",
        "storage",
        "tests",
    ];
    let mut found: Vec<String> = fs::read_dir(root())
        .expect("the top can be read")
        .map(|entry| entry.expect("an entry can be read").file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.') && name != "target")
        .collect();
    found.sort();
    assert_eq!(found, fixed);
}
