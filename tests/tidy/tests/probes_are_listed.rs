//! The list of rare paths that a sweep counts is the list of those that the product marks.

use photondb_test_tidy::{files, from_root, product_code, read, root};

/// The names that follow `opening` in `code`, up to the quote that ends each.
fn names(code: &str, opening: &str) -> Vec<String> {
    code.split(opening).skip(1).filter_map(|rest| rest.split('"').next()).map(str::to_owned).collect()
}

#[test]
fn every_probe_of_the_product_is_in_the_list_once_and_nothing_else_is() {
    let folders = ["storage/src", "node", "control-plane"];
    let sources = folders.iter().flat_map(|folder| files(&root().join(folder), ".rs"));
    let mut marked = Vec::new();
    for path in sources.filter(|path| !from_root(path).contains("/tests/")) {
        let found = names(&product_code(&read(&path)), "probe!(\"");
        marked.extend(found.into_iter().map(|name| (name, from_root(&path))));
    }
    marked.sort();
    for pair in marked.windows(2) {
        assert_ne!(pair[0].0, pair[1].0, "two places have one name");
    }
    let list = read(&root().join("simulation/src/cluster/probes.rs"));
    let mut listed = names(&list, "Probe::may(\"");
    listed.extend(names(&list, "Probe::must(\""));
    listed.sort();
    let marked: Vec<String> = marked.into_iter().map(|(name, _)| name).collect();
    assert_eq!(marked, listed);
    assert!(marked.len() >= 30, "{} are few", marked.len());
}
