//! Changefeeds: initial content, changes, limits, squashing, over a table in memory.

use std::rc::Rc;

#[path = "double/catalog.rs"]
mod catalog;
#[path = "double/feed.rs"]
mod feed;
#[path = "double/session.rs"]
mod session;
#[path = "double/table.rs"]
mod table;

use feed::Feed;
use photondb_query::Answer;
use photondb_query::catalog::{Grants, UserPermissions};
use photondb_reql::datum::Datum;
use session::Session;

fn run(session: &Session, term: &str) -> String {
    session.run(&term.replace("$T", r#"[15,["t"]]"#))
}

fn feed(session: &Session, term: &str) -> Feed {
    Feed::open(session, &term.replace("$T", r#"[15,["t"]]"#))
}

#[test]
fn initial_content_then_changes() {
    let session = Session::of(&Rc::default(), "admin");
    run(&session, r#"[56,[$T,[2,[{"id":1},{"id":2}]]]]"#);
    let mut all = feed(&session, r#"[152,[$T],{"include_initial":true,"include_states":true,"include_types":true}]"#);
    run(&session, r#"[56,[$T,{"id":3}]]"#);
    assert_eq!(
        all.read(),
        [
            r#"{"state":"initializing","type":"state"}"#,
            r#"{"new_val":{"id":1},"type":"initial"}"#,
            r#"{"new_val":{"id":2},"type":"initial"}"#,
            r#"{"state":"ready","type":"state"}"#,
            r#"{"new_val":{"id":3},"old_val":null,"type":"add"}"#,
        ]
    );
    run(&session, r#"[53,[[16,[$T,1]],{"a":1}]]"#);
    run(&session, r#"[54,[[16,[$T,2]]]]"#);
    assert_eq!(
        all.read(),
        [
            r#"{"new_val":{"a":1,"id":1},"old_val":{"id":1},"type":"change"}"#,
            r#"{"new_val":null,"old_val":{"id":2},"type":"remove"}"#,
        ]
    );
    assert!(all.read().is_empty());
}

#[test]
fn a_point_feed_shows_that_there_is_nothing() {
    let session = Session::of(&Rc::default(), "admin");
    let mut point = feed(&session, r#"[152,[[16,[$T,7]]],{"include_initial":true}]"#);
    assert_eq!(point.read(), [r#"{"new_val":null}"#]);
    run(&session, r#"[56,[$T,[2,[{"id":6},{"id":7}]]]]"#);
    assert_eq!(point.read(), [r#"{"new_val":{"id":7},"old_val":null}"#]);
}

#[test]
fn what_enters_and_leaves_a_range_is_added_and_removed() {
    let session = Session::of(&Rc::default(), "admin");
    run(&session, r#"[75,[$T,"a"]]"#);
    run(&session, r#"[56,[$T,[2,[{"id":1,"a":1},{"id":2,"a":5}]]]]"#);
    let mut range = feed(&session, r#"[152,[[182,[$T,0,3],{"index":"a"}]],{"include_initial":true}]"#);
    assert_eq!(range.read(), [r#"{"new_val":{"a":1,"id":1}}"#]);
    run(&session, r#"[53,[[16,[$T,1]],{"a":9}]]"#);
    run(&session, r#"[53,[[16,[$T,2]],{"a":2}]]"#);
    run(&session, r#"[53,[[16,[$T,2]],{"b":2}]]"#);
    assert_eq!(
        range.read(),
        [
            r#"{"new_val":null,"old_val":{"a":1,"id":1}}"#,
            r#"{"new_val":{"a":2,"id":2},"old_val":null}"#,
            r#"{"new_val":{"a":2,"b":2,"id":2},"old_val":{"a":2,"id":2}}"#,
        ]
    );
}

#[test]
fn transforms_are_done_to_both_sides_and_what_they_hide_is_no_change() {
    let session = Session::of(&Rc::default(), "admin");
    let mut kept = feed(&session, r#"[152,[[33,[[39,[$T,{"k":1}]],"id","v"]]]]"#);
    run(&session, r#"[56,[$T,[2,[{"id":1,"k":1,"v":1},{"id":2,"k":2}]]]]"#);
    run(&session, r#"[53,[[16,[$T,1]],{"other":1}]]"#);
    run(&session, r#"[53,[[16,[$T,1]],{"k":2}]]"#);
    assert_eq!(
        kept.read(),
        [r#"{"new_val":{"id":1,"v":1},"old_val":null}"#, r#"{"new_val":null,"old_val":{"id":1,"v":1}}"#]
    );
}

#[test]
fn an_ordered_limit_is_refilled_when_an_element_leaves() {
    let session = Session::of(&Rc::default(), "admin");
    run(&session, r#"[56,[$T,[2,[{"id":1},{"id":2},{"id":3}]]]]"#);
    let term = r#"[152,[[71,[[41,[$T],{"index":"id"}],2]]],{"include_initial":true,"include_offsets":true}]"#;
    let mut first = feed(&session, term);
    assert_eq!(first.read(), [r#"{"new_offset":0,"new_val":{"id":1}}"#, r#"{"new_offset":1,"new_val":{"id":2}}"#]);
    run(&session, r#"[54,[[16,[$T,1]]]]"#);
    assert_eq!(first.read(), [r#"{"new_offset":1,"new_val":{"id":3},"old_offset":0,"old_val":{"id":1}}"#]);
    run(&session, r#"[56,[$T,{"id":0}]]"#);
    assert_eq!(first.read(), [r#"{"new_offset":0,"new_val":{"id":0},"old_offset":1,"old_val":{"id":3}}"#]);
}

#[test]
fn an_element_that_comes_or_goes_alone_has_one_offset() {
    let session = Session::of(&Rc::default(), "admin");
    let mut first = feed(&session, r#"[152,[[71,[[41,[$T],{"index":"id"}],5]]],{"include_offsets":true}]"#);
    run(&session, r#"[56,[$T,{"id":1}]]"#);
    run(&session, r#"[54,[[16,[$T,1]]]]"#);
    assert_eq!(
        first.read(),
        [
            r#"{"new_offset":0,"new_val":{"id":1},"old_offset":null,"old_val":null}"#,
            r#"{"new_offset":null,"new_val":null,"old_offset":0,"old_val":{"id":1}}"#,
        ]
    );
}

#[test]
fn a_document_that_only_moves_is_told_where_offsets_are() {
    let session = Session::of(&Rc::default(), "admin");
    run(&session, r#"[75,[$T,"a"]]"#);
    run(&session, r#"[56,[$T,[2,[{"id":1,"a":1},{"id":2,"a":2}]]]]"#);
    let term = r#"[152,[[71,[[33,[[41,[$T],{"index":"a"}],"id"]],5]]]$O]"#;
    let mut with = feed(&session, &term.replace("$O", r#",{"include_offsets":true}"#));
    let mut without = feed(&session, &term.replace("$O", ""));
    run(&session, r#"[53,[[16,[$T,2]],{"a":0}]]"#);
    assert_eq!(with.read(), [r#"{"new_offset":0,"new_val":{"id":2},"old_offset":1,"old_val":{"id":2}}"#]);
    assert!(without.read().is_empty());
}

#[test]
fn each_place_of_a_document_is_an_element_of_its_own() {
    let session = Session::of(&Rc::default(), "admin");
    run(&session, r#"[75,[$T,"m"],{"multi":true}]"#);
    run(&session, r#"[56,[$T,{"id":1,"m":[2,[5,6,6]]}]]"#);
    let mut first = feed(&session, r#"[152,[[71,[[41,[$T],{"index":"m"}],9]]],{"include_initial":true}]"#);
    assert_eq!(first.read(), [r#"{"new_val":{"id":1,"m":[5,6,6]}}"#; 3]);
    run(&session, r#"[53,[[16,[$T,1]],{"m":[2,[6]]}]]"#);
    let gone = r#"{"new_val":null,"old_val":{"id":1,"m":[5,6,6]}}"#;
    assert_eq!(first.read(), [r#"{"new_val":{"id":1,"m":[6]},"old_val":{"id":1,"m":[5,6,6]}}"#, gone, gone]);
}

#[test]
fn squashing_joins_the_changes_of_one_document() {
    let session = Session::of(&Rc::default(), "admin");
    let mut squashed = feed(&session, r#"[152,[$T],{"squash":true}]"#);
    run(&session, r#"[56,[$T,{"id":1}]]"#);
    run(&session, r#"[53,[[16,[$T,1]],{"a":1}]]"#);
    run(&session, r#"[56,[$T,{"id":2}]]"#);
    run(&session, r#"[54,[[16,[$T,2]]]]"#);
    assert_eq!(squashed.read(), [r#"{"new_val":{"a":1,"id":1},"old_val":null}"#]);
}

/// Each element names one that left and one that came: put together for each document, they would be in no order.
#[test]
fn squashed_elements_of_an_ordered_limit_can_be_replayed() {
    let session = Session::of(&Rc::default(), "admin");
    run(&session, r#"[56,[$T,[2,[{"id":5},{"id":6}]]]]"#);
    let term = r#"[152,[[71,[[41,[$T],{"index":"id"}],1]]],{"include_initial":true,"squash":true}]"#;
    let mut first = feed(&session, term);
    assert_eq!(first.read(), [r#"{"new_val":{"id":5}}"#]);
    run(&session, r#"[56,[$T,{"id":4}]]"#);
    run(&session, r#"[56,[$T,{"id":3}]]"#);
    run(&session, r#"[54,[[16,[$T,3]]]]"#);
    run(&session, r#"[56,[$T,{"id":2}]]"#);
    assert_eq!(first.read(), [r#"{"new_val":{"id":2},"old_val":{"id":5}}"#]);
    // What is as it was is no change.
    run(&session, r#"[54,[[16,[$T,2]]]]"#);
    run(&session, r#"[56,[$T,{"id":2}]]"#);
    assert!(first.read().is_empty());
    run(&session, r#"[54,[[182,[$T,1,5]]]]"#);
    assert_eq!(first.read(), [r#"{"new_val":{"id":5},"old_val":{"id":2}}"#]);
}

#[test]
fn a_slow_reader_is_told_how_much_it_missed() {
    let session = Session::of(&Rc::default(), "admin");
    let mut slow = feed(&session, r#"[152,[$T],{"changefeed_queue_size":2,"include_types":true}]"#);
    assert!(slow.read().is_empty());
    run(&session, r#"[56,[$T,[2,[{"id":1},{"id":2},{"id":3},{"id":4}]]]]"#);
    assert_eq!(
        slow.read(),
        [
            r#"{"error":"Changefeed cache over array size limit, skipped 3 elements."}"#,
            r#"{"new_val":{"id":4},"old_val":null,"type":"add"}"#,
        ]
    );
}

#[test]
fn an_ordered_limit_holds_what_comes() {
    let session = Session::of(&Rc::default(), "admin");
    let term = r#"[152,[[71,[[41,[$T],{"index":"id"}],9]]],{"changefeed_queue_size":1}]"#;
    let mut first = feed(&session, term);
    run(&session, r#"[56,[$T,[2,[{"id":1},{"id":2},{"id":3}]]]]"#);
    assert_eq!(first.read().len(), 3);
}

#[test]
fn several_feeds_become_one() {
    let session = Session::of(&Rc::default(), "admin");
    let mut both = feed(&session, r#"[44,[[152,[[16,[$T,1]]]],[152,[[16,[$T,2]]]]]]"#);
    assert!(both.read().is_empty());
    run(&session, r#"[56,[$T,[2,[{"id":2},{"id":3},{"id":1}]]]]"#);
    let mut rows = both.read();
    rows.sort();
    assert_eq!(rows, [r#"{"new_val":{"id":1},"old_val":null}"#, r#"{"new_val":{"id":2},"old_val":null}"#]);
}

/// What follows a union is done to each part of it.
#[test]
fn a_union_is_followed_with_what_is_done_to_it() {
    let session = Session::of(&Rc::default(), "admin");
    // union(between(minval, 3), get_all(7)).filter(id > 1).pluck("id")
    let union = "[44,[[182,[$T,[180,[]],3]],[78,[$T,7]]]]";
    let above = format!(r#"[39,[{union},[69,[[2,[1]],[21,[[170,[[10,[1]],"id"]],1]]]]]]"#);
    let mut both = feed(&session, &format!(r#"[152,[[33,[{above},"id"]]]]"#));
    assert!(both.read().is_empty());
    run(&session, r#"[56,[$T,[2,[{"id":1,"a":1},{"id":2,"a":1},{"id":5,"a":1},{"id":7,"a":1}]]]]"#);
    let mut rows = both.read();
    rows.sort();
    assert_eq!(rows, [r#"{"new_val":{"id":2},"old_val":null}"#, r#"{"new_val":{"id":7},"old_val":null}"#]);
}

#[test]
fn a_feed_is_not_empty_once_there_is_something_to_show() {
    let session = Session::of(&Rc::default(), "admin");
    run(&session, r#"[56,[$T,{"id":1}]]"#);
    assert_eq!(run(&session, r#"[86,[[152,[$T],{"include_initial":true}]]]"#), "false");
    let refused =
        "!QueryLogic: Cannot call a terminal (`reduce`, `count`, etc.) on an infinite stream (such as a changefeed).";
    assert_eq!(run(&session, r#"[93,[[152,[$T],{"include_initial":true}],1]]"#), refused);
}

#[test]
fn the_feeds_of_a_union_are_in_one_state() {
    let session = Session::of(&Rc::default(), "admin");
    run(&session, r#"[56,[$T,[2,[{"id":1},{"id":2}]]]]"#);
    let union = "[44,[[78,[$T,1]],[78,[$T,2]]]]";
    let mut both = feed(&session, &format!(r#"[152,[{union}],{{"include_initial":true,"include_states":true}}]"#));
    let mut rows = both.read();
    rows[1..3].sort();
    assert_eq!(
        rows,
        [r#"{"state":"initializing"}"#, r#"{"new_val":{"id":1}}"#, r#"{"new_val":{"id":2}}"#, r#"{"state":"ready"}"#]
    );
}

#[test]
fn answers_are_marked_with_what_feed_they_are_of() {
    let session = Session::of(&Rc::default(), "admin");
    run(&session, r#"[56,[$T,{"id":1}]]"#);
    for (term, expected) in [
        ("$F", &[1, 5][..]),
        ("[38,[$F,[69,[[2,[1]],[10,[1]]]]]]", &[1, 5][..]),
        ("[71,[$F,3]]", &[1][..]),
        ("[44,[$F,$F]]", &[1][..]),
        ("[44,[$F,[2,[1]]]]", &[1][..]),
        ("[44,[$F,[152,[[16,[$T,1]]]]]]", &[4][..]),
        (r#"[152,[[44,[$T,[71,[[41,[$T],{"index":"id"}],1]]]]]]"#, &[4][..]),
        ("[152,[[45,[$T,0]]]]", &[2][..]),
    ] {
        let query = term.replace("$F", r#"[152,[$T],{"include_states":true}]"#).replace("$T", r#"[15,["t"]]"#);
        let Ok(Answer::Sequence(cursor)) = session.open(&query) else { panic!("{term} is no sequence") };
        assert_eq!(cursor.notes(), expected, "{term}");
    }
}

/// It is read to be found, and then followed by its key.
#[test]
fn a_row_by_its_place_is_followed_as_one_document() {
    let session = Session::of(&Rc::default(), "admin");
    run(&session, r#"[56,[$T,[2,[{"id":1},{"id":2}]]]]"#);
    let mut last = feed(&session, r#"[152,[[45,[[41,[$T],{"index":[74,["id"]]}],0]]],{"include_initial":true}]"#);
    assert_eq!(last.read(), [r#"{"new_val":{"id":2}}"#]);
    run(&session, r#"[56,[$T,{"id":3}]]"#);
    run(&session, r#"[54,[[16,[$T,2]]]]"#);
    assert_eq!(last.read(), [r#"{"new_val":null,"old_val":{"id":2}}"#]);
}

#[test]
fn an_order_without_a_limit_says_only_which_index() {
    let session = Session::of(&Rc::default(), "admin");
    run(&session, r#"[75,[$T,"a"]]"#);
    run(&session, r#"[56,[$T,[2,[{"id":1,"a":1},{"id":2}]]]]"#);
    let mut ordered = feed(&session, r#"[152,[[41,[$T],{"index":"a"}]],{"include_initial":true}]"#);
    assert_eq!(ordered.read(), [r#"{"new_val":{"a":1,"id":1}}"#]);
    run(&session, r#"[53,[[16,[$T,2]],{"a":0}]]"#);
    assert_eq!(ordered.read(), [r#"{"new_val":{"a":0,"id":2},"old_val":null}"#]);
}

#[test]
fn a_document_of_which_something_fails_is_none_of_the_feed() {
    let session = Session::of(&Rc::default(), "admin");
    let inverses = r#"[38,[$1,[69,[[2,[1]],[27,[1,[170,[[10,[1]],"a"]]]]]]]]"#;
    let mut all = feed(&session, &format!("[152,[{}]]", inverses.replace("$1", "$T")));
    let ordered = inverses.replace("$1", r#"[41,[$T],{"index":"id"}]"#);
    let mut first = feed(&session, &format!("[152,[[71,[{ordered},5]]]]"));
    run(&session, r#"[56,[$T,{"id":1,"a":0}]]"#);
    run(&session, r#"[53,[[16,[$T,1]],{"a":2}]]"#);
    run(&session, r#"[53,[[16,[$T,1]],{"a":"x"}]]"#);
    for feed in [&mut all, &mut first] {
        assert_eq!(feed.read(), [r#"{"new_val":0.5,"old_val":null}"#, r#"{"new_val":null,"old_val":0.5}"#]);
    }
    // Initial content is read as ever, elements in an order are not.
    let initial = |selection: &str| format!(r#"[152,[{selection}],{{"include_initial":true}}]"#);
    let refused = "!QueryLogic: Expected type NUMBER but found STRING.";
    assert_eq!(run(&session, &initial(&inverses.replace("$1", "$T"))), refused);
    assert!(feed(&session, &initial(&format!("[71,[{ordered},5]]"))).read().is_empty());
}

#[test]
fn a_document_that_becomes_null_is_not_shown() {
    let session = Session::of(&Rc::default(), "admin");
    let a = r#"[170,[[10,[1]],"a"]]"#;
    run(&session, r#"[56,[$T,{"id":1,"a":9}]]"#);
    let small = format!("[38,[$T,[69,[[2,[1]],[65,[[21,[{a},5]],null,{a}]]]]]]");
    let mut small = feed(&session, &format!(r#"[152,[{small}],{{"include_initial":true}}]"#));
    assert!(small.read().is_empty());
    for a in [8, 1, 7, 8] {
        run(&session, &format!(r#"[53,[[16,[$T,1]],{{"a":{a}}}]]"#));
    }
    assert_eq!(small.read(), [r#"{"new_val":1,"old_val":null}"#, r#"{"new_val":null,"old_val":1}"#]);
}

#[test]
fn a_feed_ends_behind_the_first_change_since_its_user_may_not_read() {
    let catalog = Rc::<catalog::MemoryCatalog>::default();
    let admin = Session::of(&catalog, "admin");
    let let_read = |read| {
        let global = Grants { read: Some(read), ..Grants::default() };
        catalog.users.borrow_mut().insert("u".to_owned(), UserPermissions { global, ..UserPermissions::default() });
    };
    let_read(true);
    let user = Session::of(&catalog, "u");
    let mut all = feed(&user, "[152,[$T]]");
    let mut first = feed(&user, r#"[152,[[71,[[41,[$T],{"index":"id"}],5]]]]"#);
    let denied = "!User `u` does not have the required `read` permission.";
    let row = |id: u64| format!(r#"{{"new_val":{{"id":{id}}},"old_val":null}}"#);
    run(&admin, r#"[56,[$T,{"id":1}]]"#);
    for feed in [&mut all, &mut first] {
        assert_eq!(feed.read(), [row(1)]);
    }
    // While nobody leads it goes on by what was heard last.
    catalog.nobody_leads.set(true);
    run(&admin, r#"[56,[$T,{"id":2}]]"#);
    for feed in [&mut all, &mut first] {
        assert_eq!(feed.read(), [row(2)]);
    }
    let_read(false);
    run(&admin, r#"[56,[$T,{"id":3}]]"#);
    for feed in [&mut all, &mut first] {
        assert_eq!(feed.read(), [row(3), denied.to_owned()]);
    }
}

#[test]
fn a_feed_is_joined_with_what_its_changes_name() {
    let session = Session::of(&Rc::default(), "admin");
    run(&session, r#"[56,[$T,[2,[{"id":1},{"id":2,"of":1}]]]]"#);
    let of = r#"[69,[[2,[1]],[170,[[170,[[10,[1]],"new_val"]],"of"]]]]"#;
    let join = format!("[50,[[152,[$T]],{of},$T]$O]");
    let mut joined = feed(&session, &join.replace("$O", ""));
    assert!(joined.read().is_empty());
    run(&session, r#"[56,[$T,[2,[{"id":3},{"id":4,"of":2}]]]]"#);
    assert_eq!(joined.read(), [r#"{"left":{"new_val":{"id":4,"of":2},"old_val":null},"right":{"id":2,"of":1}}"#]);
    assert_eq!(
        run(&session, &join.replace("$O", r#",{"ordered":true}"#)),
        "!QueryLogic: Cannot call a terminal (`reduce`, `count`, etc.) on an infinite stream (such as a changefeed)."
    );
}

#[test]
fn a_feed_is_mapped_side_by_side_as_its_changes_come() {
    let session = Session::of(&Rc::default(), "admin");
    let second = "[69,[[2,[1,2]],[10,[2]]]]";
    let mut numbered = feed(&session, &format!("[38,[[152,[$T]],[2,[7,8]],{second}]]"));
    run(&session, r#"[56,[$T,{"id":1}]]"#);
    assert_eq!(numbered.read(), ["7"]);
}

#[test]
fn what_asks_little_of_a_feed_is_answered() {
    let session = Session::of(&Rc::default(), "admin");
    run(&session, r#"[56,[$T,{"id":1}]]"#);
    assert_eq!(run(&session, r#"[86,[[152,[$T],{"include_initial":true}]]]"#), "false");
    assert_eq!(run(&session, "[43,[[71,[[152,[$T]],0]]]]"), "0");
    assert_eq!(
        run(&session, "[56,[$T,[152,[$T]]]]"),
        "!QueryLogic: Cannot call a terminal (`reduce`, `count`, etc.) on an infinite stream (such as a changefeed)."
    );
}

#[test]
fn what_is_no_selection_has_no_changes() {
    let session = Session::of(&Rc::default(), "admin");
    for (term, expected) in [
        (r#"[152,[[71,[$T,1]]]]"#, "!QueryLogic: Cannot get changes on the first elements of an unordered stream."),
        (r#"[152,[[71,[[44,[$T,$T]],1]]]]"#, "!QueryLogic: Cannot call `changes` on a slice of a union."),
        (r#"[152,[[44,[$T,$T],{"interleave":false}]]]"#, "!QueryLogic: Cannot call `changes` on an eager stream."),
        (r#"[152,[[72,[$T]]]]"#, "!QueryLogic: Cannot call `changes` after `zip`."),
        (
            r#"[152,[[33,[[71,[[41,[$T],{"index":"id"}],5]],"a"]]]]"#,
            "!QueryLogic: Changefeeds are not supported on queries that have a transformation following a `limit` term.  Transformations include terms such as `filter`, `map`, `pluck`, etc.  Consider moving the transformation before the `limit` term.",
        ),
        (
            r#"[152,[[71,[[71,[[41,[$T],{"index":"id"}],5]],3]]]]"#,
            "!QueryLogic: Cannot call `changes` on an eager stream.",
        ),
        (
            r#"[152,[[71,[[41,[$T],{"index":"id"}],100001]]]]"#,
            "!ResourceLimit: Array size limit `100000` exceeded.  (`.limit(X).changes()` is illegal if X is larger than the array size limit.)",
        ),
        (
            "[152,[[70,[$T,0]]]]",
            "!ResourceLimit: Array size limit `100000` exceeded.  (`.limit(X).changes()` is illegal if X is larger than the array size limit.)",
        ),
        (r#"[152,[[173,[3]]]]"#, "!QueryLogic: Cannot call `changes` on an eager stream."),
        (r#"[152,[[71,[[78,[$T]],1]]]]"#, "!QueryLogic: Cannot call `changes` on an eager stream."),
        (r#"[152,[[182,[$T,2,1]]],{"include_offsets":true}]"#, "!QueryLogic: Cannot include offsets for empty subs."),
        (r#"[152,[$T],{"include_offsets":true}]"#, "!QueryLogic: Cannot include offsets for range subs."),
        (
            r#"[152,[[40,[$T,[69,[[2,[1]],[2,[[151,[]]]]]]]]]]"#,
            "!QueryLogic: Cannot call `changes` after `concat_map`.",
        ),
        (r#"[152,[$T],{"squash":null}]"#, "!QueryLogic: Expected BOOL or NUMBER but found NULL."),
        (r#"[152,[$T],{"squash":-1}]"#, "!QueryLogic: Expected BOOL or a positive NUMBER but found a negative NUMBER."),
    ] {
        assert_eq!(run(&session, term), expected, "{term}");
    }
}

/// A part of a sequence has no place in the query of its own.
#[test]
fn what_is_refused_of_a_part_is_said_of_the_whole() {
    let session = Session::of(&Rc::default(), "admin");
    for (term, expected) in [
        ("[152,[[70,[$T,1]]]]", "[0,0]"),
        (r#"[152,[[71,[[71,[[41,[$T],{"index":"id"}],5]],3]]]]"#, "[0,0,0]"),
        ("[152,[[71,[[44,[$T,$T]],1]]]]", "[0,0]"),
        ("[152,[[39,[[70,[$T,1]],true]]]]", "[0]"),
        ("[152,[[71,[$T,1]]]]", "[]"),
        (r#"[152,[$T],{"changefeed_queue_size":0}]"#, "[]"),
        (r#"[152,[$T],{"changefeed_queue_size":0.5}]"#, r#"["changefeed_queue_size"]"#),
    ] {
        assert_eq!(session.frames(&term.replace("$T", r#"[15,["t"]]"#)), expected, "{term}");
    }
}

/// A small generator of cases; the seed is printed by the assertions.
struct Cases(u64);

impl Cases {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

fn seed() -> u64 {
    std::env::var("PHOTONDB_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0x9e37_79b9_7f4a_7c15)
}

/// Writes go on while initial content is read; what the feed says must at each moment be one state of the selection,
/// and at the end the last.
fn follows(selection: &str, seed: u64) {
    let session = Session::of(&Rc::default(), "admin");
    let mut cases = Cases(seed | 1);
    run(&session, r#"[75,[$T,"a"]]"#);
    run(&session, r#"[75,[$T,"g"],{"geo":true,"multi":true}]"#);
    // Of the two points one at most is in the selection; the other one has cells in common with it.
    let fields = |a: u64| format!(r#""a":{a},"g":[2,[[159,[{a},0]],[159,[{a},3]]]]"#);
    let documents: Vec<String> = (0..1_600).map(|id| format!(r#"{{"id":{id},{}}}"#, fields(id * 7 % 100))).collect();
    run(&session, &format!("[56,[$T,[2,[{}]]]]", documents.join(",")));
    let mut feed = feed(&session, &format!(r#"[152,[{selection}],{{"include_initial":true}}]"#));
    let mut seen = std::collections::BTreeMap::new();
    for round in 0..60 {
        if round < 40 {
            for _ in 0..8 {
                let id = cases.below(1_700);
                match cases.below(4) {
                    0 => run(&session, &format!("[54,[[16,[$T,{id}]]]]")),
                    1 => run(&session, &format!(r#"[56,[$T,{{"id":{id},{}}}]]"#, fields(cases.below(100)))),
                    _ => run(&session, &format!(r#"[53,[[16,[$T,{id}]],{{{}}}]]"#, fields(cases.below(100)))),
                };
            }
        }
        for row in feed.step() {
            let row = row.as_object().expect("a feed gives objects").clone();
            let (old, new) = (row.get("old_val"), row.get("new_val").expect("every row has a new value"));
            let id = |document: &Datum| document.field("id").expect("documents have a key");
            match old {
                Some(Datum::Object(old)) => {
                    let old = Datum::Object(old);
                    assert_eq!(seen.remove(&id(&old)), Some(old), "seed {seed}, round {round}");
                }
                _ => assert!(!seen.contains_key(&id(&new)), "seed {seed}, round {round}: {new:?} again"),
            }
            if !new.is_null() {
                seen.insert(id(&new), new);
            }
        }
    }
    let rest: Vec<Datum> = feed.step();
    assert!(rest.is_empty(), "seed {seed}: more came when nothing was written");
    let seen = Datum::from(seen.into_values().collect::<Vec<_>>());
    assert_eq!(
        run(&session, &format!(r#"[41,[{selection},"id"]]"#)),
        seen.to_json().expect("documents have JSON"),
        "seed {seed}"
    );
}

#[test]
fn no_gap_and_no_double_while_initial_content_is_read() {
    for case in 0..4 {
        follows("$T", seed() + case);
        follows("[182,[$T,200,1500]]", seed() + case);
    }
}

/// A document that stands at several places of a selection is in the feed as often, whatever is written between two looks.
#[test]
fn initial_content_has_a_document_as_often_as_the_selection() {
    const DOCUMENTS: usize = 700;
    let keys: Vec<String> = (0..DOCUMENTS).flat_map(|id| [id, id, id + 1_000_000]).map(|id| id.to_string()).collect();
    for selection in [r#"[182,[$T,0,2000000],{"index":"m"}]"#.to_owned(), format!("[78,[$T,{}]]", keys.join(","))] {
        let session = Session::of(&Rc::default(), "admin");
        run(&session, r#"[75,[$T,"m"],{"multi":true}]"#);
        let document = |id| format!(r#"{{"id":{id},"m":[2,[{id},{}]]}}"#, 1_000_000 + id);
        let documents: Vec<String> = (0..DOCUMENTS).map(document).collect();
        run(&session, &format!("[56,[$T,[2,[{}]]]]", documents.join(",")));
        let mut feed = feed(&session, &format!(r#"[152,[{selection}],{{"include_initial":true}}]"#));
        let mut seen = std::collections::BTreeMap::new();
        for round in 0..20 {
            run(&session, &format!(r#"[56,[$T,{{"id":{}}}]]"#, 5_000_000 + round));
            for row in feed.step() {
                let new = row.field("new_val").expect("every row has a new value");
                *seen.entry(new.field("id").expect("nothing is deleted")).or_insert(0) += 1;
            }
        }
        assert_eq!(seen.len(), DOCUMENTS, "{selection:.20}");
        assert!(seen.values().all(|often| *often == 2), "{selection:.20}: {seen:?}");
        run(&session, r#"[54,[[16,[$T,7]]]]"#);
        assert_eq!(feed.step().len(), 2, "{selection:.20}");
    }
}

/// A position of one shard says nothing of another, and what is behind the end of one is not ahead of the reading.
#[test]
fn no_gap_and_no_double_over_several_shards() {
    for shards in [2, 3, 7] {
        table::SHARDS.set(shards);
        table::SHARD_KEYS.set(1_600 / shards);
        for case in 0..3 {
            let seed = seed() + shards * 10 + case;
            follows("$T", seed);
            follows("[182,[$T,200,1500]]", seed);
            follows(r#"[182,[$T,10,80],{"index":"a"}]"#, seed);
            let around = "[161,[[2,[10,-1]],[2,[45,-1]],[2,[80,-1]],[2,[80,1]],[2,[10,1]]]]";
            follows(&format!("[166,[$T,{around}],{{\"index\":\"g\"}}]"), seed);
        }
    }
    table::SHARDS.set(1);
}

/// Between the last chunk of initial content and the first change behind it the query may have to wait.
#[test]
fn what_is_added_behind_the_last_chunk_is_no_gap() {
    let session = Session::of(&Rc::default(), "admin");
    let documents: Vec<String> = (0..700).map(|id| format!(r#"{{"id":{id}}}"#)).collect();
    run(&session, &format!("[56,[$T,[2,[{}]]]]", documents.join(",")));
    // A filter that lets everything through, slowly.
    let slow = "[69,[[2,[1]],[19,[[43,[[38,[[173,[300]],[69,[[2,[2]],[24,[[10,[2]],1]]]]]]]],301]]]]";
    let mut feed = feed(&session, &format!(r#"[152,[[39,[$T,{slow}]]],{{"include_initial":true}}]"#));
    let (mut seen, mut added) = (std::collections::BTreeSet::new(), 0);
    let mut idle = 0;
    while idle < 50 {
        if added < 400 {
            run(&session, &format!(r#"[56,[$T,{{"id":{}}}]]"#, 1_000 + added));
            added += 1;
        }
        match feed.poll() {
            None => idle += usize::from(added == 400),
            Some(rows) => {
                for row in rows {
                    let new = row.field("new_val").expect("every row has a new value");
                    assert!(seen.insert(new.field("id").expect("nothing is deleted")), "{new:?} again");
                }
            }
        }
    }
    assert_eq!(seen.len(), 700 + added);
}

#[test]
fn no_gap_and_no_double_by_an_index_in_which_documents_move() {
    for case in 0..6 {
        follows(r#"[182,[$T,10,80],{"index":"a"}]"#, seed() + case);
    }
}

#[test]
fn no_gap_and_no_double_among_what_meets_a_geometry() {
    for case in 0..6 {
        follows(
            "[166,[$T,[161,[[2,[10,-1]],[2,[45,-1]],[2,[80,-1]],[2,[80,1]],[2,[10,1]]]]],{\"index\":\"g\"}]",
            seed() + case,
        );
    }
}

#[test]
fn a_document_that_meets_with_several_geometries_is_shown_for_each() {
    let session = Session::of(&Rc::default(), "admin");
    run(&session, r#"[75,[$T,"g"],{"geo":true,"multi":true}]"#);
    run(&session, r#"[75,[$T,"a"]]"#);
    run(&session, r#"[56,[$T,{"id":1,"a":0,"g":[2,[[159,[0,0]],[159,[0.1,0]],[159,[50,0]]]]}]]"#);
    let around = "[165,[[2,[0,0]],100000]]";
    let mut feed = feed(
        &session,
        &format!(r#"[152,[[170,[[166,[$T,{around}],{{"index":"g"}}],"a"]]],{{"include_initial":true}}]"#),
    );
    assert_eq!(feed.read(), [r#"{"new_val":0}"#, r#"{"new_val":0}"#]);
    run(&session, r#"[53,[[16,[$T,1]],{"a":1,"g":[2,[[159,[0,0]]]]}]]"#);
    assert_eq!(feed.read(), [r#"{"new_val":1,"old_val":0}"#, r#"{"new_val":null,"old_val":0}"#]);
    assert_eq!(
        run(&session, &format!(r#"[152,[[166,[$T,{around}],{{"index":"a"}}]]]"#)),
        "!QueryLogic: Index `a` is not a geospatial index.  get_intersecting can only be used with a geospatial index."
    );
}

#[test]
fn what_comes_before_is_deterministic() {
    let session = Session::of(&Rc::default(), "admin");
    let refused = "!QueryLogic: Cannot call `changes` after a non-deterministic function.";
    // random(), another document, chance in what is merged in
    for before in [
        "[38,[$T,[69,[[2,[1]],[151,[]]]]]]",
        "[39,[$T,[69,[[2,[1]],[21,[[151,[]],0.5]]]]]]",
        "[39,[$T,[69,[[2,[1]],[16,[$T,[170,[[10,[1]],\"id\"]]]]]]]]",
        "[35,[$T,{\"a\":[151,[]]}]]",
    ] {
        assert_eq!(run(&session, &format!("[152,[{before}]]")), refused, "{before}");
    }
    assert_eq!(session.frames(r#"[152,[[38,[[15,["t"]],[69,[[2,[1]],[151,[]]]]]]]]"#), "[0,1,1]");
    // What cannot be followed at all is not asked for more.
    for behind in ["[40,[$T,[69,[[2,[1]],[2,[[151,[]]]]]]]]", "[48,[$T,$T,[69,[[2,[1,2]],true]]]]"] {
        let refused = "!QueryLogic: Cannot call `changes` after `concat_map`.";
        assert_eq!(run(&session, &format!("[152,[{behind}]]")), refused, "{behind}");
    }
    // The moment of the query is one moment, geometry is the same for one server, and what comes behind may do as it likes.
    for query in [
        "[152,[[35,[$T,{\"a\":[103,[]]}]]]]",
        "[152,[[39,[$T,[69,[[2,[1]],[163,[[170,[[10,[1]],\"p\"]],[160,[[2,[0,0]],[2,[0,1]]]]]]]]]]]]",
        "[152,[[38,[$T,[69,[[2,[1]],[162,[[170,[[10,[1]],\"p\"]],[159,[0,0]]]]]]]]]]",
        "[38,[[152,[$T]],[69,[[2,[1]],[151,[]]]]]]",
    ] {
        assert!(!run(&session, &format!("[52,[{query}]]")).starts_with('!'), "{query}");
    }
}
