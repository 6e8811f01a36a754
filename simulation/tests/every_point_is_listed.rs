//! The points at which the product behaves rarely are those that the simulation knows, each in one place.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use photondb_simulation::buggify::POINTS;

/// How many there are at least.
const POINTS_MIN: usize = 60;

/// Where the product is.
const FOLDERS: [&str; 3] = ["storage/src", "node", "control-plane"];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the product").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            sources(&entry, found);
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            found.push(entry);
        }
    }
}

/// Each point in the code, and where.
fn points_of_the_product() -> BTreeMap<String, Vec<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the simulation stands in the root");
    let mut files = Vec::new();
    FOLDERS.iter().for_each(|folder| sources(&root.join(folder), &mut files));
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in files.iter().filter(|file| !file.ends_with("storage/src/fault.rs")) {
        let text = fs::read_to_string(file).expect("a source file");
        for (at, _) in text.match_indices("buggify!(\"") {
            let name = text[at..].split('"').nth(1).expect("a name in quotes");
            found.entry(name.to_owned()).or_default().push(file.display().to_string());
        }
    }
    found
}

#[test]
fn the_list_and_the_product_agree() {
    let found = points_of_the_product();
    let listed: BTreeSet<&str> = POINTS.iter().map(|point| point.name).collect();
    assert_eq!(listed.len(), POINTS.len(), "a name stands twice in the list");
    assert!(found.len() >= POINTS_MIN, "there are {} points only", found.len());
    let known: BTreeSet<&str> = found.keys().map(String::as_str).collect();
    assert_eq!(listed, known, "simulation/src/buggify/points.rs lists what is in the code");
    for (name, places) in &found {
        assert_eq!(places.len(), 1, "{name} strikes in several places, and shares one stream: {places:?}");
        let of = name.split('/').next().expect("the crate comes first");
        assert!(places[0].contains(&format!("/{of}/src/")), "{name} is in {}", places[0]);
    }
    for point in &POINTS {
        assert!(!point.what.is_empty() && point.one_of >= 2, "{} says nothing, or strikes always", point.name);
    }
}
