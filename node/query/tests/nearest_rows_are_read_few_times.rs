//! `get_nearest` against looking at every row: what it gives, and how much it reads for it.

use std::rc::Rc;

#[path = "double/catalog.rs"]
mod catalog;
#[path = "double/session.rs"]
mod session;
#[path = "double/table.rs"]
mod table;

use session::Session;
use table::ROWS_GIVEN;

/// Where a document of that number is: clusters of many at growing distances, with some in one place, and a field around them.
fn place(number: u32) -> (f64, f64) {
    let angle = f64::from(number) * 2.399_963;
    let radius = match number % 4 {
        0 => 0.01 + 0.000_001 * f64::from(number),
        1 => 0.05,
        2 => 0.2 * f64::from(number % 100) / 100.0,
        _ => 0.5 * (f64::from(number) / 4_000.0).sqrt(),
    };
    let angle = if number % 4 == 1 { f64::from(number % 8) } else { angle };
    (10.0 + radius * angle.cos(), 50.0 + radius * angle.sin())
}

#[test]
fn all_rows_come_nearest_first_and_are_read_few_times() {
    let session = Session::of(&Rc::default(), "admin");
    session.run(r#"[75,[[15,["t"]],"g"],{"geo":true}]"#);
    let documents: Vec<String> = (0..4_000)
        .map(|number| {
            let (x, y) = place(number);
            format!(r#"{{"id":{number},"g":[159,[{x},{y}]]}}"#)
        })
        .collect();
    for some in documents.chunks(500) {
        session.run(&format!(r#"[56,[[15,["t"]],[2,[{}]]]]"#, some.join(",")));
    }
    let all = r#"[38,[[15,["t"]],[69,[[2,[1]],[162,[[159,[10,50]],[170,[[10,[1]],"g"]]]]]]]]"#;
    for (results, within) in [(1, 100.0), (100, 100.0), (1_500, 100.0), (4_000, 100.0), (5_000, 20.0)] {
        let before = ROWS_GIVEN.get();
        let nearest = format!(
            r#"[168,[[15,["t"]],[159,[10,50]]],{{"index":"g","max_results":{results},"max_dist":{within},"unit":"km"}}]"#
        );
        let found = session.run(&format!(r#"[170,[{nearest},"dist"]]"#));
        let read = ROWS_GIVEN.get() - before;
        let within = format!(r#"[39,[{all},[69,[[2,[3]],[20,[[10,[3]],{}]]]]]]"#, within * 1_000.0);
        let expected = session.run(
            &format!(
                r#"[38,[[71,[[41,[[1,[]],[69,[[2,[4]],[10,[4]]]]]],{results}]],[69,[[2,[5]],[27,[[10,[5]],1000]]]]]]"#
            )
            .replace("[1,[]]", &within),
        );
        let count = |json: &str| json.matches(',').count() + usize::from(json.len() > 2);
        assert_eq!(count(&found), count(&expected), "{results}");
        for (found, expected) in
            found.trim_matches(['[', ']']).split(',').zip(expected.trim_matches(['[', ']']).split(','))
        {
            let (found, expected): (f64, f64) = (found.parse().unwrap(), expected.parse().unwrap());
            assert!((found - expected).abs() < 1e-9, "{results}: {found} {expected}");
        }
        // The first look for more than a thousand comes when as many have been read circle by circle.
        println!("{results}: {read} rows were read");
        assert!(read < 40_000, "{results}: {read} rows were read");
    }
}
