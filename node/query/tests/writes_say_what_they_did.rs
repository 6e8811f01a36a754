//! Writes, their answers and their refusals, over a table in memory.

use std::rc::Rc;

#[path = "double/catalog.rs"]
mod catalog;
#[path = "double/session.rs"]
mod session;
#[path = "double/table.rs"]
mod table;

use session::Session;

/// `r.table("t")`
const T: &str = r#"[15,["t"]]"#;

fn check(session: &Session, cases: &[(&str, &str)]) {
    for (term, expected) in cases {
        assert_eq!(session.run(&term.replace("$T", T)), *expected, "{term}");
    }
}

#[test]
fn an_insert_counts_each_document_once() {
    check(
        &Session::of(&Rc::default(), "admin"),
        &[
            (
                r#"[56,[$T,[2,[{"id":1,"a":1},{"id":2}]]]]"#,
                r#"{"deleted":0,"errors":0,"inserted":2,"replaced":0,"skipped":0,"unchanged":0}"#,
            ),
            (
                r#"[56,[$T,{"id":1,"b":2}],{"conflict":"update"}]"#,
                r#"{"deleted":0,"errors":0,"inserted":0,"replaced":1,"skipped":0,"unchanged":0}"#,
            ),
            (r#"[16,[$T,1]]"#, r#"{"a":1,"b":2,"id":1}"#),
            (
                r#"[56,[$T,{"id":1,"a":1,"b":2}],{"conflict":"replace"}]"#,
                r#"{"deleted":0,"errors":0,"inserted":0,"replaced":0,"skipped":0,"unchanged":1}"#,
            ),
            (
                r#"[56,[$T,{"id":2}],{"conflict":[69,[[2,[1,2,3]],null]]}]"#,
                r#"{"deleted":1,"errors":0,"inserted":0,"replaced":0,"skipped":0,"unchanged":0}"#,
            ),
            (r#"[43,[$T]]"#, "1"),
            // One for each element that it is merged into.
            (r#"[35,[[2,[{},{}]],{"n":[170,[[56,[$T,{"id":3}]],"inserted"]]}]]"#, r#"[{"n":1},{"n":0}]"#),
            (r#"[170,[[54,[[16,[$T,3]]]],"deleted"]]"#, "1"),
            // A function that has nothing to change changes nothing.
            (
                r#"[53,[$T,[69,[[2,[1]],null]]]]"#,
                r#"{"deleted":0,"errors":0,"inserted":0,"replaced":0,"skipped":0,"unchanged":1}"#,
            ),
            (
                r#"[53,[[16,[$T,1]],null]]"#,
                r#"{"deleted":0,"errors":0,"inserted":0,"replaced":0,"skipped":0,"unchanged":1}"#,
            ),
        ],
    );
}

#[test]
fn a_refusal_is_counted_and_its_text_is_the_first_error() {
    check(
        &Session::of(&Rc::default(), "admin"),
        &[
            (r#"[170,[[56,[$T,{"id":1}]],"inserted"]]"#, "1"),
            (
                r#"[170,[[56,[$T,{"id":1,"x":2}]],"first_error"]]"#,
                r#""Duplicate primary key `id`:\n{\n\t\"id\":\t1\n}\n{\n\t\"id\":\t1,\n\t\"x\":\t2\n}""#,
            ),
            (
                r#"[170,[[53,[[16,[$T,1]],{"id":2}]],"first_error"]]"#,
                r#""Primary key `id` cannot be changed (`{\n\t\"id\":\t1\n}` -> `{\n\t\"id\":\t2\n}`).""#,
            ),
            (
                r#"[170,[[55,[[16,[$T,1]],{"a":1}]],"first_error"]]"#,
                r#""Inserted object must have primary key `id`:\n{\n\t\"a\":\t1\n}""#,
            ),
            (r#"[170,[[55,[[16,[$T,1]],5]],"first_error"]]"#, r#""Inserted value must be an OBJECT (got NUMBER):\n5""#),
            (
                r#"[170,[[56,[$T,{"id":3,"m":[180,[]]}]],"first_error"]]"#,
                r#""`r.minval` and `r.maxval` cannot be written to disk.""#,
            ),
            (r#"[170,[[53,[[16,[$T,1]],{"x":[12,["no"]]}]],"first_error"]]"#, r#""no""#),
            (r#"[170,[[53,[[16,[$T,9]],{"x":1}]],"skipped"]]"#, "1"),
            (r#"[16,[$T,1]]"#, r#"{"id":1}"#),
        ],
    );
}

#[test]
fn what_never_ends_is_not_inserted() {
    let feed =
        "!QueryLogic: Cannot call a terminal (`reduce`, `count`, etc.) on an infinite stream (such as a changefeed).";
    let range = "!QueryLogic: Cannot use an infinite stream with an aggregation function (`reduce`, `count`, etc.) or coerce it to an array.";
    check(
        &Session::of(&Rc::default(), "admin"),
        &[
            (r#"[56,[$T,[152,[$T]]]]"#, feed),
            (r#"[56,[$T,[38,[[173,[]],[69,[[2,[1]],{"id":[10,[1]]}]]]]]]"#, range),
            (r#"[56,[$T,[71,[[38,[[173,[]],[69,[[2,[1]],{"id":[10,[1]]}]]]],2]]]]"#, range),
            (r#"[43,[$T]]"#, "0"),
        ],
    );
}

#[test]
fn changes_are_returned_in_order() {
    check(
        &Session::of(&Rc::default(), "admin"),
        &[
            (
                r#"[170,[[56,[$T,[2,[{"id":1},{"id":1},{"id":[2,[null]]}]]],{"return_changes":"always"}],"changes"]]"#,
                r#"[{"new_val":{"id":1},"old_val":null},{"error":"Duplicate primary key `id`:\n{\n\t\"id\":\t1\n}\n{\n\t\"id\":\t1\n}","new_val":{"id":1},"old_val":{"id":1}},{"error":"Array keys can only contain numbers, strings, bools,  pseudotypes, or arrays (got null of type NULL).","new_val":null,"old_val":null}]"#,
            ),
            (
                r#"[170,[[53,[$T,{"a":1}],{"return_changes":true}],"changes"]]"#,
                r#"[{"new_val":{"a":1,"id":1},"old_val":{"id":1}}]"#,
            ),
            (
                r#"[170,[[54,[$T],{"return_changes":true}],"changes"]]"#,
                r#"[{"new_val":null,"old_val":{"a":1,"id":1}}]"#,
            ),
            (
                r#"[53,[$T,{"a":1}],{"return_changes":"no"}]"#,
                "!QueryLogic: Invalid return_changes value `no` (options are `true`, `false`, and `'always'`.)",
            ),
        ],
    );
}

#[test]
fn what_depends_on_more_than_the_document_needs_the_flag() {
    check(
        &Session::of(&Rc::default(), "admin"),
        &[
            (r#"[170,[[56,[$T,[2,[{"id":1},{"id":2,"v":7}]]]],"inserted"]]"#, "2"),
            (
                r#"[53,[[16,[$T,1]],{"v":[170,[[16,[$T,2]],"v"]]}]]"#,
                "!QueryLogic: Could not prove argument deterministic.  Maybe you want to use the non_atomic flag?",
            ),
            (r#"[170,[[53,[[16,[$T,1]],{"v":[170,[[16,[$T,2]],"v"]]}],{"non_atomic":true}],"replaced"]]"#, "1"),
            (r#"[16,[$T,1]]"#, r#"{"id":1,"v":7}"#),
        ],
    );
}

#[test]
fn an_update_that_has_nothing_to_change_changes_nothing_where_it_is_not_atomic_too() {
    check(
        &Session::of(&Rc::default(), "admin"),
        &[
            (r#"[170,[[56,[$T,[2,[{"id":1,"a":1},{"id":2}]]]],"inserted"]]"#, "2"),
            // `branch(random() < 2, null, {a: 5})`, as a value and in a function.
            (
                r#"[53,[$T,[65,[[19,[[151,[]],2]],null,{"a":5}]]],{"non_atomic":true}]"#,
                r#"{"deleted":0,"errors":0,"inserted":0,"replaced":0,"skipped":0,"unchanged":2}"#,
            ),
            (
                r#"[53,[$T,[69,[[2,[1]],[65,[[19,[[151,[]],2]],null,[10,[1]]]]]]],{"non_atomic":true}]"#,
                r#"{"deleted":0,"errors":0,"inserted":0,"replaced":0,"skipped":0,"unchanged":2}"#,
            ),
            (
                r#"[53,[[16,[$T,1]],[65,[[19,[[151,[]],2]],null,{"a":5}]]],{"non_atomic":true}]"#,
                r#"{"deleted":0,"errors":0,"inserted":0,"replaced":0,"skipped":0,"unchanged":1}"#,
            ),
            (r#"[16,[$T,1]]"#, r#"{"a":1,"id":1}"#),
        ],
    );
}

#[test]
fn a_function_that_is_not_atomic_makes_documents_and_nothing_else() {
    check(
        &Session::of(&Rc::default(), "admin"),
        &[
            (r#"[170,[[56,[$T,[2,[{"id":1,"a":1},{"id":2}]]]],"inserted"]]"#, "2"),
            // `branch(random() < 2, .., x)`: no change shows what it fails with.
            (
                r#"[55,[[16,[$T,1]],[69,[[2,[1]],[65,[[19,[[151,[]],2]],null,[10,[1]]]]]]],{"non_atomic":true,"return_changes":"always"}]"#,
                r#"{"deleted":0,"errors":1,"first_error":"Expected type OBJECT but found NULL.","inserted":0,"replaced":0,"skipped":0,"unchanged":0}"#,
            ),
            (
                r#"[170,[[53,[[16,[$T,9]],{"a":[151,[]]}],{"non_atomic":true}],"first_error"]]"#,
                r#""Expected type OBJECT but found NULL.""#,
            ),
            (
                r#"[170,[[55,[[16,[$T,1]],[69,[[2,[1]],[65,[[19,[[151,[]],2]],5,[10,[1]]]]]]],{"non_atomic":true}],"first_error"]]"#,
                r#""Expected type OBJECT but found NUMBER.""#,
            ),
            (
                r#"[170,[[55,[[16,[$T,9]],[69,[[2,[1]],[65,[[19,[[151,[]],2]],{"id":8},[10,[1]]]]]]],{"non_atomic":true}],"first_error"]]"#,
                r#""Primary key `id` cannot be changed (`null` -> `{\n\t\"id\":\t8\n}`).""#,
            ),
            (r#"[43,[$T]]"#, "2"),
        ],
    );
}

#[test]
fn what_replace_is_given_is_read_once_unless_it_is_a_function() {
    check(
        &Session::of(&Rc::default(), "admin"),
        &[
            (r#"[170,[[56,[$T,[2,[{"id":1,"a":1},{"id":2}]]]],"inserted"]]"#, "2"),
            (
                r#"[55,[[16,[$T,1]],[35,[[16,[$T,9]],{"b":1}]]],{"non_atomic":true}]"#,
                "!NonExistence: Cannot perform merge on a non-object non-sequence `null`.",
            ),
            (
                r#"[55,[[16,[$T,1]],$T],{"non_atomic":true}]"#,
                "!QueryLogic: Expected type FUNCTION but found TABLE:\ntable(\"t\")",
            ),
            // `r.args([{id: 1, b: 2}])`, of `update` too.
            (r#"[170,[[55,[[16,[$T,1]],[154,[[2,[{"id":1,"b":2}]]]]]],"replaced"]]"#, "1"),
            (r#"[170,[[53,[[16,[$T,1]],[154,[[2,[{"c":3}]]]]]],"replaced"]]"#, "1"),
            (r#"[16,[$T,1]]"#, r#"{"b":2,"c":3,"id":1}"#),
            // `branch(random() < 2, null, {id: 1})` is `null`, as if it stood there.
            (
                r#"[55,[[16,[$T,1]],[65,[[19,[[151,[]],2]],null,{"id":1}]]],{"non_atomic":true}]"#,
                r#"{"deleted":1,"errors":0,"inserted":0,"replaced":0,"skipped":0,"unchanged":0}"#,
            ),
            (r#"[43,[$T]]"#, "1"),
        ],
    );
}

#[test]
fn what_is_no_document_is_not_inserted() {
    check(
        &Session::of(&Rc::default(), "admin"),
        &[
            (
                r#"[56,[$T,[2,[true,1]]]]"#,
                r#"{"deleted":0,"errors":2,"first_error":"Expected type OBJECT but found BOOL.","inserted":0,"replaced":0,"skipped":0,"unchanged":0}"#,
            ),
            // A time is an object. It gets no key.
            (
                r#"[56,[$T,[101,[1]]]]"#,
                r#"{"deleted":0,"errors":1,"first_error":"Inserted object must have primary key `id`:\n{\n\t\"$reql_type$\":\t\"TIME\",\n\t\"epoch_time\":\t1,\n\t\"timezone\":\t\"+00:00\"\n}","inserted":0,"replaced":0,"skipped":0,"unchanged":0}"#,
            ),
            (r#"[56,[$T,[16,[$T,9]]]]"#, "!NonExistence: Expected type SEQUENCE but found SINGLE_SELECTION:\nnull"),
            (
                r#"[56,[$T,[173,[]]]]"#,
                "!QueryLogic: Cannot use an infinite stream with an aggregation function (`reduce`, `count`, etc.) or coerce it to an array.",
            ),
            (
                r#"[56,[$T,[152,[$T]]]]"#,
                "!QueryLogic: Cannot call a terminal (`reduce`, `count`, etc.) on an infinite stream (such as a changefeed).",
            ),
            (r#"[43,[$T]]"#, "0"),
        ],
    );
}

#[test]
fn a_document_that_cannot_be_stored_counts_in_its_turn() {
    check(
        &Session::of(&Rc::default(), "admin"),
        &[
            (
                r#"[56,[$T,{"id":1,"m":[180,[]]}],{"return_changes":true}]"#,
                r#"{"changes":[],"deleted":0,"errors":1,"first_error":"`r.minval` and `r.maxval` cannot be written to disk.","inserted":0,"replaced":0,"skipped":0,"unchanged":0}"#,
            ),
            (
                r#"[170,[[56,[$T,[2,[{"id":1,"m":[180,[]]},{"id":[2,[null]]}]]]],"first_error"]]"#,
                r#""Array keys can only contain numbers, strings, bools,  pseudotypes, or arrays (got null of type NULL).""#,
            ),
        ],
    );
}

#[test]
fn a_key_that_none_can_be_is_told_before_that_it_changes() {
    check(
        &Session::of(&Rc::default(), "admin"),
        &[
            (
                r#"[170,[[55,[[16,[$T,9]],{"id":null}]],"first_error"]]"#,
                r#""Primary keys must be either a number, string, bool, pseudotype or array (got type NULL):\nnull""#,
            ),
            (
                r#"[170,[[55,[[16,[$T,9]],{"id":8}]],"first_error"]]"#,
                r#""Primary key `id` cannot be changed (null -> {\n\t\"id\":\t8\n})""#,
            ),
            (
                r#"[170,[[55,[[16,[$T,9]],[101,[1]]]],"first_error"]]"#,
                r#""Inserted object must have primary key `id`:\n{\n\t\"$reql_type$\":\t\"TIME\",\n\t\"epoch_time\":\t1,\n\t\"timezone\":\t\"+00:00\"\n}""#,
            ),
        ],
    );
}

#[test]
fn of_several_faulty_options_the_one_that_is_read_first_is_told() {
    check(
        &Session::of(&Rc::default(), "admin"),
        &[
            (
                r#"[56,[$T,{}],{"conflict":"x","durability":"wet"}]"#,
                "!QueryLogic: Conflict option `x` unrecognized (options are \"error\", \"replace\" and \"update\").",
            ),
            (
                r#"[56,[$T,{}],{"conflict":[69,[[2,[1]],1]],"durability":"wet"}]"#,
                "!QueryLogic: Durability option `wet` unrecognized (options are \"hard\" and \"soft\").",
            ),
            (r#"[53,[$T,{"a":1}],{"non_atomic":[12,["no"]],"durability":"wet"}]"#, "!User: no"),
            (
                r#"[54,[$T],{"non_atomic":true}]"#,
                r#"{"deleted":0,"errors":0,"inserted":0,"replaced":0,"skipped":0,"unchanged":0}"#,
            ),
        ],
    );
}

#[test]
fn a_write_hook_sees_and_changes_every_write() {
    check(
        &Session::of(&Rc::default(), "admin"),
        &[
            (
                r#"[189,[$T,[69,[[2,[1,2,3]],[65,[[17,[[10,[3]],null]],[10,[3]],[35,[[10,[3]],{"hooked":[170,[[10,[1]],"primary_key"]]}]]]]]]]]"#,
                r#"{"created":1}"#,
            ),
            (r#"[170,[[56,[$T,{"id":1}]],"inserted"]]"#, "1"),
            (r#"[16,[$T,1]]"#, r#"{"hooked":1,"id":1}"#),
            (r#"[170,[[56,[$T,{"id":2}],{"ignore_write_hook":true}],"inserted"]]"#, "1"),
            (r#"[16,[$T,2]]"#, r#"{"id":2}"#),
            (r#"[189,[$T,[69,[[2,[1,2,3]],[12,["denied"]]]]]]"#, r#"{"replaced":1}"#),
            (r#"[170,[[54,[[16,[$T,1]]]],"first_error"]]"#, r#""Error in write hook: denied""#),
            (r#"[189,[$T,[69,[[2,[1,2,3]],{"id":1}]]]]"#, r#"{"replaced":1}"#),
            (
                r#"[170,[[54,[[16,[$T,1]]]],"first_error"]]"#,
                r#""A write hook function must not turn a deletion into a replace/insert.""#,
            ),
            // What it gives is not merged into anything.
            (r#"[189,[$T,[69,[[2,[1,2,3]],{"id":3,"a":[137,[1]]}]]]]"#, r#"{"replaced":1}"#),
            (
                r#"[170,[[56,[$T,{"id":3}]],"first_error"]]"#,
                r#""Error in write hook: Stray literal keyword found: literal is only legal inside of the object passed to merge or update and cannot nest inside other literals.""#,
            ),
            // What it is shown as the key is that of the document as it is to be.
            (r#"[189,[$T,[69,[[2,[1,2,3]],{"id":1,"key":[170,[[10,[1]],"primary_key"]]}]]]]"#, r#"{"replaced":1}"#),
            (
                r#"[170,[[55,[[16,[$T,1]],{"a":1}],{"return_changes":true}],"changes"]]"#,
                r#"[{"new_val":{"id":1,"key":null},"old_val":{"hooked":1,"id":1}}]"#,
            ),
            (r#"[170,[[55,[[16,[$T,1]],5]],"first_error"]]"#, r#""Expected type OBJECT but found NUMBER.""#),
            (r#"[189,[$T,null]]"#, r#"{"deleted":1}"#),
            (r#"[190,[$T]]"#, "null"),
        ],
    );
}

#[test]
fn a_document_that_is_selected_twice_is_written_twice() {
    check(
        &Session::of(&Rc::default(), "admin"),
        &[
            (r#"[170,[[56,[$T,[2,[{"id":1},{"id":2}]]]],"inserted"]]"#, "2"),
            (r#"[170,[[53,[[78,[$T,1,1]],{"a":1}]],"unchanged"]]"#, "1"),
            (
                r#"[54,[[78,[$T,1,1,2]]]]"#,
                r#"{"deleted":2,"errors":0,"inserted":0,"replaced":0,"skipped":1,"unchanged":0}"#,
            ),
        ],
    );
}

#[test]
fn for_each_adds_up_its_writes() {
    check(
        &Session::of(&Rc::default(), "admin"),
        &[
            (
                r#"[68,[[173,[3]],[69,[[2,[1]],[56,[$T,{"id":[10,[1]]}]]]]]]"#,
                r#"{"deleted":0,"errors":0,"inserted":3,"replaced":0,"skipped":0,"unchanged":0}"#,
            ),
            (
                r#"[68,[[173,[3]],[69,[[2,[1]],5]]]]"#,
                "!QueryLogic: FOR_EACH expects one or more basic write queries.  Expected type ARRAY but found NUMBER.",
            ),
            (
                r#"[68,[[173,[3]],[69,[[2,[1]],null]]]]"#,
                "!NonExistence: FOR_EACH expects one or more basic write queries.  Expected type ARRAY but found NULL.",
            ),
            (
                r#"[68,[[16,[$T,9]],[69,[[2,[1]],{}]]]]"#,
                "!NonExistence: Expected type SEQUENCE but found SINGLE_SELECTION:\nnull",
            ),
            (r#"[92,[[38,[[16,[$T,9]],[69,[[2,[1]],[10,[1]]]]]],[2,[]]]]"#, "[]"),
        ],
    );
}
