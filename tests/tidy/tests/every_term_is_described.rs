//! `docs/terms.md` and the code say the same of every term and every option, in both directions.

use std::collections::{BTreeMap, BTreeSet};

use photondb_reql::TermKind;
use photondb_reql::eval::signature::{Signature, signature};
use photondb_reql::term::parse;
use photondb_test_tidy::{read, root};

/// The rows of the tables below the headings that `wanted` accepts, cell by cell; without the lines that open a table.
fn rows(wanted: impl Fn(&str) -> bool) -> Vec<Vec<String>> {
    let document = read(&root().join("docs/terms.md"));
    let mut inside = false;
    let mut rows = Vec::new();
    for line in document.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            inside = wanted(heading);
        }
        if inside && line.starts_with("| `") {
            let cells = line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned());
            rows.push(cells.collect());
        }
    }
    rows
}

fn is_of_terms(heading: &str) -> bool {
    !heading.starts_with("Options")
}

/// What stands between backquotes.
fn names(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn arguments(signature: &Signature) -> String {
    match signature.max {
        Some(max) if max == signature.min => max.to_string(),
        Some(max) => format!("{} to {max}", signature.min),
        None => format!("{} or more", signature.min),
    }
}

/// What is not the same says how.
fn check_verdict(subject: &str, verdict: &str) {
    let known = ["same", "as of the terms", "PhotonDB's own"].iter().any(|word| verdict.starts_with(word));
    let explained =
        ["different: ", "absent: "].iter().any(|word| verdict.strip_prefix(word).is_some_and(|how| how.len() > 10));
    assert!(
        known || explained,
        "docs/terms.md says of {subject} neither that it is the same nor what differs: {verdict}"
    );
}

#[test]
fn every_term_has_one_row_and_every_row_is_a_term() {
    let mut described = BTreeMap::new();
    for row in rows(is_of_terms) {
        let [name, number, arguments, options, verdict] = row.as_slice() else { panic!("{row:?} has not five cells") };
        let [name] = names(name).try_into().expect("one term in a row");
        check_verdict(&name, verdict);
        let options: BTreeSet<String> = names(options).into_iter().collect();
        let twice = described.insert(name.clone(), (number.clone(), arguments.clone(), options));
        assert!(twice.is_none(), "docs/terms.md has two rows of `{name}`");
    }
    for kind in TermKind::all() {
        let name = kind.name().to_ascii_lowercase();
        let found = described.remove(&name).unwrap_or_else(|| panic!("docs/terms.md has no row of `{name}`"));
        let signature = signature(kind);
        let options: BTreeSet<String> = signature.optargs.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(found, (kind.number().to_string(), arguments(&signature), options), "the row of `{name}`");
    }
    assert!(described.is_empty(), "docs/terms.md has rows of what is no term: {described:?}");
}

#[test]
fn every_option_of_a_term_is_described_and_nothing_else() {
    let mut described = BTreeSet::new();
    for row in rows(|heading| heading == "Options of terms") {
        let [options, _, verdict] = row.as_slice() else { panic!("{row:?} has not three cells") };
        for name in names(options) {
            check_verdict(&name, verdict);
            assert!(described.insert(name.clone()), "docs/terms.md describes the option `{name}` twice");
        }
    }
    let known: BTreeSet<String> =
        TermKind::all().flat_map(|kind| signature(kind).optargs).map(|name| (*name).to_owned()).collect();
    assert_eq!(described, known);
}

#[test]
fn every_option_of_a_query_that_is_described_is_one() {
    let rows = rows(|heading| heading == "Options of a whole query");
    assert!(rows.len() > 8, "{} rows", rows.len());
    let accepts = |name: &str| parse(format!(r#"[1,1,{{"{name}":1}}]"#).as_bytes()).is_ok();
    assert!(!accepts("bogus"));
    for row in rows {
        let [options, _, verdict] = row.as_slice() else { panic!("{row:?} has not three cells") };
        for name in names(options) {
            check_verdict(&name, verdict);
            assert!(accepts(&name), "docs/terms.md describes the option `{name}` of a query, which is refused");
        }
    }
}

/// The list of terms that came with the records, where it is at hand.
#[test]
fn the_terms_are_those_of_the_protocol() {
    let beside = root().join("../shared/conformance");
    let folder = std::env::var_os("PHOTONDB_CONFORMANCE").map_or(beside, Into::into);
    let Ok(list) = std::fs::read_to_string(folder.join("terms.tsv")) else {
        println!("the list is not here; set PHOTONDB_CONFORMANCE to its folder");
        return;
    };
    let listed: BTreeSet<(String, String)> = list
        .lines()
        .skip(1)
        .filter_map(|line| {
            let mut fields = line.split('\t');
            Some((fields.next()?.to_owned(), fields.next()?.to_owned()))
        })
        .collect();
    let known = TermKind::all().map(|kind| (kind.number().to_string(), kind.name().to_owned())).collect();
    assert_eq!(listed, known);
}
