//! Texts that are none, zero bytes, the longest keys and frames, numbers out of all reason: at the limit they work, past it
//! they get their error, and the connection goes on.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::time::{Duration, Instant};

use photondb_test_cluster::terms::{count, insert, table, table_create};
use photondb_test_cluster::{Connection, Node};
use serde_json::Value;

const CLIENT: u64 = 16;
const LOGIC: u64 = 3_000_000;
const INTERNAL: u64 = 1_000_000;

/// One less than 128 MiB.
const FRAME_BYTES_MAX: usize = (128 << 20) - 1;

/// What came of a write of one document: its error, if there was one.
fn refused(answer: &Value) -> Option<String> {
    answer["first_error"].as_str().map(str::to_owned)
}

#[test]
fn keys_end_at_127_bytes() {
    let mut node = Node::start();
    let mut connection = node.connect();
    connection.value(&table_create("t"));
    let t = table("t");
    // Letters of one byte, and of two: 63 of those and one more.
    for (fits, over) in [("k".repeat(127), "k".repeat(128)), ("é".repeat(63) + "k", "é".repeat(64))] {
        let document = |key: &str| format!("{{\"id\":\"{key}\"}}");
        assert_eq!(connection.value(&insert("t", &[document(&fits)]))["inserted"], 1);
        let error = refused(&connection.value(&insert("t", &[document(&over)]))).unwrap();
        assert_eq!(error, format!("Primary key too long (max 127 characters): \"{over}\""));
        assert_eq!(connection.value(&format!("[16,[{t},\"{fits}\"]]"))["id"], fits);
        assert!(connection.failure(&format!("[16,[{t},\"{over}\"]]")).1.starts_with("Primary key too long"));
        assert_eq!(connection.value(&count(&format!("[78,[{t},\"{fits}\"]]"))), 1);
        // As a bound a longer one is good.
        assert_eq!(connection.value(&count(&format!("[182,[{t},\"{fits}\",\"{over}\"]]"))), 1);
    }
    let array = |numbers: usize| format!("[2,[{}]]", vec!["7"; numbers].join(","));
    assert_eq!(connection.value(&insert("t", &[format!("{{\"id\":{}}}", array(6))]))["inserted"], 1);
    assert!(refused(&connection.value(&insert("t", &[format!("{{\"id\":{}}}", array(7))]))).is_some());
    let huge = "k".repeat(20 << 20);
    let error = refused(&connection.value(&insert("t", &[format!("{{\"id\":\"{huge}\"}}")]))).unwrap();
    assert!(error.len() < 1000 || error.starts_with("Primary key too long"), "{:.200}", error);
    assert_eq!(connection.value(&count(&t)), 3);
    node.assert_well();
}

#[test]
fn a_zero_byte_is_a_letter_but_not_of_a_key() {
    let mut node = Node::start();
    let mut connection = node.connect();
    connection.value(&table_create("t"));
    let t = table("t");
    connection.value(&format!("[75,[{t},\"v\"]]"));
    connection.value(&format!("[140,[{t}]]"));
    let error = refused(&connection.value(&insert("t", &[r#"{"id":"a\u0000b"}"#.to_owned()]))).unwrap();
    assert_eq!(error, r#"String "a\x00b" (truncated) contains NULL byte at offset 1 in index key."#);
    let nested = refused(&connection.value(&insert("t", &[r#"{"id":[2,["x",[2,["\u0000"]]]]}"#.to_owned()]))).unwrap();
    assert!(nested.contains("contains NULL byte at offset 0"), "{nested}");
    for lookup in [format!(r#"[16,[{t},"a\u0000b"]]"#), format!(r#"[43,[[78,[{t},"a\u0000b"]]]]"#)] {
        let (number, message) = connection.failure(&lookup);
        assert!(number == LOGIC && message.contains("NULL byte"), "{number} {message}");
    }
    let documents =
        [r#"{"id":1,"v":"a\u0000b","\u0000":{"x\u0000":1}}"#, r#"{"id":2,"v":"a"}"#, r#"{"id":3,"v":"a\u0001"}"#];
    assert_eq!(connection.value(&insert("t", &documents.map(str::to_owned)))["inserted"], 3);
    assert_eq!(connection.value(&format!("[16,[{t},1]]"))["\0"]["x\0"], 1);
    let ordered = connection.rows(&format!(r#"[41,[{t}],{{"index":"v"}}]"#));
    assert_eq!(ordered.iter().map(|row| row["id"].as_u64().unwrap()).collect::<Vec<_>>(), [2, 1, 3]);
    assert_eq!(connection.value(&count(&format!(r#"[78,[{t},"a\u0000b"],{{"index":"v"}}]"#))), 1);
    assert_eq!(connection.value(&count(&format!(r#"[182,[{t},"a","a\u0001"],{{"index":"v"}}]"#))), 2);
    assert_eq!(connection.value(r#"[43,[[149,["a\u0000b\u0000c","\u0000"]]]]"#), 3);
    assert_eq!(connection.value(r#"[170,[[97,["a\u0000b","\u0000b"]],"start"]]"#), 1);
    for named in [r#"[60,["a\u0000"]]"#, r#"[57,["a\u0000"]]"#, r#"[15,["a\u0000"]]"#] {
        assert!(connection.failure(named).1.contains("invalid"), "{named}");
    }
    assert_eq!(connection.value(&format!(r#"[75,[{t},"i\u0000",[69,[[2,[1]],1]]]]"#))["created"], 1);
    assert_eq!(connection.value(&format!("[77,[{t}]]")), serde_json::json!(["i\0", "v"]));
    node.kill();
    node.restart();
    assert_eq!(node.connect().value(&format!("[77,[{t}]]")), serde_json::json!(["i\0", "v"]));
    node.assert_well();
}

/// Sends bytes as a START; the kind of the answer.
fn kind_of(connection: &mut Connection, term: &[u8]) -> u64 {
    let body = [b"[1,", term, b"]"].concat();
    let length = u32::try_from(body.len()).unwrap();
    connection.send_bytes(&[&9u64.to_le_bytes()[..], &length.to_le_bytes(), &body].concat()).unwrap();
    let (token, answer) = connection.receive().unwrap();
    assert_eq!(token, 9);
    assert_ne!(answer["e"], INTERNAL, "{answer}");
    answer["t"].as_u64().unwrap()
}

#[test]
fn what_is_no_text_is_no_query() {
    let mut node = Node::start();
    let mut connection = node.connect();
    let faulty: [&[u8]; 9] = [
        b"\"\xff\"",
        b"\"\xc3\"",
        b"\"\xc0\x80\"",
        b"\"\xed\xa0\x80\"",
        b"\"\xf4\x90\x80\x80\"",
        b"\"\\ud800\"",
        b"\"\\udc00\"",
        b"\"\\ud800\\ud800\"",
        b"\"\\ud800x\"",
    ];
    for text in faulty {
        for (before, behind) in [
            (&b""[..], &b""[..]),
            (b"[52,[", b"]]"),
            (b"{\"a\":", b"}"),
            (b"{", b":1}"),
            (b"[43,[[2,[1]]],{", b":1}]"),
            (b"[2,[1,", b",2]]"),
            (b"[15,[", b"]]"),
        ] {
            let term = [before, text, behind].concat();
            assert_eq!(kind_of(&mut connection, &term), CLIENT, "{}", String::from_utf8_lossy(&term));
        }
    }
    assert_eq!(kind_of(&mut connection, b"\"\\ud83d\\ude00\""), 1);
    // The same inside of a text that is read when the query runs.
    for text in [r#""\"\\ud800\"""#, r#""\"\\udc00x\"""#, r#""{\"\\ud800\":1}""#] {
        assert_eq!(connection.failure(&format!("[98,[{text}]]")).0, LOGIC, "{text}");
    }
    node.assert_well();
}

#[test]
fn numbers_out_of_all_reason() {
    let mut node = Node::start();
    let mut connection = node.connect();
    connection.value(&table_create("t"));
    connection.value(&insert("t", &[r#"{"id":1}"#.to_owned()]));
    let t = table("t");
    let numbers = [
        "1e308",
        "-1e308",
        "1e-320",
        "9007199254740993",
        "-9007199254740993",
        "18446744073709551616",
        "4294967296",
        "-4294967296",
        "2147483648",
        "-2147483649",
        "0.5",
        "-0.0",
    ];
    let terms = [
        "[45,[[2,[1,2]],N]]",
        "[45,[T,N]]",
        "[30,[[2,[1,2]],N,N]]",
        "[30,[T,0,N]]",
        "[30,[\"text\",N,N]]",
        "[70,[T,N]]",
        "[71,[T,N]]",
        "[71,[[173,[]],N]]",
        "[43,[[71,[[173,[N]],5]]]]",
        "[81,[T,N]]",
        "[82,[[2,[1]],N,1]]",
        "[83,[[2,[1]],N]]",
        "[83,[[2,[1]],N,N]]",
        "[84,[[2,[1]],N,1]]",
        "[85,[[2,[1]],N,[2,[1]]]]",
        "[149,[\"a b c\",\" \",N]]",
        "[151,[N]]",
        "[151,[N,N]]",
        "[151,[N],{\"float\":true}]",
        "[101,[N]]",
        "[100,[[101,[N]]]]",
        "[136,[N,N,N,\"Z\"]]",
        "[24,[[101,[0]],N]]",
        "[104,[[101,[N]],\"+01:00\"]]",
        "[26,[[2,[1,2]],N]]",
        "[27,[1,N]]",
        "[28,[N,N]]",
        "[28,[5,N]]",
        "[183,[N]]",
        "[191,[N,N]]",
        "[194,[N]]",
        "[195,[1,N]]",
        "[196,[N,N]]",
        "[159,[N,N]]",
        "[165,[[159,[0,0]],N]]",
        "[165,[[159,[0,0]],1],{\"num_vertices\":N}]",
        "[162,[[159,[0,0]],[159,[N,N]]]]",
        "[93,[[2,[N]],N]]",
        "[16,[T,N]]",
        "[43,[[78,[T,N]]]]",
        "[43,[[182,[T,N,N]]]]",
        "[142,[N]]",
        "[172,[N]]",
        "[51,[N,\"string\"]]",
        "[51,[\"N\",\"number\"]]",
        "[98,[\"N\"]]",
        "[56,[T,{\"id\":N}],{\"conflict\":\"replace\"}]",
    ];
    let begun = Instant::now();
    for term in terms {
        for number in numbers {
            let term = term.replace('N', number).replace('T', &t);
            let answer = connection.run(&format!("[1,{term}]")).unwrap();
            let kind = answer["t"].as_u64().unwrap();
            assert!([1, 2, 3, 16, 17, 18].contains(&kind) && answer["e"] != INTERNAL, "{term}: {answer}");
        }
    }
    for option in [
        "array_limit",
        "max_batch_rows",
        "min_batch_rows",
        "max_batch_bytes",
        "max_batch_seconds",
        "changefeed_queue_size",
    ] {
        for number in numbers {
            let answer = connection.run(&format!("[1,[71,[{t},1]],{{\"{option}\":{number}}}]")).unwrap();
            assert_ne!(answer["e"], INTERNAL, "{option} {number}: {answer}");
        }
    }
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    // No number at all to JSON readers.
    for number in ["1e309", "-1e999", "NaN", "Infinity", "0x10", "01", "1.", ".5", "+1", "1e"] {
        assert_eq!(kind_of(&mut connection, number.as_bytes()), CLIENT, "{number}");
    }
    node.assert_well();
}

#[test]
fn the_longest_frame_is_read() {
    let mut node = Node::start();
    let mut connection = node.connect();
    let around = "[1,[43,[\"\"]]]".len();
    let text = "x".repeat(FRAME_BYTES_MAX - around);
    let answer = connection.run(&format!("[1,[43,[\"{text}\"]]]")).unwrap();
    assert_eq!(answer["r"][0], FRAME_BYTES_MAX - around, "{:.300}", answer.to_string());
    node.assert_well();
}
