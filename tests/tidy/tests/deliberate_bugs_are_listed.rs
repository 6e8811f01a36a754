//! Deliberate bugs: every fault point is listed, every listed one is in the product, and the table of `simulation/README.md`
//! names each that runs of clusters are to find, beside a sentence of the design.

use std::collections::BTreeSet;

use photondb_test_tidy::{files, read, root};

/// What stands in quotes behind each `before` of a text, spaces and lines between them passed over.
fn quoted(text: &str, before: &str) -> BTreeSet<String> {
    let behind = text.split(before).skip(1).map(str::trim_start);
    behind.filter_map(|rest| Some(rest.strip_prefix('"')?.split('"').next()?.to_owned())).collect()
}

/// Those of fault points in the product. A doc comment that shows how one is written has no name of one.
fn in_the_product() -> BTreeSet<String> {
    let call = concat!("fault_point", "!(");
    let all = files(&root(), ".rs").into_iter().filter(|path| !path.starts_with(root().join("tests")));
    let names = all.flat_map(|path| quoted(&read(&path), call));
    names.filter(|name| name != "name").collect()
}

fn of_storage() -> BTreeSet<String> {
    quoted(&read(&root().join("storage/src/fault.rs")), "Mutant { name:")
}

fn of_the_simulation() -> BTreeSet<String> {
    let list = read(&root().join("simulation/src/mutant.rs"));
    quoted(&list, "mutant(")
}

/// The rows of the table: the sentence, the names, and what notices them.
fn table() -> Vec<(String, BTreeSet<String>, String)> {
    let readme = read(&root().join("simulation/README.md"));
    let section = readme.split_once("## Deliberate bugs").expect("the section is there").1;
    let rows = section.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    let rows = rows.take_while(|line| line.starts_with('|'));
    let cells = rows.map(|row| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>());
    cells
        .map(|cells| {
            let [sentence, names, notices] = cells.as_slice() else { panic!("a row of three cells, not {cells:?}") };
            let names = names.split('`').skip(1).step_by(2).map(str::to_owned).collect();
            (sentence.clone(), names, notices.clone())
        })
        .collect()
}

#[test]
fn fault_points_and_lists_name_the_same() {
    let listed: BTreeSet<String> = of_storage().union(&of_the_simulation()).cloned().collect();
    assert!(listed.len() > 40, "{listed:?}");
    assert_eq!(in_the_product(), listed);
}

#[test]
fn each_sentence_has_a_bug_and_each_bug_a_sentence() {
    let rows = table();
    let mut named = BTreeSet::new();
    for (sentence, names, _) in &rows {
        assert!(!names.is_empty(), "nothing breaks {sentence:?}");
        named.extend(names.iter().cloned());
    }
    let listed: BTreeSet<String> = of_storage().union(&of_the_simulation()).cloned().collect();
    assert_eq!(named, listed, "the table of simulation/README.md and the lists");
}

#[test]
fn what_notices_a_bug_is_there() {
    let sources =
        ["simulation/src", "simulation/history/src"].map(|folder| files(&root().join(folder), ".rs")).concat();
    let checks: String = sources.iter().map(|path| read(path)).collect();
    for (sentence, _, notices) in table() {
        for property in notices.split(';').map(str::trim).filter(|property| *property != "tests/storage") {
            assert!(checks.contains(&format!("\"{property}\"")), "{sentence:?}: nothing checks {property:?}");
        }
    }
}
