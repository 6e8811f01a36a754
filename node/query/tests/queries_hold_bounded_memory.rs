//! What a query gathers is counted, and past its limit the query gets an error; what it has let go of does not count.

use std::rc::Rc;

use photondb_query::{Answer, Cursor, MemoryBudget};
use photondb_reql::datum::Datum;
use photondb_runtime::fiber::{self, StackSize};

#[path = "double/catalog.rs"]
mod catalog;
#[path = "double/session.rs"]
#[expect(dead_code, reason = "the double serves other tests too")]
mod session;
#[path = "double/table.rs"]
mod table;

use catalog::MemoryCatalog;
use session::Session;

/// What each of the first `count` whole numbers counts, and all of them.
fn numbers(count: u32) -> usize {
    (0..count).map(|number| Datum::from(number).footprint()).sum()
}

/// Whoever reads such a query has room for so much.
fn holding(memory_max: usize) -> Session {
    Session::with_memory(&Rc::new(MemoryCatalog::default()), "admin", memory_max)
}

/// A stream of so many numbers.
fn range(count: u32) -> String {
    format!("[173,[{count}]]")
}

/// Texts of 1,000 bytes, all different.
fn texts(count: u32) -> String {
    let pad = "x".repeat(996);
    format!(r#"[38,[{},[69,[[2,[1]],[24,["{pad}",[51,[[24,[1000,[10,[1]]]],"string"]]]]]]]]"#, range(count))
}

fn over(limit: usize) -> String {
    format!(
        "!ResourceLimit: Query over memory limit `{limit}` bytes.  Use a smaller selection, a reduction (like `.reduce` or `.count`), or an index."
    )
}

#[test]
fn an_array_of_a_stream_fits_to_the_byte() {
    let query = format!(r#"[43,[[51,[{},"array"]]]]"#, range(5_000));
    let needed = numbers(5_000);
    assert_eq!(holding(needed).run(&query), "5000");
    assert_eq!(holding(needed - 1).run(&query), over(needed - 1));
}

#[test]
fn everything_that_gathers_is_counted() {
    let limit = 400_000;
    let key = "[69,[[2,[9]],[10,[9]]]]";
    let gathering = [
        ("coerce_to", format!(r#"[51,[{},"array"]]"#, texts(1_000))),
        ("order_by", format!("[41,[{},{key}]]", texts(1_000))),
        ("distinct", format!("[42,[{}]]", texts(1_000))),
        ("group", format!("[144,[{},{key}]]", texts(1_000))),
        ("group and count", format!("[43,[[144,[{},{key}]]]]", texts(1_000))),
        ("sample", format!("[81,[{},1000]]", texts(1_000))),
        ("several small ones", {
            let one = format!(r#"[51,[{},"array"]]"#, texts(150));
            format!("[2,[{one},{one},{one}]]")
        }),
        ("in functions", format!(r#"[38,[[2,[1,2,3]],[69,[[2,[2]],[51,[{},"array"]]]]]]"#, texts(150))),
        ("fold", format!("[187,[{},\"\",[69,[[2,[2,3]],[24,[[10,[2]],[10,[3]]]]]]]]", texts(1_000))),
        ("reduce", format!("[37,[{},[69,[[2,[2,3]],[24,[[10,[2]],[10,[3]]]]]]]]", texts(1_000))),
        ("max of each group", format!("[148,[[144,[{},{key}]]]]", texts(1_000))),
        // Numbers that take a byte or two when they are encoded.
        ("small values", format!(r#"[51,[[38,[{},[69,[[2,[1]],[2,[1,1,1,1]]]]]],"array"]]"#, range(1_500))),
        ("small objects", format!(r#"[51,[[38,[{},[69,[[2,[1]],{{"a":1,"b":2}}]]]],"array"]]"#, range(1_500))),
        ("the groups of one element", {
            let keys = format!(r#"[51,[{},"array"]]"#, range(1_000));
            format!(r#"[43,[[144,[{},[69,[[2,[2]],{keys}]]],{{"multi":true}}]]]"#, range(20))
        }),
        ("do", format!(r#"[64,[[69,[[2,[3]],[24,[[10,[3]],[10,[3]]]]]],[51,[{},"array"]]]]"#, texts(1_000))),
    ];
    for (what, query) in gathering {
        assert_eq!(holding(limit).run(&query), over(limit), "{what}");
        assert!(!holding(usize::MAX).run(&query).starts_with('!'), "{what} fits when there is room");
    }
}

#[test]
fn what_is_let_go_of_does_not_count() {
    let limit = 2_000_000;
    let array = format!(r#"[51,[{},"array"]]"#, texts(200));
    let streaming = [
        // Each element makes an array of a tenth of what there is.
        format!("[145,[[38,[{},[69,[[2,[2]],[43,[{array}]]]]]]]]", range(50)),
        format!("[43,[[40,[{},[69,[[2,[2]],{array}]]]]]]", range(50)),
        format!("[43,[[39,[{},[69,[[2,[2]],[86,[{array}]]]]]]]]", range(50)),
        format!("[37,[{},[69,[[2,[2,3]],[43,[{array}]]]]]]", range(50)),
        format!("[187,[{},0,[69,[[2,[2,3]],[43,[{array}]]]]]]", range(50)),
        // One after the other.
        format!("[24,[{}]]", vec![format!("[43,[{array}]]"); 20].join(",")),
        // Counting a stream gathers nothing.
        format!("[43,[{}]]", texts(20_000)),
    ];
    for query in streaming {
        let answer = holding(limit).run(&query);
        assert!(!answer.starts_with('!'), "{query}: {answer}");
    }
}

#[test]
fn an_error_of_memory_is_no_missing_field() {
    let limit = 100_000;
    let array = format!(r#"[51,[{},"array"]]"#, texts(1_000));
    assert_eq!(holding(limit).run(&format!("[92,[{array},1]]")), over(limit));
}

#[test]
fn a_write_that_shows_too_many_changes_shows_the_first() {
    let session = holding(150_000);
    let rows = format!(r#"[38,[{},[69,[[2,[8]],{{"id":[10,[8]],"pad":"{}"}}]]]]"#, range(500), "p".repeat(1_000));
    let answer = session.run(&format!(r#"[56,[[15,["t"]],{rows}],{{"return_changes":true}}]"#));
    assert!(answer.contains(r#""inserted":500"#), "{answer}");
    assert!(answer.contains("Too many changes, array truncated to "), "{answer}");
}

/// A stream without end that holds a text of two megabytes while it is read.
fn holding_a_text() -> String {
    let sum = "[69,[[2,[1,2]],[24,[[10,[1]],[10,[1]]]]]]";
    let text = format!("[187,[{},{:?},{sum}]]", range(11), "x".repeat(1_000));
    format!("[187,[[173,[1000000]],{text},[69,[[2,[3,4]],[10,[3]]]]],{{\"emit\":[69,[[2,[5,6,7]],[2,[1]]]]}}]")
}

/// Begins to read the rows of a query.
fn begin(session: &Session, query: &str) -> Cursor {
    let Ok(Answer::Sequence(mut cursor)) = session.open(query) else { panic!("no stream") };
    let read = move || {
        cursor.next_batch().expect("rows");
        cursor
    };
    fiber::block_on(StackSize::for_depth(64), read).expect("does not panic")
}

fn over_all(limit: usize) -> String {
    format!("!ResourceLimit: All queries together over memory limit `{limit}` bytes of this server.")
}

#[test]
fn queries_share_what_the_node_has() {
    const MAX: usize = 8 << 20;
    let memory = MemoryBudget::new(MAX);
    let catalog = Rc::new(MemoryCatalog::default());
    let (first, second) = [(); 2].map(|()| Session::among(&catalog, "admin", usize::MAX, &memory)).into();
    let open = begin(&first, &holding_a_text());
    assert!(memory.taken() > 2_000_000, "{} bytes are taken", memory.taken());
    let refused = second.run(&format!("[43,[[71,[{},1]]]]", holding_a_text()));
    assert!(refused.starts_with(&over_all(MAX)), "{refused:.300}");
    assert!(refused.contains("--cache-size"), "it says what to do: {refused:.300}");
    assert_eq!(memory.refused(), 1);
    // Little ones go on, and whoever has something keeps it.
    assert_eq!(second.run("[24,[1,2]]"), "3");
    drop(open);
    assert_eq!(memory.taken(), 0);
    assert_eq!(second.run(&format!("[43,[[71,[{},1]]]]", holding_a_text())), "1");
    assert_eq!(memory.taken(), 0, "what is over is given back");
}

#[test]
fn rows_that_wait_for_their_reader_are_counted() {
    let memory = MemoryBudget::new(64 << 20);
    let session = Session::among(&Rc::new(MemoryCatalog::default()), "admin", usize::MAX, &memory);
    let mut cursor = begin(&session, &texts(20_000));
    let read = move || {
        let batch = cursor.next_batch().expect("rows");
        (batch, cursor)
    };
    let (batch, mut cursor) = fiber::block_on(StackSize::for_depth(64), read).expect("does not panic");
    // The rows, and the text that is made of them.
    let bytes: usize = batch.rows.iter().map(Datum::size_hint).sum();
    assert!(memory.taken() >= 2 * bytes, "{} bytes are taken for {bytes}", memory.taken());
    cursor.let_go();
    assert!(memory.taken() < bytes, "{} bytes are taken", memory.taken());
    drop(cursor);
    assert_eq!(memory.taken(), 0);
}

/// What a feed of the first elements must remember to read them is let go of before anything has changed.
#[test]
fn a_feed_of_the_first_elements_holds_what_it_shows_of_them() {
    let catalog = Rc::new(MemoryCatalog::default());
    let session = |memory_max| Session::with_memory(&catalog, "admin", memory_max);
    let writer = session(usize::MAX);
    let text = "x".repeat(1_000);
    let documents: Vec<String> = (1_000..1_200).map(|id| format!(r#"{{"id":{id},"text":"{text}"}}"#)).collect();
    writer.run(&format!(r#"[56,[[15,["t"]],[2,[{}]]]]"#, documents.join(",")));
    let feed = r#"[152,[[71,[[33,[[41,[[15,["t"]]],{"index":"id"}],"id"]],200]]]]"#;
    let open = |memory_max| match session(memory_max).open(feed) {
        Ok(Answer::Sequence(cursor)) => Some(cursor),
        Ok(_) => panic!("no stream"),
        Err(error) => {
            assert_eq!(error, over(memory_max));
            None
        }
    };
    let (mut too_little, mut enough) = (1, 1 << 20);
    while enough - too_little > 1 {
        let middle = (too_little + enough) / 2;
        if open(middle).is_some() { enough = middle } else { too_little = middle }
    }
    assert!(enough < 200 * text.len(), "{enough} bytes for 200 elements, of which the keys are shown");
    let mut cursor = open(enough).expect("it is enough");
    writer.run(r#"[56,[[15,["t"]],{"id":5}]]"#);
    let read = move || cursor.next_batch().expect("a change").rows;
    let rows = fiber::block_on(StackSize::for_depth(64), read).expect("does not panic");
    let rows: Vec<String> = rows.iter().map(|row| row.to_json().expect("has JSON")).collect();
    assert_eq!(rows, [r#"{"new_val":{"id":5},"old_val":{"id":1199}}"#], "there is room for a change");
}
