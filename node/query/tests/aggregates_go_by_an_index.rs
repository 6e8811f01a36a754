//! `group`, `distinct`, `min`, `max`, `sum` and `avg` with an index, and where a table has one without being told.

use std::rc::Rc;

#[path = "double/catalog.rs"]
mod catalog;
#[path = "double/session.rs"]
mod session;
#[path = "double/table.rs"]
mod table;

use photondb_query::Answer;
use session::Session;

/// The table `t` has four documents; `a` and the compound index `p` have each of them, the multi index `m` has two. The table `u` has
/// none.
fn filled() -> Session {
    let session = Session::of(&Rc::default(), "admin");
    for term in [
        r#"[75,[$T,"a"]]"#,
        r#"[75,[$T,"m"],{"multi":true}]"#,
        r#"[75,[$T,"p",[69,[[2,[1]],[2,[[170,[[10,[1]],"a"]],[170,[[10,[1]],"id"]]]]]]]]"#,
        r#"[75,[$T,"g"],{"geo":true}]"#,
        r#"[60,["u"]]"#,
        r#"[75,[$U,"a"]]"#,
        r#"[56,[$T,[2,[{"id":1,"a":3,"m":[2,[1,2]]},{"id":2,"a":1,"m":[2,[2]]},{"id":3,"a":2},{"id":4,"a":2}]]]]"#,
    ] {
        let answer = session.run(&query(term));
        assert!(!answer.starts_with('!'), "{term}: {answer}");
    }
    session
}

fn query(term: &str) -> String {
    term.replace("$T", r#"[15,["t"]]"#).replace("$U", r#"[15,["u"]]"#)
}

#[track_caller]
fn check(session: &Session, cases: &[(&str, &str)]) {
    for (term, expected) in cases {
        assert_eq!(session.run(&query(term)), *expected, "{term}");
    }
}

fn grouped(data: &str) -> String {
    format!(r#"{{"$reql_type$":"GROUPED_DATA","data":{data}}}"#)
}

#[track_caller]
fn check_groups(cases: &[(&str, &str)]) {
    let session = filled();
    for (term, expected) in cases {
        assert_eq!(session.run(&query(term)), grouped(expected), "{term}");
    }
}

#[test]
fn the_value_in_the_index_is_the_last_part_of_a_group() {
    check_groups(&[
        (r#"[43,[[144,[$T],{"index":"a"}]]]"#, "[[1,1],[2,2],[3,1]]"),
        (r#"[43,[[144,[$T],{"index":"id"}]]]"#, "[[1,1],[2,1],[3,1],[4,1]]"),
        (r#"[43,[[144,[$T,"a"],{"index":"id"}]]]"#, "[[[1,2],1],[[2,3],1],[[2,4],1],[[3,1],1]]"),
        (r#"[43,[[144,[$T],{"index":"p"}]]]"#, "[[[1,2],1],[[2,3],1],[[2,4],1],[[3,1],1]]"),
        // Once for each of its values; what the index does not have is in no group.
        (r#"[43,[[144,[$T],{"index":"m"}]]]"#, "[[1,1],[2,2]]"),
        (r#"[43,[[144,[$T,"a"],{"index":"m"}]]]"#, "[[[1,2],1],[[3,1],1],[[3,2],1]]"),
        // What stands behind is done for each group.
        (r#"[145,[[39,[[144,[$T],{"index":"a"}],{"id":3}]],"id"]]"#, "[[2,3]]"),
        (r#"[170,[[144,[$T],{"index":"a"}],"id"]]"#, "[[1,[2]],[2,[3,4]],[3,[1]]]"),
        (r#"[71,[[170,[[144,[$T],{"index":"a"}],"id"]],1]]"#, "[[1,[2]],[2,[3]],[3,[1]]]"),
    ]);
}

#[test]
fn a_group_by_an_index_is_reduced_as_it_is_read() {
    let session = filled();
    // More documents than an array may have, but no more groups.
    let count = session.run(&query(r#"[43,[[144,[$T],{"index":"a"}]]],{"array_limit":3}"#));
    assert_eq!(count, grouped("[[1,1],[2,2],[3,1]]"));
    check(
        &session,
        &[
            (
                r#"[144,[$T],{"index":"a"}],{"array_limit":3}"#,
                "!ResourceLimit: Grouped data over size limit `3`.  Try putting a reduction (like `.reduce` or `.count`) \
                 on the end.",
            ),
            (r#"[52,[[144,[$T],{"index":"a"}]]]"#, r#""GROUPED_STREAM""#),
            (r#"[79,[[144,[$T],{"index":"a"}]]]"#, r#"{"type":"GROUPED_STREAM"}"#),
            // Nothing is read before it must be.
            (r#"[52,[[144,[$T],{"index":"no"}]]]"#, r#""GROUPED_STREAM""#),
            (r#"[43,[[144,[$T],{"index":"no"}]]]"#, "!OpFailed: Index `no` was not found on table `test.t`."),
            (
                r#"[43,[[144,[$T],{"index":"g"}]]]"#,
                "!QueryLogic: Index `g` is a geospatial index.  Only get_nearest and get_intersecting can use a \
                 geospatial index.",
            ),
        ],
    );
}

#[test]
fn multi_takes_the_value_in_the_index_apart_too() {
    check_groups(&[
        (r#"[43,[[144,[$T],{"index":"p","multi":true}]]]"#, "[[1,2],[2,3],[3,2],[4,1]]"),
        (r#"[43,[[144,[$T],{"index":"p","multi":false}]]]"#, "[[[1,2],1],[[2,3],1],[[2,4],1],[[3,1],1]]"),
        (r#"[43,[[144,[$T,"m"],{"index":"a","multi":true}]]]"#, "[[[null,2],2],[[1,3],1],[[2,1],1],[[2,3],1]]"),
        (
            r#"[43,[[144,[$T,"m"],{"index":"id","multi":true}]]]"#,
            "[[[null,3],1],[[null,4],1],[[1,1],1],[[2,1],1],[[2,2],1]]",
        ),
    ]);
}

#[test]
fn only_a_whole_table_is_grouped_by_an_index() {
    check(
        &filled(),
        &[
            (
                r#"[144,[[182,[$T,1,3]]],{"index":"a"}]"#,
                "!QueryLogic: Expected type TABLE but found TABLE_SLICE:\nSELECTION ON table(t)",
            ),
            (
                r#"[144,[[41,[$T],{"index":"a"}]],{"index":"a"}]"#,
                "!QueryLogic: Expected type TABLE but found TABLE_SLICE:\nSELECTION ON table(t)",
            ),
            (
                r#"[144,[[78,[$T,1]]],{"index":"a"}]"#,
                "!QueryLogic: Expected type TABLE but found SELECTION:\nSELECTION ON table(t)",
            ),
            (
                r#"[144,[[144,[$T,"a"]]],{"index":"a"}]"#,
                "!QueryLogic: Expected type TABLE but found SEQUENCE:\nVALUE SEQUENCE",
            ),
            (r#"[144,[[2,[1]]],{"index":"a"}]"#, "!QueryLogic: Expected type TABLE but found DATUM:\n[\n\t1\n]"),
            (r#"[144,[$T],{"index":1}]"#, "!QueryLogic: Expected type STRING but found NUMBER."),
        ],
    );
}

#[test]
fn the_documents_of_a_table_are_distinct_in_the_order_of_its_key() {
    let session = filled();
    let Ok(Answer::Sequence(_)) = session.open(&query("[42,[$T]]")) else { panic!("no stream") };
    check(
        &session,
        &[
            (r#"[52,[[42,[$T]]]]"#, r#""STREAM""#),
            (r#"[79,[[42,[$T]]]]"#, r#"{"type":"STREAM"}"#),
            // More than an array may have.
            (r#"[170,[[42,[$T]],"id"]],{"array_limit":2}"#, "[1,2,3,4]"),
            (r#"[43,[[39,[[42,[$T]],{"a":2}]]]]"#, "2"),
            (r#"[170,[[42,[[41,[$T],{"index":[74,["id"]]}]]],"id"]]"#, "[4,3,2,1]"),
            (r#"[52,[[42,[[182,[$T,1,3]]]]]]"#, r#""STREAM""#),
            (r#"[170,[[42,[[182,[$T,1,3]]]],"id"]]"#, "[1,2]"),
            // These are not in the order of the key, so they are gathered.
            (r#"[52,[[42,[[182,[$T,1,3],{"index":"a"}]]]]]"#, r#""ARRAY""#),
            (r#"[52,[[42,[[41,[$T],{"index":"a"}]]]]]"#, r#""ARRAY""#),
            (r#"[52,[[42,[[78,[$T,1]]]]]]"#, r#""ARRAY""#),
            (r#"[54,[[42,[$T]]]]"#, "!QueryLogic: Expected type SELECTION but found SEQUENCE:\nVALUE SEQUENCE"),
            (r#"[152,[[42,[$T]]]]"#, "!QueryLogic: Cannot call `changes` on an eager stream."),
        ],
    );
}

#[test]
fn distinct_by_an_index_is_of_the_order_that_the_slice_has() {
    let session = filled();
    let only_a_table = "!QueryLogic: Can only perform an indexed distinct on a TABLE.";
    check(
        &session,
        &[
            (r#"[42,[$T],{"index":"a"}]"#, "[1,2,3]"),
            (r#"[42,[[41,[$T],{"index":[74,["a"]]}]],{"index":"a"}]"#, "[3,2,1]"),
            (r#"[42,[[182,[$T,1,3],{"index":"a"}]],{"index":"a"}]"#, "[1,2]"),
            // Of the primary key there is one for each row, as often as it is read.
            (r#"[42,[[182,[$T,1,3],{"index":"a"}]],{"index":"id"}]"#, "[2,3,4]"),
            (r#"[42,[[182,[$T,1,3],{"index":"m"}]],{"index":"id"}]"#, "[1,1,2]"),
            (r#"[42,[[41,[$T],{"index":[74,["a"]]}]],{"index":"id"}]"#, "[1,4,3,2]"),
            (r#"[42,[[182,[$T,1,3]]],{"index":"a"}]"#, only_a_table),
            (r#"[42,[[41,[$T],{"index":"id"}]],{"index":"a"}]"#, only_a_table),
            (r#"[42,[[182,[$T,1,3],{"index":"m"}]],{"index":"a"}]"#, only_a_table),
            (r#"[42,[[78,[$T,1]]],{"index":"id"}]"#, only_a_table),
            (r#"[42,[[2,[1]]],{"index":"id"}]"#, only_a_table),
            (r#"[42,[[2,[1]]],{"index":[12,["first"]]}]"#, "!User: first"),
        ],
    );
    assert!(session.open(&query(r#"[152,[[42,[$T],{"index":"id"}]]]"#)).is_ok(), "a feed of keys");
}

#[test]
fn the_first_row_of_an_index_is_read_when_it_is_wanted() {
    let session = filled();
    let none = |name: &str| format!("!QueryLogic: `{name}` found no entries in the specified index.");
    check(
        &session,
        &[
            (r#"[170,[[147,[$T]],"id"]]"#, "1"),
            (r#"[170,[[148,[$T],{"index":"a"}],"id"]]"#, "1"),
            (r#"[170,[[147,[$T],{"index":"a"}],"id"]]"#, "2"),
            ("[147,[$U]]", &none("min")),
            (r#"[148,[$U],{"index":"a"}]"#, &none("max")),
            // It is not for want of something.
            ("[92,[[147,[$U]],1]]", &none("min")),
            (r#"[53,[[148,[$U]],{"b":1}]]"#, &none("max")),
            ("[52,[[147,[$U]]]]", r#""SELECTION<OBJECT>""#),
            (r#"[52,[[147,[$T],{"index":"no"}]]]"#, r#""SELECTION<OBJECT>""#),
            (r#"[147,[$T],{"index":"no"}]"#, "!OpFailed: Index `no` was not found on table `test.t`."),
            (r#"[170,[[53,[[147,[$T],{"index":"a"}],{"b":1}]],"replaced"]]"#, "1"),
            (r#"[170,[[16,[$T,2]],"b"]]"#, "1"),
            (r#"[170,[[54,[[148,[$T]]]],"deleted"]]"#, "1"),
            (r#"[170,[$T,"id"]]"#, "[1,2,3]"),
        ],
    );
    for feed in [r#"[152,[[147,[$U]]]]"#, r#"[152,[[148,[$U],{"index":"a"}]]]"#] {
        assert!(session.open(&query(feed)).is_ok(), "{feed}");
    }
}

#[test]
fn only_a_whole_table_has_a_first_row() {
    let found = |kind: &str| format!("!QueryLogic: Expected type TABLE but found {kind}:\nSELECTION ON table(t)");
    check(
        &filled(),
        &[
            (r#"[147,[[182,[$T,1,5]]],{"index":"id"}]"#, &found("TABLE_SLICE")),
            (r#"[148,[[41,[$T],{"index":"a"}]],{"index":"a"}]"#, &found("TABLE_SLICE")),
            (r#"[147,[[78,[$T,1]]],{"index":"a"}]"#, &found("SELECTION")),
            (r#"[147,[[39,[$T,true]]],{"index":"a"}]"#, &found("SELECTION")),
            // Documents are compared whole, not by a key.
            (r#"[170,[[148,[[182,[$T,1,4]]]],"id"]]"#, "1"),
            (r#"[170,[[148,[[41,[$T],{"index":"id"}]]],"id"]]"#, "1"),
            (r#"[52,[[148,[[182,[$T,1,4]]]]]]"#, r#""OBJECT""#),
            (r#"[147,[$T,"a"],{"index":"id"}]"#, "!QueryLogic: Cannot provide both a function and an index to min."),
            (
                r#"[148,[[182,[$T,1,4]],"a"],{"index":"id"}]"#,
                "!QueryLogic: Cannot provide both a function and an index to max.",
            ),
        ],
    );
}

#[test]
fn sums_go_by_no_index_and_say_so_of_a_table_alone() {
    check(
        &filled(),
        &[
            (r#"[145,[$T],{"index":"a"}]"#, "!QueryLogic: Cannot call sum on an index."),
            (r#"[146,[$T],{"index":"a"}]"#, "!QueryLogic: Cannot call avg on an index."),
            (r#"[145,[$T,"a"],{"index":"a"}]"#, "!QueryLogic: Cannot provide both a function and an index to sum."),
            (
                r#"[145,[[182,[$T,1,5]]],{"index":"a"}]"#,
                "!QueryLogic: Expected type TABLE but found TABLE_SLICE:\nSELECTION ON table(t)",
            ),
            (r#"[146,[[2,[1]]],{"index":"a"}]"#, "!QueryLogic: Expected type TABLE but found DATUM:\n[\n\t1\n]"),
            (r#"[145,[[2,[1]]],{"index":[12,["first"]]}]"#, "!User: first"),
        ],
    );
}

#[test]
fn errors_point_to_where_the_row_comes_from() {
    let session = filled();
    for (term, expected) in [
        // The row is the term's, what a stream ends in is the stream's.
        ("[183,[[147,[$T]]]]", "[0]"),
        (r#"[183,[[147,[$T,"a"]]]]"#, "[0,0]"),
        ("[92,[[147,[$U]],1]]", "[0]"),
        ("[2,[1,[148,[$U]]]]", "[1]"),
        // The shard, which knows no query, says that there is no such index.
        (r#"[183,[[170,[[147,[$T],{"index":"no"}],"id"]]]]"#, "[]"),
        (r#"[183,[[43,[[144,[$T],{"index":"g"}]]]]]"#, "[]"),
        (r#"[183,[[43,[[78,[$T,1],{"index":"no"}]]]]]"#, "[]"),
        (r#"[183,[[145,[[182,[$T,1,5]]],{"index":"a"}]]]"#, "[0,0]"),
        (r#"[183,[[144,[[182,[$T,1,5]]],{"index":"a"}]]]"#, "[0,0]"),
        (r#"[183,[[42,[[182,[$T,1,5]]],{"index":"a"}]]]"#, "[0]"),
    ] {
        assert_eq!(session.frames(&query(term)), expected, "{term}");
    }
}
