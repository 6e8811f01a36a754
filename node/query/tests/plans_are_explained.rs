//! `explain`: what a plan shows, that nothing is done for it, and that every kind of query has one.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::rc::Rc;

#[path = "double/catalog.rs"]
mod catalog;
#[path = "double/session.rs"]
mod session;
#[path = "double/table.rs"]
mod table;

use catalog::MemoryCatalog;
use photondb_query::catalog::UserPermissions;
use photondb_reql::TermKind;
use photondb_reql::datum::{Datum, json};
use session::Session;
use table::ROWS_GIVEN;

const T: &str = r#"[15,["t"]]"#;

fn filled() -> Session {
    filled_in(&Rc::default())
}

fn filled_in(catalog: &Rc<MemoryCatalog>) -> Session {
    let session = Session::of(catalog, "admin");
    let run = |term: &str| session.run(&term.replace("$T", T));
    run(r#"[75,[$T,"a"]]"#);
    run(r#"[75,[$T,"g"],{"geo":true}]"#);
    run(r#"[60,["u"]]"#);
    run(r#"[56,[$T,[2,[{"id":1,"a":3},{"id":2,"a":1},{"id":3,"a":2},{"id":4,"a":2}]]]]"#);
    session
}

fn explained(session: &Session, query: &str, how: &str) -> Datum {
    let answer = session.run(&format!("{},{{\"explain\":{how}}}", query.replace("$T", T)));
    json::parse(answer.as_bytes()).unwrap_or_else(|_| panic!("{query}: {answer}"))
}

fn text(session: &Session, query: &str) -> String {
    explained(session, query, "true").field("text").unwrap().as_string().unwrap().to_string()
}

#[test]
fn steps_are_told_in_the_order_of_the_rows() {
    let session = filled();
    for (query, expected) in [
        ("$T", "read test.t: full scan by `id`, 4 rows [shard]\n"),
        ("[43,[$T]]", "count test.t: full scan by `id`, 4 rows: stands in the tree, no row is read [shard]\n"),
        ("[16,[$T,1]]", "read test.t: primary key point by `id` 1 [shard]\n"),
        ("[78,[$T,1,2]]", "read test.t: primary key points by `id` 1, 2, 2 rows [shard]\n"),
        (r#"[78,[$T,2],{"index":"a"}]"#, "read test.t: index points by `a` 2, 2 rows [shard]\n"),
        ("[182,[$T,1,3]]", "read test.t: primary key range by `id` [1, 3), 2 rows [shard]\n"),
        (r#"[182,[$T,2,[181,[]]],{"index":"a"}]"#, "read test.t: index range by `a` [2, maxval), 3 rows [shard]\n"),
        (
            r#"[71,[[41,[$T],{"index":[74,["a"]]}],2]]"#,
            "read test.t: whole index by `a`, descending, 4 rows [shard]\nlimit(2) [coordinator]\n",
        ),
        (
            r#"[147,[$T],{"index":"a"}]"#,
            "read test.t: first row by `a`, ascending, 1 row [shard]\nmin(index: \"a\"): takes the first row [coordinator]\n",
        ),
        (
            r#"[145,[[33,[[39,[$T,{"a":2}]],"a"]],"a"]]"#,
            "read test.t: full scan by `id`, 4 rows [shard]\nfilter({\"a\":2}) [shard]\n\
             pluck(\"a\") [coordinator]\nsum(\"a\"): reduces row by row [coordinator]\n",
        ),
        (
            r#"[145,[[39,[$T,{"a":2}]],"a"]]"#,
            "read test.t: full scan by `id`, 4 rows [shard]\nfilter({\"a\":2}) [shard]\n\
             sum(\"a\"): reduces row by row [shard]\n",
        ),
        (
            r#"[50,[$T,"a",[15,["u"]]]]"#,
            "read test.t: full scan by `id`, 4 rows [shard]\n\
             eq_join(\"a\", r.table(\"u\")): looks up the other table for each row [coordinator]\n  for each row:\n    \
             read test.u: primary key point by `id` [shard]\n",
        ),
        (
            r#"[38,[$T,[69,[[2,[1]],[16,[[15,["u"]],[170,[[10,[1]],"a"]]]]]]]]"#,
            "read test.t: full scan by `id`, 4 rows [shard]\n\
             map(function (var1) { return r.table(\"u\").get(var1(\"a\")); }) [coordinator]\n  for each row:\n    \
             read test.u: primary key point by `id` var1(\"a\") [shard]\n",
        ),
        (
            "[147,[$T]]",
            "read test.t: first row by `id`, ascending, 1 row [shard]\nmin: takes the first row [coordinator]\n",
        ),
        (
            "[148,[$T]]",
            "read test.t: first row by `id`, descending, 1 row [shard]\nmax: takes the first row [coordinator]\n",
        ),
        (
            r#"[147,[[15,["u"]]]]"#,
            "read test.u: first row by `id`, ascending, 0 rows [shard]\nmin: takes the first row [coordinator]\n",
        ),
        (
            r#"[147,[$T,"a"]]"#,
            "read test.t: full scan by `id`, 4 rows [shard]\nmin(\"a\"): reduces row by row [shard]\n",
        ),
        (
            "[147,[[182,[$T,1,3]]]]",
            "read test.t: primary key range by `id` [1, 3), 2 rows [shard]\nmin: reduces row by row [shard]\n",
        ),
        (
            r#"[43,[[144,[$T,"id"],{"index":"a"}]]]"#,
            "read test.t: whole index by `a`, ascending, 4 rows [shard]\ngroup(\"id\", index: \"a\") [coordinator]\n\
             count: reduces row by row [coordinator]\n",
        ),
        (
            r#"[144,[$T],{"index":"id"}]"#,
            "read test.t: full scan by `id`, 4 rows [shard]\ngroup(\"id\") [coordinator]\n",
        ),
        (
            "[42,[$T]]",
            "read test.t: full scan by `id`, ascending, 4 rows [shard]\n\
             distinct: drops what is like the one before [coordinator]\n",
        ),
        (
            r#"[42,[$T],{"index":"a"}]"#,
            "read test.t: whole index by `a`, ascending, 4 rows [shard]\n\
             distinct(index: \"a\"): drops what is like the one before [coordinator]\n",
        ),
        (
            r#"[42,[[182,[$T,2,3],{"index":"a"}]],{"index":"id"}]"#,
            "read test.t: index range by `a` [2, 3), 2 rows [shard]\n\
             distinct(index: \"id\"): gives the key of each row [coordinator]\n",
        ),
        (
            r#"[42,[[182,[$T,2,3],{"index":"a"}]]]"#,
            "read test.t: index range by `a` [2, 3), 2 rows [shard]\n\
             distinct: keeps each value once, in memory [coordinator]\n",
        ),
        ("[24,[1,2]]", "compute(r.add(1, 2)) [coordinator]\n"),
    ] {
        assert_eq!(text(&session, query), expected, "{query}");
    }
}

#[test]
fn nothing_is_written_for_a_plan() {
    let session = filled();
    for query in [
        r#"[56,[$T,{"id":9}]]"#,
        "[54,[$T]]",
        r#"[53,[[16,[$T,1]],{"a":9}]]"#,
        r#"[62,[]]"#,
        r#"[60,["new"]]"#,
        r#"[75,[$T,"new"]]"#,
        r#"[68,[[2,[1,2]],[69,[[2,[1]],[56,[$T,{"id":[24,[10,[10,[1]]]]}]]]]]]"#,
        // In an argument of what is only prepared.
        r#"[78,[$T,[170,[[170,[[56,[$T,{}]],"generated_keys"]],0]]]]"#,
        r#"[16,[$T,[170,[[56,[$T,{"id":11}]],"inserted"]]]]"#,
        r#"[92,[[56,[$T,{"id":12}]],[54,[$T]]]]"#,
        r#"[65,[true,[54,[$T]],[54,[$T]]]]"#,
        r#"[64,[[69,[[2,[1]],[10,[1]]]],[54,[$T]]]]"#,
        r#"[15,[[170,[[54,[$T]],"x"]]]]"#,
    ] {
        let plan = explained(&session, query, "true");
        assert_eq!(plan.field("executed").unwrap(), Datum::Bool(false), "{query}");
        assert_eq!(session.run(&format!("[43,[{T}]]")), "4", "{query}");
        assert_eq!(session.run(r#"[62,[]]"#), r#"["t","u"]"#, "{query}");
    }
    let refused = session.run(&format!(r#"{T},{{"explain":true,"db":[14,[[170,[[54,[{T}]],"x"]]]]}}"#));
    assert!(refused.starts_with("!QueryLogic: A query whose global option `db` writes"), "{refused}");
    let insert = explained(&session, r#"[56,[$T,{"id":9}]]"#, "true");
    assert_eq!(insert.field("kind").unwrap(), Datum::from("write"));
}

#[test]
fn nothing_is_read_for_a_plan() {
    let session = filled();
    for query in [
        "$T",
        "[147,[$T]]",
        r#"[41,[$T],{"index":"a"}]"#,
        r#"[38,[[39,[[144,[$T,"a"]],{"a":2}]],[69,[[2,[1]],[10,[1]]]]]]"#,
        // What would be done for each group, once all of them are read.
        r#"[41,[[144,[$T],{"index":"a"}]],{"index":"id"}]"#,
        r#"[182,[[144,[$T,"a"]],1,3]]"#,
        r#"[78,[[144,[$T,"a"]],1]]"#,
        r#"[16,[[144,[$T,"a"]],1]]"#,
        r#"[71,[[144,[$T,"a"]],2]]"#,
        r#"[87,[[39,[[144,[$T,"a"]],{"a":2}]],[69,[[2,[1]],true]]]]"#,
    ] {
        let before = ROWS_GIVEN.get();
        explained(&session, query, "true");
        assert_eq!(ROWS_GIVEN.get(), before, "{query}");
    }
}

#[test]
fn analyze_runs_the_query_and_counts() {
    let session = filled();
    let numbers = |query: &str| {
        let document = explained(&session, query, r#""analyze""#);
        let actual = document.field("actual").unwrap();
        let number = |name: &str| actual.field(name).unwrap().as_number().unwrap();
        assert!(number("running(ms)") >= 0.0 && number("planning(ms)") >= 0.0);
        (number("rows_examined"), number("rows_returned"))
    };
    assert_eq!(numbers(r#"[39,[$T,{"a":2}]]"#), (4.0, 2.0));
    assert_eq!(numbers("[43,[$T]]"), (0.0, 1.0));
    assert_eq!(numbers("[16,[$T,1]]"), (1.0, 1.0));
    assert_eq!(numbers("[147,[$T]]"), (1.0, 1.0));
    assert_eq!(numbers(r#"[147,[$T],{"index":"a"}]"#), (1.0, 1.0));
    assert_eq!(numbers(r#"[78,[$T,2],{"index":"a"}]"#), (2.0, 2.0));
    assert_eq!(numbers(r#"[50,[$T,"a",$T]]"#), (8.0, 4.0));
    assert_eq!(numbers("[24,[1,2]]"), (0.0, 1.0));
    let written = explained(&session, r#"[53,[[39,[$T,{"a":2}]],{"b":1}]]"#, r#""analyze""#);
    assert_eq!(written.field("result").unwrap().field("replaced").unwrap(), Datum::from(2));
    let step = &written.field("plan").unwrap().as_array().unwrap().get(0).unwrap();
    let access = step.field("access").unwrap().field("actual").unwrap();
    assert_eq!(access.field("rows_examined").unwrap(), Datum::from(4));
    for endless in ["[152,[$T]]", "[173,[]]"] {
        let refused = session.run(&format!("{},{{\"explain\":\"analyze\"}}", endless.replace("$T", T)));
        assert!(refused.contains("this one never ends"), "{refused}");
    }
    assert_eq!(numbers("[71,[[173,[]],3]]"), (0.0, 3.0));
}

#[test]
fn errors_are_those_of_the_query() {
    let catalog = Rc::default();
    let session = filled_in(&catalog);
    for query in [
        r#"[15,["none"]]"#,
        r#"[182,[$T,1,2],{"index":"none"}]"#,
        r#"[78,[$T,null]]"#,
        r#"[41,[$T],{"index":"g"}]"#,
        r#"[182,[[182,[$T,1,2]],1,2]]"#,
    ] {
        let query = query.replace("$T", T);
        assert_eq!(session.run(&format!("{query},{{\"explain\":true}}")), session.run(&query), "{query}");
        assert!(session.run(&query).starts_with('!'), "{query}");
    }
    catalog.users.borrow_mut().insert("nobody".to_owned(), UserPermissions::default());
    let nobody = Session::of(&catalog, "nobody");
    for query in ["$T", "[43,[$T]]", "[16,[$T,1]]", r#"[39,[$T,{"a":1}]]"#, r#"[53,[$T,{"a":1}]]"#] {
        for options in [r#"{"explain":true}"#, r#"{"explain":true,"use_index":"auto"}"#, r#"{"explain":"analyze"}"#] {
            let answer = nobody.run(&format!("{},{options}", query.replace("$T", T)));
            assert!(answer.starts_with("!Permission"), "{query}: {answer}");
        }
    }
    for value in [r#""plan""#, "1", "[2,[]]"] {
        let answer = session.run(&format!(r#"1,{{"explain":{value}}}"#));
        assert!(answer.starts_with("!QueryLogic: Expected `true`, `false` or \"analyze\""), "{answer}");
    }
    assert_eq!(session.run(r#"1,{"explain":false}"#), "1");
}

/// Whatever the term and wherever it stands: a plan or an error, and nothing written.
#[test]
fn every_term_has_a_plan_or_an_error() {
    let session = filled();
    let arguments = [T, "1", r#""a""#, "{}", "[2,[1,2]]", r#"[69,[[2,[1]],[10,[1]]]]"#, r#"[14,["test"]]"#];
    let mut plans = 0;
    for number in TermKind::all().map(TermKind::number) {
        for first in arguments {
            for rest in ["", ",1", r#","a""#, r#",[69,[[2,[1]],[15,["u"]]]]"#, &format!(",{T},1"), ",1,2,3"] {
                for options in ["", r#",{"index":"a"}"#] {
                    let term = format!("[{number},[{first}{rest}]{options}]");
                    for query in [term.clone(), format!("[39,[{term},{{}}]]"), format!("[65,[true,{term},1]]")] {
                        let answer = session.run(&format!(r#"{query},{{"explain":true,"use_index":"auto"}}"#));
                        plans += usize::from(answer.starts_with(r#"{"executed":false"#));
                    }
                }
            }
        }
    }
    assert!(plans > 2_000, "{plans}");
    assert_eq!(session.run(&format!("[43,[{T}]]")), "4");
    assert_eq!(session.run(r#"[62,[]]"#), r#"["t","u"]"#);
}

#[test]
fn long_and_deep_queries_have_short_plans() {
    let session = filled();
    let mut chain = T.to_owned();
    for _ in 0..3_000 {
        chain = format!("[70,[{chain},1]]");
    }
    let plan = session.run(&format!(r#"{chain},{{"explain":true}}"#));
    assert!(plan.contains("more steps than are shown") && plan.len() < 200_000, "{} bytes", plan.len());
    let mut deep = T.to_owned();
    for level in 0..60 {
        deep = format!("[38,[{T},[69,[[2,[{level}]],{deep}]]]]");
    }
    let plan = session.run(&format!(r#"{deep},{{"explain":true}}"#));
    assert!(plan.contains("deeper than is shown"), "{plan}");
    let large = format!(r#"[39,[{T},{{"a":"{}"}}]],{{"explain":true}}"#, "x".repeat(3_000_000));
    let plan = session.run(&large);
    assert!(plan.contains("bytes") && plan.len() < 10_000, "{} bytes", plan.len());
}
