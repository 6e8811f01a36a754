//! What a query gathers is counted, and past its limit the query gets an error; what it has let go of does not count.

use std::rc::Rc;

use photondb_reql::datum::Datum;

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
