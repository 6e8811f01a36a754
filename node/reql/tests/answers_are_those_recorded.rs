//! Every recorded query that touches no table is answered as RethinkDB answered it.
//!
//! The records lie outside the tree: `../shared/conformance` beside the repository, or where `PHOTONDB_CONFORMANCE` says.
//! Without them there is nothing to test.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use photondb_reql::TermKind;
use photondb_reql::datum::{Datum, Str};
use photondb_reql::error::{Error, Result};
use photondb_reql::eval::signature::signature;
use photondb_reql::eval::{self, Args, Batch, Cx, Db, Limits, Scope, Sequence, Stream, TableValue, Value, World};
use photondb_reql::term::{Message, parse};
use photondb_reql::transform::Transform;
use serde_json::Value as Json;

/// A world of a clock, dice, and tables that can be filled and read through; nothing else.
struct Small;

thread_local! {
    /// The documents of each table, in the order of their keys.
    static TABLES: RefCell<BTreeMap<String, BTreeMap<Datum, Datum>>> = const { RefCell::new(BTreeMap::new()) };
}

struct Table(String);

struct Documents(std::vec::IntoIter<Datum>);

impl Stream for Documents {
    fn next_batch(&mut self, want: usize, _cx: &Cx) -> Result<Batch> {
        // Batches smaller than asked for, so that there are several.
        Ok(self.0.by_ref().take(want.min(7)).collect())
    }
}

impl TableValue for Table {
    fn type_name(&self) -> &'static str {
        "TABLE"
    }

    fn open(&self, _transforms: &[Transform], _cx: &Cx) -> Result<Box<dyn Stream>> {
        let documents: Vec<Datum> = TABLES.with_borrow(|tables| {
            tables.get(&self.0).map(|table| table.values().cloned().collect()).unwrap_or_default()
        });
        Ok(Box::new(Documents(documents.into_iter())))
    }

    fn term(self: Rc<Self>, args: &Args<'_>) -> Option<Result<Value>> {
        let indexed = args.optarg_node("index").is_some();
        let known = !signature(args.kind()).traits.touches_world && !indexed;
        match args.kind() {
            TermKind::Insert => return Some(self.insert(args)),
            // Indexes change nothing that this world shows.
            TermKind::IndexCreate => return Some(Ok(Value::Datum(Datum::Null))),
            _ => {}
        }
        // A single document of a table is more than this world has.
        let single = matches!(args.kind(), TermKind::Nth | TermKind::Min | TermKind::Max | TermKind::Bracket);
        (!known || single).then(|| Err(Error::internal(OUT_OF_THIS_WORLD)))
    }

    fn describe(&self) -> String {
        format!("table(\"{}\")", self.0)
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

impl Table {
    fn insert(&self, args: &Args<'_>) -> Result<Value> {
        let documents = match args.value(1)?.into_answer(args.cx())? {
            Datum::Array(documents) => documents.iter().collect(),
            document => vec![document],
        };
        for document in documents {
            let Some(key) = document.as_object()?.get("id") else {
                return Err(Error::internal(OUT_OF_THIS_WORLD));
            };
            TABLES.with_borrow_mut(|tables| {
                tables.entry(self.0.clone()).or_default().entry(key).or_insert(document);
            });
        }
        Ok(Value::Datum(Datum::Null))
    }
}

const OUT_OF_THIS_WORLD: &str = "this needs a world";

impl World for Small {
    fn term(&self, args: &Args<'_>) -> Result<Value> {
        let name = |index| args.string(index).map(|name| name.to_string());
        match args.kind() {
            TermKind::Db => Ok(Value::Db(Db { id: Str::from(""), name: Str::from(name(0)?) })),
            TermKind::Table if args.len() == 2 => match args.value(0)? {
                Value::Db(db) if db.name == "test" && args.call().optargs.is_empty() => {
                    let name = name(1)?;
                    if !TABLES.with_borrow(|tables| tables.contains_key(&name)) {
                        return Err(Error::internal(OUT_OF_THIS_WORLD));
                    }
                    Ok(Value::Table(Rc::new(Table(name))))
                }
                _ => Err(Error::internal(OUT_OF_THIS_WORLD)),
            },
            TermKind::TableCreate => {
                let name = name(args.len() - 1)?;
                TABLES.with_borrow_mut(|tables| tables.insert(name, BTreeMap::new()));
                Ok(Value::Datum(Datum::Null))
            }
            _ => Err(Error::internal(OUT_OF_THIS_WORLD)),
        }
    }

    fn now_micros(&self) -> i64 {
        1_700_000_000_000_000
    }

    fn random(&self, bytes: &mut [u8]) {
        thread_local!(static STATE: std::cell::Cell<u64> = const { std::cell::Cell::new(1) });
        for byte in bytes {
            STATE.with(|state| {
                let next = state.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                state.set(next);
                *byte = (next >> 56) as u8;
            });
        }
    }
}

/// What came of a query: the response type, the error number, the results, and the path to the fault.
#[derive(Debug)]
struct Answer {
    kind: u64,
    error: Option<u64>,
    results: Vec<Json>,
    path: Option<Json>,
}

fn main_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..")
}

fn records() -> Option<PathBuf> {
    let folder = match std::env::var_os("PHOTONDB_CONFORMANCE") {
        Some(folder) => PathBuf::from(folder),
        None => main_folder().join("shared/conformance"),
    };
    folder.join("vectors").is_dir().then(|| folder.join("vectors"))
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for entry in entries {
        if entry.is_dir() {
            files(&entry, found);
        } else if entry.extension().is_some_and(|extension| extension == "jsonl") {
            found.push(entry);
        }
    }
}

fn json(datum: &Datum) -> Result<Json> {
    Ok(serde_json::from_str(&datum.to_json()?).unwrap())
}

/// Every row, as a client takes them: batch after batch, of what a `limit` ends, too.
fn rows(sequence: Sequence, cx: &Cx) -> Result<Vec<Json>> {
    let mut stream = sequence.open(cx)?;
    let mut rows = Vec::new();
    loop {
        let batch = stream.next_batch(100, cx)?;
        if batch.is_empty() {
            return Ok(rows);
        }
        for row in &batch {
            rows.push(json(row)?);
        }
    }
}

/// What a query is to this test.
enum Outcome {
    Answered(Answer),
    /// It needs more of a world than there is.
    OutOfThisWorld,
    /// It changed something in a way that this world does not know: tables are not what they were any more.
    Changed,
}

fn run(query: &Json) -> Outcome {
    match try_run(query) {
        (false, Some(answer)) => Outcome::Answered(answer),
        // What this world answers to writes is not to the point.
        (true, Some(answer)) if answer.kind == 1 => Outcome::OutOfThisWorld,
        (true, _) => Outcome::Changed,
        (false, None) => Outcome::OutOfThisWorld,
    }
}

/// Runs a query: whether it writes, and its answer, if there is one.
fn try_run(query: &Json) -> (bool, Option<Answer>) {
    let failed = |error: Error, path: Option<Json>| Answer {
        kind: u64::from(error.kind.response_type()),
        error: error.kind.number().map(u64::from),
        results: vec![Json::from(error.message)],
        path,
    };
    let start = match parse(query.to_string().as_bytes()) {
        Ok(Message::Start(start)) => start,
        Ok(_) => return (false, None),
        Err(refusal) => {
            let mut path = Vec::new();
            photondb_reql::term::write_frames(&refusal.frames, &mut path);
            return (false, Some(failed(refusal.error, serde_json::from_slice(&path).ok())));
        }
    };
    let path = |error: &Error| {
        let mut out = Vec::new();
        start.registry.write_json(error.backtrace.unwrap_or(photondb_reql::BacktraceId::NONE), &mut out);
        serde_json::from_slice(&out).ok()
    };
    let compiled = match eval::compile(&start.term) {
        Ok(query) => query,
        Err(error) => {
            let path = path(&error);
            return (false, Some(failed(error, path)));
        }
    };
    let writes = compiled.root.traits().writes;
    let mut limits = Limits::default();
    if let Some(limit) = query[2]["array_limit"].as_u64() {
        limits.array = limit as usize;
    }
    let cx = Cx::new(Small, limits);
    let answered = || -> Result<Answer> {
        let (kind, results) = match eval::eval(&compiled.root, &Scope::empty(), &cx)? {
            Value::Db(_) => return Err(Error::internal(OUT_OF_THIS_WORLD)),
            value @ Value::Table(_) => (2, rows(value.into_sequence(&cx)?, &cx)?),
            Value::Sequence(sequence) if !sequence.is_grouped() && !sequence.infinite() && !sequence.is_array() => {
                (2, rows(sequence, &cx)?)
            }
            value => (1, vec![json(&value.into_answer(&cx)?)?]),
        };
        Ok(Answer { kind, error: None, results, path: None })
    };
    let answer = match answered() {
        Ok(answer) => Some(answer),
        Err(error) if error.message == OUT_OF_THIS_WORLD || error.message.ends_with("is not supported yet.") => None,
        Err(error) => {
            let path = path(&error);
            Some(failed(error, path))
        }
    };
    (writes, answer)
}

fn same(expected: &Json, found: &Json) -> bool {
    match (expected, found) {
        (Json::Number(a), Json::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(f64::MIN_POSITIVE)
        }
        (Json::Array(a), Json::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Json::Object(a), Json::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| same(a, b)))
        }
        (a, b) => a == b,
    }
}

/// Whether a record's answer may differ in more than order: such records only have to agree in the type of response.
fn loose(record: &Json) -> bool {
    let only_order =
        |rules: &Json| rules.as_array().is_some_and(|rules| rules.iter().all(|rule| rule[1] == "unordered"));
    record.get("tags").is_some() || record.get("compare").is_some_and(|rules| !only_order(rules))
}

/// The same with every array sorted.
fn without_order(value: &Json) -> Json {
    match value {
        Json::Array(items) => {
            let mut items: Vec<Json> = items.iter().map(without_order).collect();
            items.sort_by_cached_key(Json::to_string);
            Json::Array(items)
        }
        Json::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), without_order(value))).collect(),
        other => other.clone(),
    }
}

fn needs_javascript(record: &Json) -> bool {
    record["tags"].as_array().is_some_and(|tags| tags.iter().any(|tag| tag == "js"))
}

fn agrees(record: &Json, answer: &Answer) -> bool {
    let expected = &record["r"];
    if expected["t"].as_u64() != Some(answer.kind) || expected["e"].as_u64() != answer.error {
        return false;
    }
    let found = Json::Array(answer.results.clone());
    match record.get("compare") {
        _ if loose(record) => true,
        Some(_) => same(&without_order(&expected["r"]), &without_order(&found)),
        None => same(&expected["r"], &found),
    }
}

#[test]
fn answers_are_those_recorded() {
    let Some(folder) = records() else {
        println!("no records found; nothing tested");
        return;
    };
    // Deep recursion belongs on the stacks of queries, which are larger than a test's.
    std::thread::Builder::new().stack_size(256 << 20).spawn(move || check(&folder)).unwrap().join().unwrap();
}

fn check(folder: &Path) {
    let show: usize = std::env::var("PHOTONDB_SHOW").ok().and_then(|show| show.parse().ok()).unwrap_or(0);
    let only = std::env::var("PHOTONDB_ONLY").unwrap_or_default();
    let mut found = Vec::new();
    files(folder, &mut found);
    let (mut passed, mut failed, mut paths_agree) = (0, 0, 0);
    let mut per_file: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for file in found {
        let name = file.strip_prefix(folder).unwrap().display().to_string();
        if !name.contains(&only) {
            continue;
        }
        TABLES.with_borrow_mut(BTreeMap::clear);
        for line in std::fs::read_to_string(&file).unwrap().lines().skip(1) {
            // The few records that nest too deep for this reader have tests of their own.
            let Ok(record) = serde_json::from_str::<Json>(line) else { continue };
            let runs = record.get("op").is_none() && !needs_javascript(&record);
            if !runs || line.contains("\"$var\"") || record["q"][0] != 1 {
                continue;
            }
            // The options of a whole query are checked by who runs it.
            let options = &record["q"][2];
            if options["array_limit"].as_i64().is_some_and(|limit| limit < 1) || options["read_mode"] == "bogus" {
                continue;
            }
            let answer = match run(&record["q"]) {
                Outcome::Answered(answer) if record.get("role").is_none() => answer,
                Outcome::Changed => {
                    // The tables it names are not what this world holds any more.
                    TABLES.with_borrow_mut(|tables| tables.retain(|name, _| !line.contains(&format!("\"{name}\""))));
                    continue;
                }
                _ => continue,
            };
            let counts = per_file.entry(name.clone()).or_default();
            if agrees(&record, &answer) {
                passed += 1;
                counts.0 += 1;
                if answer.kind > 15 {
                    let agrees = answer.path.as_ref() == record["r"].get("b");
                    paths_agree += usize::from(agrees);
                    if !agrees && show > 0 && std::env::var_os("PHOTONDB_PATHS").is_some() {
                        println!("{} {} path {:?} not {}", record["id"], record["q"], answer.path, record["r"]["b"]);
                    }
                }
            } else {
                failed += 1;
                counts.1 += 1;
                if counts.1 <= show {
                    println!(
                        "{}\n  query    {}\n  expected {}\n  found    {answer:?}",
                        record["id"], record["q"], record["r"]
                    );
                }
            }
        }
    }
    for (file, (passed, failed)) in &per_file {
        println!("{file}: {passed} passed, {failed} failed");
    }
    println!("{passed} passed, {failed} failed; {paths_agree} errors point where RethinkDB's do");
    assert!(!only.is_empty() || passed >= FLOOR, "{passed} passed, {failed} failed");
}

/// What has been reached, never to be lost again.
const FLOOR: usize = 2450;
