//! Ranges, orders, counts and joins over a table in memory.

use std::rc::Rc;

#[path = "double/catalog.rs"]
mod catalog;
#[path = "double/session.rs"]
mod session;
#[path = "double/table.rs"]
mod table;

use session::Session;

fn filled() -> Session {
    let session = Session::of(&Rc::default(), "admin");
    let run = |term: &str| session.run(&term.replace("$T", r#"[15,["t"]]"#));
    run(r#"[75,[$T,"a"]]"#);
    run(r#"[75,[$T,"m"],{"multi":true}]"#);
    run(r#"[56,[$T,[2,[{"id":1,"a":3,"m":[2,[1,2]]},{"id":2,"a":1,"m":[2,[2]]},{"id":3,"a":2},{"id":4,"a":2}]]]]"#);
    session
}

#[test]
fn answers() {
    let session = filled();
    for (term, expected) in [
        (r#"[170,[[182,[$T,2,4]],"id"]]"#, "[2,3]"),
        (r#"[170,[[182,[$T,2,4],{"right_bound":"closed","left_bound":"open"}],"id"]]"#, "[3,4]"),
        (r#"[170,[[182,[$T,1,3],{"index":"a"}],"id"]]"#, "[2,3,4]"),
        (r#"[170,[[41,[$T],{"index":[74,["a"]]}],"id"]]"#, "[1,4,3,2]"),
        (r#"[170,[[41,[$T,[74,["id"]]],{"index":"a"}],"id"]]"#, "[2,4,3,1]"),
        (r#"[43,[[78,[$T,2],{"index":"m"}]]]"#, "2"),
        (r#"[170,[[78,[$T,1,1]],"id"]]"#, "[1,1]"),
        (r#"[144,[$T],{"index":"a"}]"#, ""),
        (r#"[42,[$T],{"index":"a"}]"#, "[1,2,3]"),
        (r#"[170,[[147,[$T],{"index":"a"}],"id"]]"#, "2"),
        (r#"[170,[[148,[$T]],"id"]]"#, "4"),
        (r#"[170,[[45,[[41,[$T],{"index":"a"}],0]],"id"]]"#, "2"),
        (r#"[43,[[50,[$T,"a",$T]]]]"#, "4"),
        (r#"[77,[$T]]"#, r#"["a","m"]"#),
        (
            r#"[182,[$T,null,1]]"#,
            "!QueryLogic: Cannot use `null` in BETWEEN, use `r.minval` or `r.maxval` to denote unboundedness.",
        ),
        (
            r#"[41,[[182,[$T,1,2],{"index":"a"}]],{"index":"id"}]"#,
            "!QueryLogic: Cannot order by index `id` after calling BETWEEN on index `a`.",
        ),
        (r#"[43,[[78,[$T,1],{"index":"no"}]]]"#, "!OpFailed: Index `no` was not found on table `test.t`."),
        (r#"[15,["no"]]"#, "!OpFailed: Table `test.no` does not exist."),
        (r#"[15,["a b"]]"#, "!QueryLogic: Table name `a b` invalid (Use A-Z, a-z, 0-9, _ and - only)."),
    ] {
        let answer = session.run(&term.replace("$T", r#"[15,["t"]]"#));
        if expected.is_empty() {
            assert!(answer.starts_with(r#"{"$reql_type$":"GROUPED_DATA""#), "{term}: {answer}");
        } else {
            assert_eq!(answer, expected, "{term}");
        }
    }
}

#[track_caller]
fn check(cases: &[(&str, &str)]) {
    let session = filled();
    for (term, expected) in cases {
        assert_eq!(session.run(&term.replace("$T", r#"[15,["t"]]"#)), *expected, "{term}");
    }
}

#[test]
fn of_what_is_empty_nobody_asks_for_the_index_or_the_keys() {
    check(&[
        (r#"[182,[$T,2,1],{"index":"no"}]"#, "[]"),
        (r#"[43,[[182,[$T,2,2],{"index":"no"}]]]"#, "0"),
        (r#"[182,[$T,{},1]]"#, "[]"),
        (r#"[170,[[182,[$T,2,2],{"right_bound":"closed"}],"id"]]"#, "[2]"),
        (r#"[78,[$T],{"index":"no"}]"#, "[]"),
        (r#"[170,[[54,[[182,[$T,2,1],{"index":"no"}]]],"deleted"]]"#, "0"),
    ]);
}

#[test]
fn what_is_empty_is_in_every_order() {
    let not_a_slice = "!QueryLogic: Indexed order_by can only be performed on a TABLE or TABLE_SLICE. Make sure order_by comes \
                       before any transformations (such as map) or filters.";
    check(&[
        (r#"[41,[[78,[$T]]],{"index":"a"}]"#, "[]"),
        (r#"[52,[[41,[[78,[$T]]],{"index":"a"}]]]"#, r#""SELECTION<STREAM>""#),
        (r#"[52,[[41,[[39,[[182,[$T,2,1]],{}]],"a"]]]]"#, r#""SELECTION<STREAM>""#),
        (r#"[41,[[71,[$T,0]]],{"index":"a"}]"#, "[]"),
        // A range is looked at only when it is read.
        (r#"[52,[[41,[[182,[$T,2,1]],"a"]]]]"#, r#""SELECTION<ARRAY>""#),
        (r#"[41,[[78,[$T,1]]],{"index":"a"}]"#, not_a_slice),
    ]);
}

#[test]
fn null_is_no_bound_to_the_between_of_old_drivers() {
    check(&[
        (r#"[170,[[36,[$T,null,3]],"id"]]"#, "[1,2]"),
        (r#"[170,[[36,[$T,3,null]],"id"]]"#, "[3,4]"),
        (r#"[170,[[36,[$T,null,null],{"index":"a"}],"id"]]"#, "[2,3,4,1]"),
        (r#"[170,[[36,[$T,2,3]],"id"]]"#, "[2]"),
    ]);
}

#[test]
fn a_join_of_an_array_is_an_array() {
    let rows = r#"[2,[{"k":2},{"k":9}]]"#;
    check(&[
        (&format!(r#"[52,[[50,[{rows},"k",$T]]]]"#), r#""ARRAY""#),
        (&format!(r#"[50,[{rows},"k",$T]]"#), r#"[{"left":{"k":2},"right":{"a":1,"id":2,"m":[2]}}]"#),
        (r#"[52,[[50,[[41,[$T,"id"]],"a",$T]]]]"#, r#""ARRAY""#),
        (r#"[52,[[50,[$T,"a",$T]]]]"#, r#""STREAM""#),
        (&format!(r#"[50,[{rows},"k",$T],{{"index":1}}]"#), "!QueryLogic: Expected type STRING but found NUMBER."),
        (
            r#"[43,[[50,[[173,[]],[69,[[2,[1]],[10,[1]]]],$T]]]]"#,
            "!QueryLogic: Cannot use an infinite stream with an aggregation function (`reduce`, `count`, etc.) or coerce it to an array.",
        ),
        (
            r#"[50,[[144,[$T,"a"]],"a",$T]]"#,
            "!QueryLogic: Cannot treat the output of `group` as a stream (did you mean to `ungroup`?).",
        ),
    ]);
}

#[test]
fn a_document_that_is_not_there_is_lacking_where_a_sequence_is_wanted() {
    let missing = "!NonExistence: Expected type SEQUENCE but found SINGLE_SELECTION:\nnull";
    check(&[
        ("[43,[[16,[$T,9]]]]", missing),
        ("[38,[[16,[$T,9]],[69,[[2,[1]],[10,[1]]]]]]", missing),
        ("[92,[[39,[[16,[$T,9]],true]],0]]", "0"),
        ("[43,[[16,[$T,3]]]]", "2"),
        (
            "[145,[[16,[$T,3]]]]",
            "!QueryLogic: Expected type SEQUENCE but found SINGLE_SELECTION:\n{\n\t\"a\":\t2,\n\t\"id\":\t3\n}",
        ),
        ("[45,[[16,[$T,3]],0]]", "!QueryLogic: Expected type ARRAY but found OBJECT."),
        ("[45,[[16,[$T,9]],0]]", "!NonExistence: Expected type ARRAY but found NULL."),
    ]);
}
