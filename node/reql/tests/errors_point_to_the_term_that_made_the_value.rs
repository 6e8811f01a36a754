//! An error about a value points to the term that the value came from, through terms that let values pass, as RethinkDB's
//! values carry the place of their making along.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use photondb_reql::eval::{self, Cx, Scope};
use photondb_reql::term::{Message, parse, write_frames};

/// The frames of the error that a term must end with.
fn check(term: &str, expected: &str) {
    let Message::Start(start) = parse(format!("[1,{term}]").as_bytes()).unwrap() else { panic!("no query") };
    let query = eval::compile(&start.term).unwrap();
    let cx = Cx::pure();
    let error = match eval::eval(&query.root, &Scope::empty(), &cx).and_then(|value| value.into_answer(&cx)) {
        Err(error) => error,
        Ok(answer) => panic!("{term} gives {answer:?}"),
    };
    let frames = error.backtrace.map(|id| start.registry.frames(id)).unwrap_or_default();
    let mut written = Vec::new();
    write_frames(&frames, &mut written);
    assert_eq!(String::from_utf8(written).unwrap(), expected, "{term}: {}", error.message);
}

#[test]
fn through_default_branch_and_or_and_do() {
    // default: of the value, and of what replaces it.
    check("[127,[[92,[-1,1]]]]", "[0,0]");
    check("[127,[[92,[null,1]]]]", "[0,1]");
    // branch: of the value that was chosen.
    check(r#"[183,[[65,[false,1,true,"a",2]]]]"#, "[0,3]");
    check(r#"[183,[[65,[false,1,"a"]]]]"#, "[0,2]");
    check(r#"[183,[[66,[false,"a"]]]]"#, "[0,1]");
    check(r#"[183,[[67,[1,"a"]]]]"#, "[0,1]");
    // do: of the body of the function, or of the constant.
    check(r#"[183,[[64,[[69,[[2,[1]],[141,["a"]]]],1]]]]"#, "[0,0,1]");
    check(r#"[183,[[64,["a",1]]]]"#, "[0,0]");
    // One in another.
    check(r#"[183,[[92,[[65,[true,[141,["a"]],2]],1]]]]"#, "[0,0,1]");
    // Other terms make values of their own.
    check(r#"[183,[[141,["a"]]]]"#, "[0]");
}

#[test]
fn what_a_stream_ends_in_belongs_to_the_stream() {
    check("[28,[[148,[[2,[1.5,1]]]],2]]", "[0,0]");
    check("[28,[[145,[[2,[1.5,1]]]],2]]", "[0,0]");
}

#[test]
fn a_part_of_what_never_ends_is_held_against_the_whole() {
    check("[43,[[173,[]]]]", "[0]");
    check("[43,[[71,[[173,[]],10]]]]", "[0,0]");
    check("[43,[[71,[[70,[[173,[]],1]],10]]]]", "[0,0,0]");
    check("[45,[[30,[[173,[]],1,9]],5]]", "[0,0]");
}

#[test]
fn what_is_no_sequence_is_held_against_the_function_or_the_term() {
    check("[40,[[2,[1]],[69,[[2,[1]],[10,[1]]]]]]", "[1]");
    check("[24,[[154,[1]]]]", "[0]");
}
