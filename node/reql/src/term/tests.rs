//! Messages become terms, or are refused as RethinkDB refuses them.

use super::*;
use crate::error::{ErrorKind, Result};
use crate::limits::{CHAIN_MAX, NESTING_MAX, PARSED_BYTES_BETWEEN_PAUSES};

fn start(body: &str) -> Box<Start> {
    match parse(body.as_bytes()) {
        Ok(Message::Start(start)) => start,
        other => panic!("{body}: {other:?}"),
    }
}

fn shown(body: &str) -> String {
    format!("{:?}", start(body).term)
}

fn refusal(body: &str) -> (ErrorKind, String, String) {
    match parse(body.as_bytes()) {
        Err(refusal) => {
            let mut path = Vec::new();
            write_frames(&refusal.frames, &mut path);
            (refusal.error.kind, refusal.error.message, String::from_utf8(path).unwrap())
        }
        Ok(message) => panic!("{body}: {message:?}"),
    }
}

#[test]
fn constants_fold() {
    assert_eq!(shown(r#"[1,{"b":1,"a":{"c":[2,[1,2]]}}]"#), r#"{"a": {"c": [1, 2]}, "b": 1}"#);
    assert_eq!(shown("[1,[2]]"), "[]");
    assert_eq!(shown("[1,[2,[1,[24,[1,2]]]]]"), "MAKE_ARRAY(1, ADD(1, 2))");
    assert_eq!(shown(r#"[1,{"a":[169,[]]}]"#), "MAKE_OBJ(a: UUID)");
    // With a limit on arrays in the query, arrays wait for it.
    assert_eq!(shown(r#"[1,[2,[1,2]],{"array_limit":1}]"#), "MAKE_ARRAY(1, 2)");
    assert_eq!(shown(r#"[1,[1,{"a":[1,[2]]}]]"#), r#"{"a": [1, [2]]}"#);
}

#[test]
fn pseudo_types_fold_when_they_are_valid() {
    assert_eq!(shown(r#"[1,{"$reql_type$":"BINARY","data":"QQ=="}]"#), r#"binary(b"A")"#);
    let invalid = start(r#"[1,{"$reql_type$":"NOPE"}]"#);
    assert_eq!(invalid.term.kind(), TermKind::MakeObj);
}

#[test]
fn ids_lead_to_the_frames() {
    let query = start(r#"[1,[38,[[2,[1,[169]]],[69,[[2,[1]],[24,[[10,[1]],1],{"x":[169]}]]]]]]"#);
    let frames = |term: &Term| {
        let mut out = Vec::new();
        query.registry.write_json(term.id(), &mut out);
        String::from_utf8(out).unwrap()
    };
    let func = &query.term.args()[1];
    let add = &func.args()[1];
    assert_eq!(frames(&query.term), "[]");
    assert_eq!(frames(&query.term.args()[0].args()[1]), "[0,1]");
    assert_eq!(frames(&add.args()[0]), "[1,1,0]");
    assert_eq!(frames(&add.args()[0].args()[0]), "[1,1,0,0]");
    assert_eq!(frames(add.optarg("x").unwrap()), "[1,1,\"x\"]");
}

#[test]
fn nobody_waits_for_what_is_wrong_with_a_query_that_says_noreply() {
    let unheard = |body: &str| parse(body.as_bytes()).expect_err(body).unheard;
    assert!(unheard(r#"[1,[9999],{"noreply":true}]"#));
    assert!(unheard(r#"[1,[73,[1]],{"durability":"soft","noreply":[ 1 , true ]}]"#));
    assert!(unheard(r#"[1,1,{"noreply":true,"bogus":1}]"#));
    // Only the constant counts, and whose message is no query is told so.
    for body in [
        "[1,[9999]]",
        r#"[1,[9999],{"noreply":false}]"#,
        r#"[1,[9999],{"noreply":[20,[1,1]]}]"#,
        r#"[1,[9999],{"noreply":[1,true,1]}]"#,
        r#"[1,[9999],{"db":{"noreply":true}}]"#,
        r#"[9,1,{"noreply":true}]"#,
        r#"[1,1,{"noreply":true}"#,
    ] {
        assert!(!unheard(body), "{body}");
    }
}

#[test]
fn global_options_point_nowhere() {
    let query = start(r#"[1,1,{"db":[14,["test"]],"noreply":true,"profile":1}]"#);
    assert!(query.flag("noreply") && !query.flag("profile") && !query.flag("absent"));
    assert_eq!(query.global_optarg("db").unwrap().id(), BacktraceId::NONE);
    assert_eq!(query.registry.len(), 1);
}

#[test]
fn the_gravest_fault_is_reported() {
    let client = |text: &str| (ErrorKind::Client, text.to_owned(), "[]".to_owned());
    let broken = client("Client is buggy (failed to deserialize query).");
    // A malformed term, then something that is no JSON.
    assert_eq!(refusal("[1,[9999,[]]"), broken);
    assert_eq!(refusal("[1,[9999,[]],{}]x"), broken);
    assert_eq!(
        refusal("[1,[9999,[]],null]"),
        client("Server could not parse query: Expected global optargs as an object, but found NULL.")
    );
    assert_eq!(refusal("[1,[9999,[]],{}]"), (ErrorKind::Compile, "Unrecognized TermType: 9999.".into(), "[]".into()));
    assert_eq!(
        refusal("[1,[24,[1,[24,[1],5]]]]"),
        (ErrorKind::Compile, "Third element in a Term is not optional arguments.".into(), "[1]".into())
    );
    assert_eq!(
        refusal(r#"[1,[24,[1,{"a":1,"a":2}]]]"#),
        (ErrorKind::Compile, "Duplicate object key: a.".into(), "[1]".into())
    );
}

#[test]
fn terms_stand_only_where_they_may() {
    let writes = "Cannot nest writes or meta ops in stream operations.  Use FOR_EACH instead.";
    let (kind, message, path) = refusal(r#"[1,[38,[[2,[1,2]],[69,[[2,[1]],[56,[[15,["t"]],{}]]]]]]]"#);
    assert_eq!((kind, message.as_str(), path.as_str()), (ErrorKind::Compile, writes, "[1,1]"));
    assert_eq!(refusal("[1,[73,[1]]]").1, "ASC may only be used as an argument to ORDER_BY or UNION.");
    assert_eq!(
        refusal(r#"[1,[41,[[15,["t"]],[2,[[74,["a"]]]]]]]"#).1,
        "DESC may only be used as an argument to ORDER_BY or UNION."
    );
    start(r#"[1,[44,[[2,[]]],{"interleave":[2,["b",[74,["a"]]]]}]]"#);
    start(r#"[1,[41,[[15,["t"]],[74,["a"]]]]]"#);
    start(r#"[1,[68,[[15,["t"]],[69,[[2,[1]],[56,[[15,["t"]],[10,[1]]]]]]]]]"#);
    start(r#"[1,[54,[[39,[[15,["t"]],{"a":1}]]]]]"#);
}

#[test]
fn long_chains_parse_and_drop() {
    let chain = |length: usize| format!("[1,{}1{}]", "[43,[".repeat(length), "]]".repeat(length));
    let query = start(&chain(CHAIN_MAX - 1));
    drop(query.term.clone());
    drop(query);
    assert_eq!(refusal(&chain(CHAIN_MAX + 1)).1, "Query chains more than 10000 terms.");
    assert_eq!(refusal(&chain(1_000_000)).1, "Query chains more than 10000 terms.");
}

#[test]
fn deep_nesting_is_refused() {
    let deep = |open: &str, close: &str, levels: usize| format!("[1,{}1{}]", open.repeat(levels), close.repeat(levels));
    for (open, close) in [("[2,[", "]]"), ("{\"a\":", "}"), ("[24,[1,", "]]"), ("[24,[],{\"a\":", "}]")] {
        start(&deep(open, close, NESTING_MAX));
        assert_eq!(refusal(&deep(open, close, NESTING_MAX + 1)).1, "Query nested more than 1000 levels deep.");
        refusal(&deep(open, close, 1_000_000));
    }
    // Text that ends before its brackets close is not JSON at all.
    assert_eq!(refusal(&"[".repeat(1_000_000)).0, ErrorKind::Client);
    assert_eq!(refusal(&format!("[1,[1,{}1{}]]", "[".repeat(2_000), "]".repeat(2_000))).0, ErrorKind::Client);
}

#[test]
fn other_messages() {
    let kind =
        |body: &str| parse(body.as_bytes()).map(|message| format!("{message:?}")).map_err(|error| error.error.message);
    assert_eq!(kind("[2]"), Ok("Continue".into()));
    assert_eq!(kind("[3,1]"), Ok("Stop".into()));
    assert_eq!(kind(" [ 4 , 1 , { } ] "), Ok("NoreplyWait".into()));
    assert_eq!(kind("[5]"), Ok("ServerInfo".into()));
    assert_eq!(
        kind("[5,1,null]"),
        Err("Server could not parse query: Expected global optargs as an object, but found NULL.".into())
    );
}

/// Replays the recorded malformed messages, if the conformance set is there, as far as parsing decides them.
#[test]
fn recorded_messages() -> Result<()> {
    use crate::datum::json;
    let Some(records) = std::env::var_os("PHOTONDB_CONFORMANCE") else { return Ok(()) };
    let path = std::path::Path::new(&records).join("vectors/protocol.jsonl");
    let Ok(text) = std::fs::read_to_string(path) else { return Ok(()) };
    let mut judged = 0;
    for line in text.lines() {
        let record = json::parse_text(line, &mut json::Unwatched)?;
        let (Ok(op), Ok(body)) = (record.field("op"), record.field("body")) else { continue };
        assert_eq!(op, Datum::from("raw"));
        let body = body.as_string()?.as_str().to_owned();
        let expected = record.field("r")?;
        let recorded = expected.field("t")?.as_integer()?;
        match parse(body.as_bytes()) {
            Err(refusal) => {
                assert_eq!(i64::from(refusal.error.kind.response_type()), recorded, "{line}");
                let message = Datum::from(vec![Datum::from(refusal.error.message.as_str())]);
                assert_eq!(message, expected.field("r")?, "{line}");
                let frames = Datum::from(refusal.frames.iter().map(Datum::from).collect::<Vec<_>>());
                assert_eq!(frames, expected.field("b")?, "{line}");
                judged += 1;
            }
            Ok(Message::Start(_)) => assert_ne!(recorded, 16, "{line}"),
            Ok(_) => assert!(recorded < 17, "{line}"),
        }
    }
    assert!(judged > 40, "{judged}");
    Ok(())
}

#[test]
fn a_long_message_is_parsed_with_pauses() {
    let documents = vec![r#"{"id":1,"text":"of no interest","list":[2,[1,2,[88,[]]]]}"#; 20_000].join(",");
    let constants = vec![r#"{"id":1,"text":"of no interest","list":[1,2,3]}"#; 20_000].join(",");
    for body in [format!("[1,[2,[{documents}]]]"), format!("[1,[1,[{constants}]]]"), "[1,1]".to_owned()] {
        let mut pauses = 0;
        assert!(parse_with_pauses(body.as_bytes(), &mut || pauses += 1).is_ok());
        assert!(pauses >= body.len() / PARSED_BYTES_BETWEEN_PAUSES * 3 / 4, "{pauses} pauses in {} bytes", body.len());
        assert!(pauses == 0 || body.len() > PARSED_BYTES_BETWEEN_PAUSES);
    }
}
