//! The model against answers recorded from RethinkDB, where they are in its part. The records lie beside the tree; without
//! them there is nothing to compare with.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use super::evaluate::contains;
use super::*;
use crate::client::{Answer, ErrorKind};
use crate::term::number;

/// Records that the model must at least have an answer to.
const COMPARED_MIN: usize = 400;

/// Terms that change what later records find.
const CHANGES: [u64; 10] = [
    number::INSERT,
    number::UPDATE,
    number::REPLACE,
    number::DELETE,
    number::TABLE_CREATE,
    number::TABLE_DROP,
    number::DB_DROP,
    number::INDEX_CREATE,
    number::INDEX_DROP,
    // index_rename
    156,
];

fn records() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/conformance");
    let folder = std::env::var_os("PHOTONDB_CONFORMANCE").map_or(beside, PathBuf::from).join("vectors");
    folder.exists().then_some(folder)
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "jsonl") {
            found.push(path);
        }
    }
}

/// The tables that a term names, with or without their database.
fn tables(term: &Term, found: &mut BTreeSet<String>) {
    match term {
        Json::Array(parts) => {
            if let (Some(number::TABLE | number::TABLE_CREATE | number::TABLE_DROP), Some(Json::Array(arguments))) =
                (parts.first().and_then(Json::as_u64), parts.get(1))
            {
                found.extend(arguments.last().and_then(Json::as_str).map(str::to_owned));
            }
            parts.iter().for_each(|part| tables(part, found));
        }
        Json::Object(fields) => fields.values().for_each(|field| tables(field, found)),
        _ => {}
    }
}

fn recorded(record: &Json) -> Option<Result<Answer, ErrorKind>> {
    let answer = &record["r"];
    let results = answer["r"].as_array()?.clone();
    match answer["t"].as_u64()? {
        1 => Some(Ok(Answer::Value(results.into_iter().next()?))),
        2 => Some(Ok(Answer::Rows(results))),
        kind @ 16.. => Some(Err(ErrorKind::of(kind, answer["e"].as_u64()))),
        _ => None,
    }
}

#[test]
fn the_model_answers_as_rethinkdb_did() {
    let Some(folder) = records() else { return };
    let mut paths = Vec::new();
    files(&folder, &mut paths);
    paths.sort();
    let (mut compared, mut open, mut differences) = (0, 0, Vec::new());
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        let mut model = Model::new();
        // What nests deeper than the parser goes is about limits, which the model has none of.
        for record in text.lines().filter_map(|line| serde_json::from_str::<Json>(line).ok()) {
            let query = &record["q"];
            let is_plain = record["op"].is_null() || record["op"] == "run";
            if query[0] != 1 || !is_plain {
                // What else may write, leaves everything open.
                if !query.is_null() || record["op"] == "noreply" {
                    let mut names = BTreeSet::new();
                    tables(&query[1], &mut names);
                    names.iter().for_each(|name| model.database.forget("test", name));
                }
                continue;
            }
            let has_options =
                query[2].as_object().is_some_and(|options| options.keys().any(|name| name != "max_batch_rows"));
            let expected = if has_options || !record["user"].is_null() || contains(&query[1], 11) {
                Err(Fault::undefined("options of the query"))
            } else {
                model.run(&query[1])
            };
            let is_open = matches!(&expected, Err(Fault::Undefined(_)))
                // What the model holds to be missing may be there, made by something outside of it.
                || matches!(&expected, Err(Fault::Error(ErrorKind::OpFailed, _)))
                || recorded(&record) == Some(Err(ErrorKind::OpFailed));
            let mut names = BTreeSet::new();
            tables(&query[1], &mut names);
            if is_open && CHANGES.iter().any(|number| contains(&query[1], *number)) {
                names.iter().for_each(|name| model.database.forget("test", name));
            }
            let Some(answered) = recorded(&record) else { continue };
            if is_open || !record["role"].is_null() || !record["compare"].is_null() {
                open += usize::from(is_open);
                continue;
            }
            compared += 1;
            if let Err(difference) = agree(&expected, &answered) {
                differences.push(format!("{} {}: {difference}", record["id"], query[1]));
                names.iter().for_each(|name| model.database.forget("test", name));
            }
        }
    }
    println!("{compared} compared, {open} left open, {} differ", differences.len());
    assert!(differences.is_empty(), "{:#?}", &differences[..differences.len().min(20)]);
    assert!(compared >= COMPARED_MIN, "{compared}");
}
