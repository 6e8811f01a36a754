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
