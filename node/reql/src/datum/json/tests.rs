//! Datums as JSON text: what is written, what is read back, and what is refused in which words.

use super::*;
use crate::datum::samples::{self, Samples};
use crate::datum::{Array, Object};
use crate::error::ErrorKind;
use crate::limits::NESTING_MAX;

#[test]
fn compact_text() {
    let datum = Datum::from(Object::from([
        ("z", Datum::Null),
        ("a", Datum::from(vec![Datum::Bool(true), Datum::Number(1.5), Datum::from("q\"\\\u{1}é\u{7f}")])),
        ("b", binary::from_slice(b"foo")),
    ]));
    assert_eq!(
        to_string(&datum).unwrap(),
        "{\"a\":[true,1.5,\"q\\\"\\\\\\u0001é\u{7f}\"],\"b\":{\"$reql_type$\":\"BINARY\",\"data\":\"Zm9v\"},\"z\":null}"
    );
    let error = to_string(&Datum::from(vec![Datum::MaxVal])).unwrap_err();
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::QueryLogic, "Cannot convert `r.maxval` to JSON."));
}

#[test]
fn text_in_messages() {
    assert_eq!(print(&Datum::from(Object::from([("id", 1)]))), "{\n\t\"id\":\t1\n}");
    assert_eq!(
        print(&Datum::from(vec![Datum::from(1), Datum::from(Object::from([("a", Datum::from(vec![]))]))])),
        "[\n\t1,\n\t{\n\t\t\"a\":\t[]\n\t}\n]"
    );
    assert_eq!(print(&Datum::from(Object::new())), "{}");
    let data = binary::from_slice(b"A");
    assert_eq!(print(&data), r#"{"$reql_type$":"BINARY","data":"QQ=="}"#);
    assert_eq!(
        print(&Datum::from(vec![Datum::from("a"), data.clone(), Datum::from(Object::from([("b", data)]))])),
        "[\n\t\"a\",{\"$reql_type$\":\"BINARY\",\"data\":\"QQ==\"},\n\t{\n\t\t\"b\":{\"$reql_type$\":\"BINARY\",\"data\":\"QQ==\"}\n\t}\n]"
    );
    let long = Datum::from("é".repeat(400)).print_truncated();
    assert!(long.len() <= 300 && long.ends_with("é..."));
}

#[test]
fn text_comes_back() {
    let mut samples = Samples::from_environment();
    for _ in 0..samples::rounds(3_000) {
        let datum = samples.datum(5);
        let text = to_string(&datum).unwrap();
        assert_eq!(parse(text.as_bytes()).as_ref(), Ok(&datum), "{text}");
    }
}

#[test]
fn damaged_text_never_panics() {
    let mut samples = Samples::from_environment();
    for _ in 0..samples::rounds(3_000) {
        let mut text = to_string(&samples.datum(4)).unwrap().into_bytes();
        samples.damage(&mut text);
        let skipped = Scanner::new(&text).skip(NESTING_MAX).is_ok();
        if parse(&text).is_ok() {
            assert!(skipped, "the two readers agree");
        }
    }
}

#[test]
fn faults_in_rethinkdbs_words() {
    let message = |text: &str| parse_text(text, &mut Unwatched).unwrap_err().message;
    assert_eq!(message("[1,2"), "Failed to parse \"[1,2\" as JSON: Missing a comma or ']' after an array element.");
    assert_eq!(message("{"), "Failed to parse \"{\" as JSON: Missing a name for object member.");
    assert_eq!(message("NaN"), "Failed to parse \"NaN\" as JSON: Invalid value.");
    assert_eq!(message(""), "Failed to parse \"\" as JSON: The document is empty.");
    assert_eq!(message("{\"a\":1,\"b\":2,\"a\":3}"), "Duplicate key \"a\" in JSON.");
    let long = "x".repeat(40);
    assert_eq!(message(&long), format!("Failed to parse \"{long}\" as JSON: Invalid value."));
    assert_eq!(message(&format!("{long}x")), format!("Failed to parse \"{}...\" as JSON: Invalid value.", &long[3..]));
    let split = format!("{}{}", "x".repeat(36), "é".repeat(4));
    assert_eq!(message(&split), format!("Failed to parse \"{}...\" as JSON: Invalid value.", &split[..36]));
    assert_eq!(message("[1,\0"), "Encountered unescaped null byte in JSON string.");
    assert_eq!(message("{\"$reql_type$\":\"LITERAL\",\"x\":1}"), "Invalid literal term with illegal key `x`.");
    assert!(parse_text("{\"$reql_type$\":\"LITERAL\",\"value\":1}", &mut Unwatched).is_ok());
    assert_eq!(message("{\"$reql_type$\":\"NOPE\"}"), "Unknown $reql_type$ `PTYPE<NOPE>`.");
}

#[test]
fn the_first_repeated_name_is_named() {
    let fields = |names: &[&str]| names.iter().map(|name| (crate::datum::Str::from(*name), ())).collect::<Vec<_>>();
    let first = |names: &[&str]| parse::first_duplicate(&fields(names)).map(|name| name.to_string());
    assert_eq!(first(&["a", "b"]), None);
    assert_eq!(first(&["b", "a", "a", "b"]), Some("a".to_owned()));
    assert_eq!(first(&["k", "j", "i", "h", "g", "f", "e", "d", "d", "k", "a"]), Some("d".to_owned()));
}

#[test]
fn depth_is_limited() {
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert_eq!(parse(nested(NESTING_MAX).as_bytes()).map(|datum| datum.depth()), Ok(NESTING_MAX));
    assert!(parse(nested(NESTING_MAX + 2).as_bytes()).is_err());
    assert!(parse("[".repeat(1_000_000).as_bytes()).is_err());
    assert_eq!(Array::new().depth(), 1);
}
