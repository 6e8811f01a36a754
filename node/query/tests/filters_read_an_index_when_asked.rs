//! `use_index: "auto"`: a filter gives the same rows by an index as by reading the table, whatever stands in the documents and
//! in the predicate; and it does read an index where that is safe.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::rc::Rc;

#[path = "double/catalog.rs"]
mod catalog;
#[path = "double/session.rs"]
mod session;
#[path = "double/table.rs"]
mod table;

use photondb_reql::datum::{Datum, json};
use session::Session;

const AUTO: &str = r#"{"use_index":"auto"}"#;
const EXPLAINED: &str = r#"{"use_index":"auto","explain":true}"#;

/// SplitMix64, from a seed that is printed and can be given.
struct Draw(u64);

impl Draw {
    fn from_environment() -> Draw {
        let given = std::env::var("PHOTONDB_SEED").ok().and_then(|text| text.parse().ok());
        let seed = given.unwrap_or_else(|| {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            now.map_or(1, |age| age.as_nanos() as u64)
        });
        println!("PHOTONDB_SEED={seed}");
        Draw(seed)
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit as u64) as usize
    }

    fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }
}

/// Of every type, and some that are equal though they are written otherwise.
const VALUES: &[&str] = &[
    "0",
    "-0.0",
    "1",
    "2",
    "3",
    "2.5",
    "-1",
    "1e300",
    "true",
    "false",
    "null",
    r#""""#,
    r#""a""#,
    r#""b""#,
    r#""a\u0000""#,
    "[2,[]]",
    "[2,[1]]",
    "[2,[1,2]]",
    "[2,[null]]",
    r#"[2,[{"x":1}]]"#,
    "{}",
    r#"{"x":1}"#,
    r#"{"$reql_type$":"TIME","epoch_time":1,"timezone":"+00:00"}"#,
    r#"{"$reql_type$":"TIME","epoch_time":1,"timezone":"+01:00"}"#,
    r#"{"$reql_type$":"TIME","epoch_time":2,"timezone":"+00:00"}"#,
    r#"{"$reql_type$":"BINARY","data":"YQ=="}"#,
    r#"{"$reql_type$":"BINARY","data":"Yg=="}"#,
    r#"{"$reql_type$":"GEOMETRY","type":"Point","coordinates":[2,[1,2]]}"#,
];

/// Numbers and a few others: what most tables have in a field.
const PLAIN: &[&str] = &["0", "1", "2", "3", "4", "2.5", "-1", "7", r#""a""#, r#""b""#];

fn value(draw: &mut Draw) -> String {
    match draw.below(12) {
        // Longer than what an index key holds, and different only behind that.
        0 => format!(r#""{}{}""#, "x".repeat(300), draw.below(3)),
        1 => format!(r#"[2,["{}",{}]]"#, "y".repeat(300), draw.of(PLAIN)),
        2..7 => draw.of(PLAIN).to_owned(),
        _ => draw.of(VALUES).to_owned(),
    }
}

fn document(draw: &mut Draw, id: usize, tame: bool) -> String {
    let mut fields = vec![format!(r#""id":{id}"#)];
    for field in ["a", "b", "c", "m"] {
        if tame || draw.below(5) > 0 {
            let value = if tame { draw.of(&PLAIN[..8]).to_owned() } else { value(draw) };
            fields.push(format!(r#""{field}":{value}"#));
        }
    }
    format!("{{{}}}", fields.join(","))
}

fn field(draw: &mut Draw) -> String {
    let access = draw.of(&["170", "31"]);
    let row = draw.of(&["[10,[1]]", "[10,[1]]", "[13,[]]"]);
    format!(r#"[{access},[{row},"{}"]]"#, draw.of(&["a", "a", "b", "c", "m", "id", "none"]))
}

fn comparison(draw: &mut Draw) -> String {
    let kind = draw.of(&["17", "17", "18", "19", "20", "21", "22"]);
    let (left, right) = match draw.below(8) {
        0 => (field(draw), field(draw)),
        1 | 2 => (value(draw), field(draw)),
        3 => (field(draw), "[24,[1,1]]".to_owned()),
        4 => (field(draw), draw.of(&["[101,[1]]", "[180,[]]", "[181,[]]", "[12,[\"mine\"]]"]).to_owned()),
        _ => (field(draw), value(draw)),
    };
    format!("[{kind},[{left},{right}]]")
}

fn condition(draw: &mut Draw, depth: usize) -> String {
    match draw.below(if depth > 2 { 6 } else { 12 }) {
        0..=5 => comparison(draw),
        6..=8 => format!("[67,[{},{}]]", condition(draw, depth + 1), condition(draw, depth + 1)),
        9 => format!("[66,[{},{}]]", condition(draw, depth + 1), condition(draw, depth + 1)),
        10 => format!("[23,[{}]]", condition(draw, depth + 1)),
        // Fails where the field is no number.
        _ => format!("[21,[[24,[{},1]],0]]", field(draw)),
    }
}

fn predicate(draw: &mut Draw) -> String {
    match draw.below(6) {
        0 => format!(r#"{{"{}":{}}}"#, draw.of(&["a", "b", "c", "m", "id", "none"]), value(draw)),
        1 => format!(r#"{{"a":{},"b":{}}}"#, value(draw), value(draw)),
        2 => format!(r#"[69,[[2,[1]],{{"a":[24,[1,{}]],"b":{}}}]]"#, draw.of(&["1", "0", "\"x\""]), value(draw)),
        _ => format!("[69,[[2,[1]],{}]]", condition(draw, 0)),
    }
}

fn filter(of: &str, draw: &mut Draw) -> String {
    let default = match draw.below(10) {
        0 => r#",{"default":true}"#,
        1 => r#",{"default":[12,[]]}"#,
        2 => r#",{"default":false}"#,
        3 => r#",{"default":null}"#,
        _ => "",
    };
    format!("[39,[{of},{}]{default}]", predicate(draw))
}

fn table_of(documents: &[String]) -> Session {
    let session = Session::of(&Rc::default(), "admin");
    for index in [
        r#"[75,[[15,["t"]],"a"]]"#,
        r#"[75,[[15,["t"]],"m"],{"multi":true}]"#,
        r#"[75,[[15,["t"]],"by b",[69,[[2,[5]],[170,[[10,[5]],"b"]]]]]]"#,
        // Neither is of a field alone.
        r#"[75,[[15,["t"]],"c",[69,[[2,[5]],[24,[[170,[[10,[5]],"c"]],1]]]]]]"#,
        r#"[75,[[15,["t"]],"none",[69,[[2,[5]],[170,[[170,[[10,[5]],"a"]],"x"]]]]]]"#,
    ] {
        let answer = session.run(index);
        assert!(!answer.starts_with('!'), "{index}: {answer}");
    }
    let inserted = session.run(&format!(r#"[56,[[15,["t"]],[2,[{}]]]]"#, documents.join(",")));
    assert!(inserted.contains(&format!(r#""inserted":{}"#, documents.len())), "{inserted}");
    session
}

/// As a multiset: sorted. Errors as no more than that.
fn rows(answer: &str) -> Option<Vec<Datum>> {
    if answer.starts_with('!') {
        return None;
    }
    let Datum::Array(rows) = json::parse(answer.as_bytes()).unwrap() else { panic!("no rows: {answer}") };
    let mut rows = rows.into_vec();
    rows.sort();
    Some(rows)
}

#[test]
fn the_rows_are_the_same() {
    let mut draw = Draw::from_environment();
    let rounds = if std::env::var("PHOTONDB_TESTS").is_ok_and(|value| value == "full") { 300 } else { 12 };
    let (mut by_index, mut asked) = (0, 0);
    for round in 0..rounds {
        let documents: Vec<String> = (0..40).map(|id| document(&mut draw, id, round % 3 == 0)).collect();
        let session = table_of(&documents);
        for _ in 0..150 {
            let mut query = filter(r#"[15,["t"]]"#, &mut draw);
            for _ in 0..draw.below(3) / 2 {
                query = filter(&query, &mut draw);
            }
            let (scanned, found) = (session.run(&query), session.run(&format!("{query},{AUTO}")));
            assert_eq!(rows(&scanned), rows(&found), "{query}\nscan:  {scanned}\nindex: {found}\nof {documents:?}");
            // An array has no shard and no index.
            let of_array = session.run(&query.replace(r#"[15,["t"]]"#, r#"[51,[[15,["t"]],"array"]]"#));
            assert_eq!(
                rows(&of_array),
                rows(&scanned),
                "{query}\narray: {of_array}\nscan:  {scanned}\nof {documents:?}"
            );
            let plan = session.run(&format!("{query},{EXPLAINED}"));
            asked += 1;
            by_index += usize::from(plan.contains("in place of the whole table"));
        }
    }
    assert!(by_index > asked / 10, "{by_index} of {asked} were read by an index");
    assert!(by_index < asked * 9 / 10, "{by_index} of {asked} were read by an index");
}

#[test]
fn a_plan_says_which_index_and_why_not() {
    let documents: Vec<String> =
        (0..20).map(|n| format!(r#"{{"id":{n},"a":{n},"b":{n},"c":{n},"m":[2,[1,2]]}}"#)).collect();
    let session = table_of(&documents);
    let plan = |query: &str| session.run(&format!("{query},{EXPLAINED}"));
    let row = |name: &str| format!(r#"[170,[[10,[1]],"{name}"]]"#);
    let body = |body: &str| format!(r#"[39,[[15,["t"]],[69,[[2,[1]],{body}]]]]"#);
    for (query, path) in [
        (body(&format!("[17,[{},3]]", row("a"))), r#""index":"a","keys":"[3, 3]","path":"index point""#),
        (body(&format!("[20,[3,{}]]", row("b"))), r#""index":"by b","keys":"[3, maxval]","path":"index range""#),
        (
            body(&format!("[67,[[22,[{a},3]],[19,[{a},5]]]]", a = row("a"))),
            r#""index":"a","keys":"[3, 5)","path":"index range""#,
        ),
        (body(&format!("[17,[{},3]]", row("id"))), r#""index":"id","keys":"[3, 3]","path":"primary key point""#),
        (r#"[39,[[15,["t"]],{"b":3}]]"#.to_owned(), r#""index":"by b""#),
        // The value is known when the query runs, not before.
        (
            r#"[64,[[69,[[2,[2]],[39,[[15,["t"]],[69,[[2,[1]],[17,[[170,[[10,[1]],"a"]],[10,[2]]]]]]]]]],3]]"#
                .to_owned(),
            "not before the variables are known",
        ),
        (body(&format!("[17,[{},3]]", row("m"))), "may file a document more than once"),
        (body(&format!("[17,[{},3]]", row("c"))), "no index is of a field that is compared"),
        (
            body(&format!("[67,[[21,[[24,[{},1]],0]],[17,[{},3]]]]", row("b"), row("a"))),
            "before anything that may fail",
        ),
        (body(&format!("[18,[{},3]]", row("a"))), "no condition compares a field"),
        (r#"[39,[[15,["t"]],{"a":3}],{"default":true}]"#.to_owned(), "`default` lets rows pass"),
        (r#"[54,[[39,[[15,["t"]],{"a":3}]]]]"#.to_owned(), "the query writes"),
    ] {
        let found = plan(&query);
        let expected = if path.starts_with('"') { path.to_owned() } else { path.replace('"', "\\\"") };
        assert!(found.contains(&expected), "{query}: {found}");
    }
    // Nothing was deleted, and one document that the index leaves out is enough for an open range.
    assert_eq!(session.run(r#"[43,[[15,["t"]]]]"#), "20");
    session.run(r#"[56,[[15,["t"]],{"id":99,"b":null}]]"#);
    let open = body(&format!("[19,[{},3]]", row("b")));
    assert!(plan(&open).contains("it leaves out documents"), "{}", plan(&open));
    let found = rows(&session.run(&format!("{open},{AUTO}"))).unwrap();
    assert_eq!(found.len(), 4, "a null is less than a number: {found:?}");
    // Between numbers there are only numbers.
    let closed = body(&format!("[67,[[22,[{b},3]],[19,[{b},5]]]]", b = row("b")));
    assert!(plan(&closed).contains("in place of the whole table"), "{}", plan(&closed));
}

#[test]
fn most_of_a_large_table_is_read_through() {
    let documents: Vec<String> = (0..2_000).map(|n| format!(r#"{{"id":{n},"a":{n}}}"#)).collect();
    let session = table_of(&documents);
    let above =
        |limit: usize| format!(r#"[43,[[39,[[15,["t"]],[69,[[2,[1]],[21,[[170,[[10,[1]],"a"]],{limit}]]]]]]]]"#);
    let plan = |query: String| session.run(&format!("{query},{EXPLAINED}"));
    assert!(plan(above(100)).contains("too many of the table's rows"), "{}", plan(above(100)));
    assert!(plan(above(1_900)).contains(r#""rows":99"#), "{}", plan(above(1_900)));
    for limit in [100, 1_900] {
        assert_eq!(session.run(&format!("{},{AUTO}", above(limit))), (1_999 - limit).to_string());
    }
}

#[test]
fn the_option_has_two_values() {
    let session = table_of(&[]);
    for (value, expected) in [(r#""auto""#, "1"), (r#""never""#, "1"), ("null", "1")] {
        assert_eq!(session.run(&format!(r#"1,{{"use_index":{value}}}"#)), expected);
    }
    for value in [r#""always""#, "true", "1", "{}"] {
        let answer = session.run(&format!(r#"1,{{"use_index":{value}}}"#));
        assert!(answer.starts_with("!QueryLogic: Expected \"auto\" or \"never\" for optarg `use_index`"), "{answer}");
    }
}
