//! Scripts of `r.js`: whatever they do, they end in time, take no memory of the node's, and see nothing of each other.

use std::time::{Duration, Instant};

use photondb_test_cluster::terms::{count, get, insert, table, table_create};
use photondb_test_cluster::{Connection, Node};

const MIB: u64 = 1024 * 1024;

fn js(source: &str) -> String {
    js_within(source, 5.0)
}

fn js_within(source: &str, seconds: f64) -> String {
    format!("[11,[{}],{{\"timeout\":{seconds}}}]", serde_json::Value::from(source))
}

/// Waits for something that happens soon.
fn soon(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(10), "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn functions_written_in_javascript_stand_wherever_functions_stand() {
    let mut node = Node::start();
    let mut c = node.connect();
    assert_eq!(c.value(&js("1 + 1; 2 + 2")), 4);
    for (query, expected) in [
        (format!("[64,[{},1,2]]", js("(function(a, b) { return a + b; })")), "3"),
        (format!("[38,[[2,[1,2,3]],{}]]", js("x => x * 2")), "[2,4,6]"),
        (format!("[38,[[2,[1,2]],[2,[10,20]],{}]]", js("(a, b) => a + b")), "[11,22]"),
        (format!("[39,[[2,[1,2,3]],{}]]", js("x => x > 1 ? 'yes' : null")), "[2,3]"),
        (format!("[40,[[2,[1,2]],{}]]", js("x => [x, x]")), "[1,1,2,2]"),
        (format!("[37,[[2,[1,2,3]],{}]]", js("(a, b) => a + b")), "6"),
        (format!("[187,[[2,[1,2,3]],\"\",{}]]", js("(all, x) => all + x")), "\"123\""),
        (format!("[43,[[2,[1,2,3]],{}]]", js("x => x == 2")), "1"),
        (format!("[35,[{{\"a\":1}},{}]]", js("x => ({b: x.a + 1})")), r#"{"a":1,"b":2}"#),
        (format!("[92,[{},9]]", js("[][1]")), "!"),
        ("[52,[[11,[\"(function() {})\"]]]]".to_owned(), "\"FUNCTION\""),
        (
            "[79,[[11,[\"x => x\"]]]]".to_owned(),
            r#"{"source_code":"javascript timeout=5000ms, source=x => x","type":"FUNCTION"}"#,
        ),
    ] {
        let answer = c.run(&format!("[1,{query}]")).unwrap();
        if expected == "!" {
            // Not a missing value: `default` does not catch it.
            assert_eq!(answer["r"][0], "Cannot convert javascript `undefined` to ql::datum_t.", "{query}");
            continue;
        }
        assert_eq!(
            (answer["t"].as_u64(), answer["r"][0].to_string()),
            (Some(1), expected.to_owned()),
            "{query}: {answer}"
        );
    }
    // It may give another answer the next time, so nothing is ordered by it.
    let ordered = c.run(&format!("[1,[41,[[2,[3,1,2]],{}]]]", js("x => -x"))).unwrap();
    assert_eq!(ordered["r"][0], "Sorting by a non-deterministic function is not supported.");
    node.assert_well();
}

#[test]
fn what_must_be_deterministic_takes_no_script() {
    let mut node = Node::start();
    let mut c = node.connect();
    c.value(&table_create("t"));
    c.value(&insert("t", &["{\"id\":1,\"a\":1}".to_owned()]));
    let (table, row) = (table("t"), get("t", 1));
    let function = js("x => ({a: x.a + 1})");
    for (query, refusal) in [
        (
            format!("[75,[{table},\"i\",{}]]", js("x => x.a")),
            "Could not prove function deterministic.  Index functions must be deterministic.",
        ),
        (
            format!("[53,[{row},{function}]]"),
            "Could not prove argument deterministic.  Maybe you want to use the non_atomic flag?",
        ),
        (
            format!("[53,[{row},{{\"a\":{}}}]]", js("1")),
            "Could not prove argument deterministic.  Maybe you want to use the non_atomic flag?",
        ),
        (
            format!("[189,[{table},{}]]", js("(c, o, n) => n")),
            "Could not prove function deterministic.  Write hook functions must be deterministic.",
        ),
        (
            format!("[56,[{table},{{\"id\":1}}],{{\"conflict\":{}}}]", js("(id, o, n) => n")),
            "The conflict function passed to `insert` must be deterministic.",
        ),
    ] {
        assert_eq!(c.error(&query).1, refusal, "{query}");
    }
    assert_eq!(c.value(&format!("[53,[{row},{function}],{{\"non_atomic\":true}}]"))["replaced"], 1);
    assert_eq!(c.value(&row)["a"], 2);
    assert_eq!(c.value(&count(&format!("[39,[{table},{}]]", js("x => x.a == 2")))), 1);
    node.assert_well();
}

#[test]
fn an_endless_script_times_out_and_disturbs_nobody() {
    let mut node = Node::start();
    let endless = [
        "while (true) {}",
        "for (;;) try { for (;;); } catch (e) {} finally { for (;;); }",
        // Loops inside the engine.
        "Array.prototype.indexOf.call({length: 2 ** 53 - 1}, 1)",
        "new Array(4294967295).lastIndexOf(1)",
        "/(a*)*b/.test('a'.repeat(1000))",
        "(function f() { try { f(); } finally { f(); } })()",
        "({get a() { for (;;); }})",
        "throw {toString() { for (;;); }}",
    ];
    for source in endless {
        let mut c = node.connect();
        let begun = Instant::now();
        c.send_as(1, &format!("[1,{}]", js_within(source, 0.7))).unwrap();
        std::thread::sleep(Duration::from_millis(50));
        // The same connection is the same thread.
        for token in 2..12 {
            let asked = Instant::now();
            c.send_as(token, "[1,[24,[1,2]]]").unwrap();
            assert_eq!(c.receive().unwrap().1["r"][0], 3, "{source}");
            assert!(asked.elapsed() < Duration::from_millis(400), "{source}: {:?}", asked.elapsed());
        }
        let (token, answer) = c.receive().unwrap();
        assert_eq!((token, &answer["e"]), (1, &3_000_000.into()), "{source}: {answer}");
        let expected = format!("JavaScript query `{source}` timed out after 0.700 seconds.");
        assert_eq!(answer["r"][0], expected, "{answer}");
        let took = begun.elapsed();
        assert!(took >= Duration::from_millis(690) && took < Duration::from_secs(4), "{source}: {took:?}");
        soon("the process is killed", || node.children().is_empty());
    }
    // A function times out when it is called, and the error stands at the script.
    let mut c = node.connect();
    let answer = c.run(&format!("[1,[64,[{},1]]]", js_within("x => { for (;;); }", 0.2))).unwrap();
    assert_eq!(answer["r"][0], "JavaScript query `x => { for (;;); }` timed out after 0.200 seconds.");
    assert_eq!(answer["b"], serde_json::json!([0]));
    // Afterwards the same query may run another.
    let again = format!("[92,[{},{}]]", js_within("for (;;);", 0.1), js("1"));
    assert_eq!(c.error(&again).1, "JavaScript query `for (;;);` timed out after 0.100 seconds.");
    node.wait_idle();
    node.assert_well();
}

#[test]
fn stop_and_a_closed_connection_end_the_script_at_once() {
    let mut node = Node::start();
    let mut c = node.connect();
    let token = c.send(&format!("[1,{}]", js_within("for (;;);", 3000.0))).unwrap();
    soon("the script runs", || !node.children().is_empty());
    std::thread::sleep(Duration::from_millis(100));
    let begun = Instant::now();
    c.send_as(token, "[3]").unwrap();
    assert_eq!(c.receive().unwrap().0, token);
    soon("the script ends", || node.children().is_empty());
    assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
    drop(c);

    let mut c = node.connect();
    c.send(&format!("[1,{}]", js_within("for (;;);", 3000.0))).unwrap();
    soon("the script runs", || !node.children().is_empty());
    drop(c);
    soon("the script ends", || node.children().is_empty());
    node.wait_idle();
    node.assert_well();
}

#[test]
fn a_node_that_is_killed_takes_its_scripts_along() {
    let mut node = Node::start();
    let mut c = node.connect();
    c.send(&format!("[1,{}]", js_within("for (;;);", 3000.0))).unwrap();
    soon("the script runs", || !node.children().is_empty());
    std::thread::sleep(Duration::from_millis(300));
    let children = node.children();
    node.kill();
    let lives = |id: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        stat.contains("photondb") && !stat.contains(") Z")
    };
    soon("the script ends", || !children.iter().any(lives));
}

#[test]
fn memory_and_depth_end_and_the_node_keeps_its_own() {
    let mut node = Node::start();
    let mut c = node.connect();
    for source in [
        "var a = []; for (;;) a.push(new Array(1000).fill(1));",
        "var s = 'x'; for (;;) s += s;",
        "new ArrayBuffer(1e10)",
        "(function f() { return f() + 1; })()",
        "JSON.parse('['.repeat(1e6))",
        "new Array(1000).fill('x'.repeat(1e6))",
        "throw 'x'.repeat(3e7)",
    ] {
        let (kind, message) = c.error(&js_within(source, 30.0));
        assert_eq!(kind, 18, "{source}: {message}");
        assert!(!message.contains("crash") && message.len() < 100_000, "{source}: {:.300}", message);
    }
    assert!(node.memory() < 300 * MIB, "{} MiB", node.memory() / MIB);
    let deep = "[".repeat(900) + &"]".repeat(900);
    let nested = format!(
        "[64,[{},[98,[{}]]]]",
        js("x => { var n = 0; while (x.length) { x = x[0]; n++; } return n; }"),
        serde_json::Value::from(deep)
    );
    assert_eq!(c.value(&nested), 899);
    node.assert_well();
}

#[test]
fn a_script_that_loses_its_process_fails_alone() {
    let mut node = Node::start();
    let mut c = node.connect();
    c.send(&format!("[1,{}]", js_within("for (;;);", 3000.0))).unwrap();
    soon("the script runs", || !node.children().is_empty());
    for child in node.children() {
        assert!(std::process::Command::new("kill").args(["-9", &child.to_string()]).status().unwrap().success());
    }
    let (_, answer) = c.receive().unwrap();
    assert_eq!(answer["r"][0], "Javascript query `for (;;);` caused a crash in a worker process.");
    assert_eq!(c.value(&js("1")), 1);
    // One that waits for the next query may die as well.
    soon("the process waits", || node.children().len() == 1);
    for child in node.children() {
        assert!(std::process::Command::new("kill").args(["-9", &child.to_string()]).status().unwrap().success());
    }
    soon("it is gone", || node.children().is_empty());
    assert_eq!(c.value(&js("2")), 2);
    node.assert_well();
}

#[test]
fn queries_see_nothing_of_each_other() {
    let mut node = Node::start();
    let (mut a, mut b) = (node.connect(), node.connect());
    let pollute = "Object.prototype.polluted = 1; Array.prototype.map = null; var left = 1; JSON = Date = 1; 1";
    let look = "[typeof {}.polluted, typeof [].map, typeof left, typeof JSON, typeof Date]";
    let clean = serde_json::json!(["undefined", "function", "undefined", "object", "function"]);
    for _ in 0..10 {
        assert_eq!(a.value(&js(pollute)), 1);
        assert_eq!(a.value(&js(look)), clean);
        assert_eq!(b.value(&js(look)), clean);
    }
    // Within one query a function keeps its variables.
    let counted = format!("[38,[[2,[1,1,1]],{}]]", js("var n = 0; (function(x) { return n += x; })"));
    assert_eq!(a.value(&counted), serde_json::json!([1, 2, 3]));
    assert_eq!(a.value(&counted), serde_json::json!([1, 2, 3]));
    node.assert_well();
}

#[test]
fn so_many_queries_may_run_scripts_at_once() {
    let mut node = Node::start();
    let mut c = node.connect();
    // Each leaves a cursor open, which keeps its realm.
    let rows = format!("[38,[[173,[1000]],{}]]", js("x => x"));
    let open = |c: &mut Connection, token: u64| {
        c.send_as(token, &format!("[1,{rows},{{\"max_batch_rows\":1}}]")).unwrap();
        c.receive().unwrap().1
    };
    for token in 1..=24 {
        assert_eq!(open(&mut c, token)["t"], 3, "{token}");
    }
    // The rest is for other users.
    let refused = open(&mut c, 25);
    assert_eq!((&refused["t"], &refused["e"]), (&18.into(), &2_000_000.into()), "{refused}");
    let message =
        "Too many queries of the user `admin` run JavaScript at once (24 of 32; the rest is for other users).";
    assert_eq!(refused["r"][0], message);
    c.send_as(1, "[3]").unwrap();
    assert_eq!(c.receive().unwrap().0, 1);
    assert_eq!(c.value(&js("1")), 1);
    drop(c);
    soon("few processes wait", || node.children().len() <= 4);
    node.assert_well();
}

/// Should a script lead the engine astray, the system refuses what a script cannot even ask for.
#[cfg(target_os = "linux")]
#[test]
fn the_system_keeps_its_processes_apart_too() {
    let mut node = Node::start();
    let mut c = node.connect();
    assert_eq!(c.value(&js("1")), 1);
    // At the limits of what may go in and come out.
    let long = format!("[43,[[64,[{},\"{}\"]]]]", js("(function(x) { return x; })"), "z".repeat(31 << 20));
    assert_eq!(c.value(&long), 31 << 20);
    for child in node.children() {
        let read = |file: &str| std::fs::read_to_string(format!("/proc/{child}/{file}")).unwrap();
        let (status, limits) = (read("status"), read("limits"));
        let line = |text: &str, name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(line(&status, "Seccomp:"), ["2"], "{status}");
        assert_eq!(line(&status, "NoNewPrivs:"), ["1"], "{status}");
        assert_eq!(line(&limits, "Max address space")[0], (2u64 << 30).to_string(), "{limits}");
        assert_eq!(line(&limits, "Max open files")[0], "0", "{limits}");
        println!("a process for scripts: {:?} KiB of addresses at most", line(&status, "VmPeak:"));
    }
    node.assert_well();
}

#[test]
fn an_option_turns_scripts_off() {
    let mut node = Node::start_with(&["--no-javascript"]);
    let (_, message) = node.connect().error(&js("1"));
    assert_eq!(message, "JavaScript is not allowed on this server (it was started with `--no-javascript`).");
    assert_eq!(node.children(), Vec::<u32>::new());
    node.assert_well();
}

#[test]
fn ten_thousand_calls_take_seconds_at_most() {
    let mut node = Node::start();
    let begun = Instant::now();
    let query = count(&format!("[38,[[173,[10000]],{}]]", js("x => x + 1")));
    assert_eq!(node.connect().value(&query), 10_000);
    println!("10,000 calls of a function in JavaScript: {:?}", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    node.assert_well();
}

/// A thousand arguments share one text of a mebibyte. Each would have its own in what a script is given.
#[test]
fn arguments_that_share_a_text_are_weighed_first() {
    let mut node = Node::start();
    let mut c = node.connect();
    let all = vec!["[10,[7]]"; 1_000].join(",");
    let call =
        format!("[64,[[69,[[2,[7]],[64,[{},{all}]]]],\"{}\"]]", js("(function() { return 1 })"), "z".repeat(1 << 20));
    let answer = c.run(&format!("[1,{call}]")).unwrap();
    assert_eq!(answer["t"], 18, "{:.300}", answer.to_string());
    let message = answer["r"][0].as_str().unwrap();
    assert!(message.contains("which is too much"), "{message}");
    drop(c);
    node.wait_memory_below(600 * MIB, "after arguments of a gibibyte");
    node.assert_well();
}
