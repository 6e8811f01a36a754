//! What the documents list is complete, as far as a machine can tell.

use photondb_test_tidy::{read, root};

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
