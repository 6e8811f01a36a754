//! Queries that no sensible client sends: each gets the right type of error, the node goes on, memory stays bounded.

use std::time::{Duration, Instant};

use photondb_test_cluster::terms::{count, get, insert, table, table_create};
use photondb_test_cluster::{Node, full};

const MIB: u64 = 1024 * 1024;
const CLIENT: u64 = 16;
const COMPILE: u64 = 17;
const RUNTIME: u64 = 18;

fn nested(open: &str, inner: &str, close: &str, levels: usize) -> String {
    open.repeat(levels) + inner + &close.repeat(levels)
}

/// A document put together out of parts that are each within the limit: what can be stored can be read again and indexed,
/// and what is deeper is refused.
#[test]
fn a_document_at_the_limit_of_nesting_is_stored_whole_or_refused() {
    let mut node = Node::start();
    let mut connection = node.connect();
    connection.value(&table_create("t"));
    connection.value(&format!(r#"[75,[{},"x"]]"#, table("t")));
    for levels in [10, 997, 998, 999, 1_000, 1_001] {
        let deep = format!(r#"[187,[[173,[{levels}]],{{}},[69,[[2,[1,2]],{{"a":[10,[1]]}}]]]]"#);
        let term = format!(r#"[56,[{},{{"id":{levels},"x":{deep}}}]]"#, table("t"));
        let answer = connection.run(&format!("[1,{term}]")).unwrap();
        let stored = answer["r"][0]["inserted"] == 1;
        let missing = connection.value(&format!(r#"[17,[[16,[{},{levels}]],null]]"#, table("t")));
        assert_eq!(missing, !stored, "{levels} levels: {answer}");
        assert_eq!(stored, levels < 999, "{levels} levels: {answer}");
    }
    node.kill();
    node.restart();
    assert_eq!(node.connect().value(&count(&table("t"))), 3);
    node.assert_well();
}

#[test]
fn malformed_terms_are_named() {
    let mut node = Node::start();
    let mut connection = node.connect();
    connection.value(&table_create("t"));
    for (term, kind, words) in [
        ("[99999,[]]", CLIENT, ""),
        ("[24,[]]", COMPILE, "Expected 1 or more arguments but found 0."),
        ("[43,[]]", COMPILE, "Expected between 1 and 2 arguments but found 0."),
        ("[14,[1,2,3]]", COMPILE, "Expected 1 argument"),
        (r#"[43,[[2,[1]]],{"absurd":1}]"#, COMPILE, "Unrecognized optional argument `absurd`."),
        (r#"[152,[[15,["t"]]],{"squash":"never"}]"#, RUNTIME, "Expected BOOL or NUMBER but found STRING."),
        (r#"[152,[[15,["t"]]],{"changefeed_queue_size":-1}]"#, RUNTIME, ""),
        (r#"[15,["t"],{"read_mode":"hopeful"}]"#, RUNTIME, "hopeful"),
        (r#"[56,[[15,["t"]],{}],{"conflict":"shrug"}]"#, RUNTIME, "shrug"),
        (r#"[56,[[15,["t"]],{}],{"durability":"maybe"}]"#, RUNTIME, "maybe"),
        (r#"[60,["u"],{"shards":-1}]"#, RUNTIME, ""),
        (r#"[60,["no spaces"]]"#, RUNTIME, "Table name `no spaces` invalid"),
        (r#"[60,["u"],{"primary_key":{}}]"#, RUNTIME, ""),
        ("[10,[77]]", COMPILE, ""),
        ("[69,[[2,[1]],[10,[2]]]]", COMPILE, ""),
        ("[71,[[2,[1]],-1]]", RUNTIME, ""),
        ("[25,[1,null]]", RUNTIME, "Expected type NUMBER but found NULL."),
        ("[27,[1,0]]", RUNTIME, "Cannot divide by zero."),
        (r#"[153,["now",7,true]]"#, RUNTIME, ""),
        (r#"[11,["while(true){}"]]"#, RUNTIME, ""),
    ] {
        let answer = connection.run(&format!("[1,{term},{{\"db\":[14,[\"test\"]]}}]")).unwrap();
        let message = answer["r"][0].as_str().unwrap_or_default();
        let known = answer["t"].as_u64().unwrap();
        // Which of the three kinds RethinkDB chooses is the conformance records' matter where it is not clear by itself.
        assert!((16..=18).contains(&known), "{term}: {answer}");
        if !words.is_empty() {
            assert!(known == kind && message.contains(words), "{term}: {answer}");
        }
    }
    for optargs in [r#"{"array_limit":0}"#, r#"{"array_limit":"many"}"#, r#"{"max_batch_rows":-1}"#, r#"{"db":7}"#] {
        let answer = connection.run(&format!(r#"[1,[42,[[15,["t"]]]],{optargs}]"#)).unwrap();
        assert!(answer["t"].as_u64().is_some(), "{optargs}: {answer}");
    }
    node.assert_well();
}

#[test]
fn documents_and_terms_nested_a_million_deep() {
    let mut node = Node::start();
    let mut connection = node.connect();
    connection.value(&table_create("t"));
    for levels in [1_001, 10_000, 1_000_000] {
        for (open, inner, close) in
            [("[2,[", "1", "]]"), (r#"{"a":"#, "1", "}"), ("[", "", "]"), ("[93,[", "1", r#","a"]]"#)]
        {
            let (kind, message) = connection.error(&nested(open, inner, close, levels));
            assert!(kind == CLIENT || kind == COMPILE || kind == RUNTIME, "{levels} {open}: {message}");
        }
        // Inside a text, where only the evaluator sees it.
        let text = nested("[", "1", "]", levels);
        let (_, message) = connection.error(&format!("[98,[\"{text}\"]]"));
        assert!(!message.is_empty());
        let document = format!(r#"{{"id":1,"deep":{}}}"#, nested(r#"{"a":"#, "1", "}", levels));
        connection.error(&insert("t", &[document]));
    }
    assert_eq!(connection.value(&count(&table("t"))), 0);
    assert!(node.memory() < 500 * MIB, "{}", node.memory());
    node.assert_well();
}

#[test]
fn a_value_that_grows_while_a_query_runs_is_refused() {
    let mut node = Node::start();
    let mut connection = node.connect();
    // fold: each step wraps what there is in another array or object.
    for wrap in ["[2,[[10,[1]]]]", r#"{"a":[10,[1]]}"#] {
        let (kind, message) = connection.error(&format!("[187,[[173,[100000]],[2,[]],[69,[[2,[1,2]],{wrap}]]]]"));
        assert_eq!((kind, message.as_str()), (RUNTIME, "Value nested more than 1000 levels deep."));
    }
    // Small in memory, as all its parts are shared, but endless to walk or to write out.
    let doubled = "[187,[[173,[200]],[2,[]],[69,[[2,[1,2]],[2,[[10,[1]],[10,[1]]]]]]]]";
    let (kind, message) = connection.error(doubled);
    // Its parts count each time they stand in it, so that either limit may come first.
    let refused = message.contains("over size limit") || message.contains("over memory limit");
    assert!(kind == RUNTIME && refused, "{message}");
    node.assert_well();
}

#[test]
fn a_chain_of_a_hundred_thousand_terms() {
    let mut node = Node::start();
    let mut connection = node.connect();
    let chain = |length: usize| nested("[24,[", "0", ",1]]", length);
    assert_eq!(connection.value(&chain(900)), 900);
    // The limit is 10,000 terms, each the first argument of the next.
    assert_eq!(connection.value(&chain(9_000)), 9_000);
    connection.error(&chain(11_000));
    connection.error(&chain(100_000));
    let wide = format!("[24,[{}]]", vec!["1"; 100_000].join(","));
    assert_eq!(connection.value(&wide), 100_000);
    assert!(node.memory() < 500 * MIB, "{}", node.memory());
    node.assert_well();
}

#[test]
fn arrays_past_the_limit() {
    let mut node = Node::start();
    let mut connection = node.connect();
    let as_array = |elements: u64| format!("[43,[[51,[[173,[{elements}]],\"array\"]]]]");
    assert_eq!(connection.value(&as_array(100_000)), 100_000);
    let (kind, message) = connection.error(&as_array(100_001));
    assert!(kind == RUNTIME && message.starts_with("Array over size limit `100000`."), "{message}");
    let raised = connection.run(&format!(r#"[1,{},{{"array_limit":200000}}]"#, as_array(100_001))).unwrap();
    assert_eq!(raised["r"][0], 100_001, "{raised}");
    // Doubled 40 times it would have 10^12 elements.
    let doubled = "[187,[[173,[40]],[2,[1]],[69,[[2,[1,2]],[24,[[10,[1]],[10,[1]]]]]]]]";
    let (_, message) = connection.error(doubled);
    assert!(message.starts_with("Array over size limit `100000`."), "{message}");
    let multiplied = "[26,[[2,[1,2,3]],1000000000000]]";
    connection.error(multiplied);
    connection.error(r#"[26,["ab",1000000000000]]"#);
    assert!(node.memory() < 500 * MIB, "{}", node.memory());
    node.assert_well();
}

#[test]
fn strings_that_double_stay_bounded() {
    let mut node = Node::start();
    let mut connection = node.connect();
    let doubled = r#"[187,[[173,[45]],"ab",[69,[[2,[1,2]],[24,[[10,[1]],[10,[1]]]]]]]]"#;
    let (kind, message) = connection.error(doubled);
    assert!(kind == RUNTIME && message.starts_with("String over size limit"), "{message}");
    // Every element shares one string of a mebibyte: the answer would have 100 GiB.
    let shared = r#"[64,[[69,[[2,[3]],[51,[[38,[[173,[100000]],[69,[[2,[4]],[10,[3]]]]]],"array"]]]],TEXT]]"#;
    let text = format!("\"{}\"", "z".repeat(1 << 20));
    let (kind, message) = connection.error(&shared.replace("TEXT", &text));
    assert!(kind == RUNTIME && message.starts_with("Query over memory limit"), "{message}");
    drop(connection);
    node.wait_memory_below(800 * MIB, "after a string that doubles");
    node.assert_well();
}

#[test]
fn a_document_of_twenty_mebibytes() {
    let mut node = Node::start();
    let mut connection = node.connect();
    connection.value(&table_create("t"));
    let document = |id: u64, bytes: usize| format!(r#"{{"id":{id},"text":"{}"}}"#, "x".repeat(bytes));
    assert_eq!(connection.value(&insert("t", &[document(1, 10 << 20)]))["inserted"], 1);
    let answer = connection.run(&format!("[1,{}]", insert("t", &[document(2, 20 << 20)]))).unwrap();
    println!("a document of 20 MiB: {:.300}", answer.to_string());
    let refused = answer["t"] != 1 || answer["r"][0]["errors"] == 1;
    // Kept whole or refused, never half.
    let found = connection.run(&format!("[1,{}]", get("t", 2))).unwrap();
    if refused {
        assert_eq!(found["r"][0], serde_json::Value::Null);
    } else {
        assert_eq!(found["r"][0]["text"].as_str().unwrap().len(), 20 << 20);
    }
    assert_eq!(connection.value(&get("t", 1))["text"].as_str().unwrap().len(), 10 << 20);
    // Fifty of them grown inside the node, in one batch of the log if it let them.
    let fifty = format!(
        r#"[68,[[173,[3,53]],[69,[[2,[1]],[56,[{},{{"id":[10,[1]],"text":[170,[{},"text"]]}}]]]]]]"#,
        table("t"),
        get("t", 1)
    );
    connection.value(&fifty);
    drop(connection);
    println!("memory after 500 MiB of documents: {} MiB", node.memory() >> 20);
    node.wait_memory_below(2048 * MIB, "after 500 MiB of documents");
    node.assert_well();
    node.kill();
    node.check();
    node.restart();
    assert_eq!(node.connect().value(&get("t", 52))["text"].as_str().unwrap().len(), 10 << 20);
}

#[test]
fn a_string_of_a_hundred_mebibytes() {
    let mut node = Node::start();
    let mut connection = node.connect();
    connection.value(&table_create("t"));
    let text = "y".repeat(100 << 20);
    assert_eq!(connection.value(&count(&format!("[2,[\"{text}\"]]"))), 1);
    let answer = connection.run(&format!("[1,{}]", insert("t", &[format!(r#"{{"id":1,"text":"{text}"}}"#)]))).unwrap();
    println!("a document of 100 MiB: {:.300}", answer.to_string());
    assert!(answer["t"] != 1 || answer["r"][0]["errors"] == 1, "{:.300}", answer.to_string());
    drop(connection);
    println!("memory after a string of 100 MiB: {} MiB", node.memory() >> 20);
    node.wait_memory_below(800 * MIB, "after a string of 100 MiB");
    node.assert_well();
}

#[test]
fn regular_expressions_take_linear_time() {
    let mut node = Node::start();
    let mut connection = node.connect();
    let text = "a".repeat(20_000);
    let begun = Instant::now();
    for pattern in ["(a+)+$b", "(a|aa)+b", "(.*)*x", "(a*)*(a*)*(a*)*b", "^(([a-z])+.)+[A-Z]([a-z])+$"] {
        let answer = connection.run(&format!(r#"[1,[97,["{text}","{pattern}"]]]"#)).unwrap();
        assert!(answer["t"].as_u64().is_some(), "{pattern}: {answer}");
    }
    for pattern in ["(", "a{1000000}", "((((a{100}){100}){100}){100})", "\\\\1", "(?=a)", "[z-a]", "*"] {
        connection.error(&format!(r#"[97,["{text}","{pattern}"]]"#));
    }
    let long_pattern = "(a|b)".repeat(200_000);
    connection.error(&format!(r#"[97,["{text}","{long_pattern}"]]"#));
    assert!(begun.elapsed() < Duration::from_secs(if full() { 60 } else { 20 }), "{:?}", begun.elapsed());
    assert!(node.memory() < 500 * MIB, "{}", node.memory());
    node.assert_well();
}

#[test]
fn a_default_database_that_asks_for_itself() {
    let mut node = Node::start();
    let mut connection = node.connect();
    for db in [r#"[15,["t"]]"#, r#"[170,[[16,[[15,["t"]],1]],"db"]]"#, r#"[14,[[170,[[16,[[15,["t"]],1]],"db"]]]]"#] {
        let answer = connection.run(&format!(r#"[1,[15,["t"]],{{"db":{db}}}]"#)).unwrap();
        let expected = "The global option `db` names a table of the database that it is to name itself.";
        assert_eq!((&answer["t"], &answer["r"][0]), (&18.into(), &expected.into()), "{db}: {answer}");
    }
    node.assert_well();
}

/// However large a batch a query asks for, it gets one of a size that a node has room for.
#[test]
fn batches_without_end() {
    let mut node = Node::start();
    let mut connection = node.connect();
    let options = r#"{"max_batch_rows":1e15,"min_batch_rows":1e15,"max_batch_bytes":1e15,"max_batch_seconds":86399}"#;
    let endless = format!("[1,[173,[]],{options}]");
    let answer = connection.run(&endless).unwrap();
    let rows = answer["r"].as_array().unwrap().len();
    assert!(answer["t"] == 3 && rows <= 1_000_000, "{rows} rows");
    // Rows of a mebibyte, of which sixteen thousand would be asked for at once.
    let heavy = format!(r#"[1,[38,[[173,[]],[69,[[2,[1]],"{}"]]]],{options}]"#, "z".repeat(1 << 20));
    let rows = connection.run(&heavy).unwrap()["r"].as_array().unwrap().len();
    assert!(rows <= 65, "{rows} rows");
    drop(connection);
    node.wait_memory_below(900 * MIB, "after batches without end");
    node.assert_well();
}
