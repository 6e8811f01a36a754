//! Queries with geometry that takes long can be ended in the midst, and stored geometry that takes too long harms nobody else.

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

#[path = "double/catalog.rs"]
mod catalog;
#[path = "double/session.rs"]
mod session;
#[path = "double/table.rs"]
mod table;

use photondb_query::Answer;
use photondb_reql::error::{Error, ErrorKind};
use photondb_runtime::fiber::{self, StackSize};
use session::Session;

/// A ring of teeth around (0, 0), the short ones so short that every edge is near every other.
fn tangle(teeth: u32) -> String {
    let corner = |number: u32| {
        let angle = std::f64::consts::TAU * f64::from(number % teeth) / f64::from(teeth);
        let radius = if number.is_multiple_of(2) { 1.0 } else { 0.001 };
        format!("[2,[{},{}]]", radius * angle.cos(), radius * angle.sin())
    };
    let ring: Vec<String> = (0..=teeth).map(corner).collect();
    format!(r#"{{"$reql_type$":"GEOMETRY","type":"Polygon","coordinates":[2,[[2,[{}]]]]}}"#, ring.join(","))
}

/// A line that goes to and fro along one way, north of (0, 0) by so much.
fn to_and_fro(count: u32, north: f64) -> String {
    let places: Vec<String> = (0..count).map(|number| format!("[2,[{},{north}]]", number % 2)).collect();
    format!(r#"{{"$reql_type$":"GEOMETRY","type":"LineString","coordinates":[2,[{}]]}}"#, places.join(","))
}

/// Notes that it was dropped: the stack of the fiber was unwound.
struct Dropped(Rc<Cell<bool>>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.set(true);
    }
}

const TURN_MAX: Duration = Duration::from_millis(100);

/// Turns of a query that is never ended, the longest, and the error at the end.
fn turns(session: &Session, term: &str) -> (usize, Duration, Option<Error>) {
    let Ok(Answer::Sequence(mut cursor)) = session.open(term) else { panic!("a stream") };
    let mut fiber = pin!(fiber::run(StackSize::for_depth(64), move || cursor.next_batch()));
    let (mut count, mut longest) = (0, Duration::ZERO);
    loop {
        let begin = Instant::now();
        let polled = fiber.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        (count, longest) = (count + 1, longest.max(begin.elapsed()));
        if let Poll::Ready(done) = polled {
            return (count, longest, done.expect("no panic").err());
        }
    }
}

/// Does a term once for each element of a stream of one.
fn once(term: &str) -> String {
    format!("[38,[[173,[1]],[69,[[2,[1]],{term}]]]]")
}

#[test]
fn what_takes_long_has_many_turns_and_ends_with_an_error() {
    let session = Session::of(&Rc::default(), "admin");
    let (line, beside) = (to_and_fro(20_000, 1e-13), to_and_fro(20_000, 2e-13));
    for term in [
        once(&format!("[163,[{line},{beside}]]")),
        once(&format!("[163,[{},[159,[0,0]]]]", tangle(20_000))),
        once(&format!("[164,[{},{line}]]", tangle(20_000))),
        once(&format!("[162,[[159,[0,0]],{}]]", tangle(20_000))),
        once(&format!("[171,[{0},{0}]]", tangle(20_000))),
    ] {
        let (count, longest, error) = turns(&session, &term);
        let message = error.expect("too complex").message;
        assert!(message.starts_with("The geometry is too complex: "), "{message}");
        assert!(count > 100, "{count} turns: {}", &term[..60]);
        assert!(longest < TURN_MAX, "{longest:?}: {}", &term[..60]);
    }
}

#[test]
fn a_query_that_is_ended_stops_in_the_midst_of_geometry() {
    let session = Session::of(&Rc::default(), "admin");
    let term = once(&format!("[163,[{},{}]]", to_and_fro(20_000, 1e-13), to_and_fro(20_000, 2e-13)));
    let Ok(Answer::Sequence(mut cursor)) = session.open(&term) else { panic!("a stream") };
    let unwound = Rc::new(Cell::new(false));
    let inside = Dropped(unwound.clone());
    let mut fiber = Box::pin(fiber::run(StackSize::for_depth(64), move || {
        let _inside = inside;
        cursor.next_batch().map(|_| ())
    }));
    for _ in 0..20 {
        assert!(fiber.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    let begin = Instant::now();
    drop(fiber);
    assert!(unwound.get() && begin.elapsed() < TURN_MAX);
}

#[test]
fn circles_of_very_many_corners_are_made_by_and_by_and_are_counted() {
    let session = Session::with_memory(&Rc::default(), "admin", 64 << 20);
    let circle = |count: u32| once(&format!(r#"[165,[[2,[0,0]],1000],{{"num_vertices":{count},"fill":false}}]"#));
    let raised = |count: u32| format!(r#"{},{{"array_limit":1000000000}}"#, circle(count));
    let (count, longest, error) = turns(&session, &raised(150_000));
    assert!(error.is_none() && count > 20 && longest < TURN_MAX, "{count} {longest:?} {error:?}");
    let (_, longest, error) = turns(&session, &raised(900_000_000));
    assert!(longest < TURN_MAX, "{longest:?}");
    assert_eq!(error.expect("too large").kind, ErrorKind::ResourceLimit);
}

#[test]
fn stored_geometry_past_the_limit_is_stored_and_in_no_index() {
    let session = Session::of(&Rc::default(), "admin");
    assert_eq!(session.run(r#"[75,[[15,["t"]],"g"],{"geo":true}]"#), r#"{"created":1}"#);
    let too_many_rings = {
        let hole = "[2,[[2,[0.1,0.1]],[2,[0.2,0.1]],[2,[0.2,0.2]],[2,[0.1,0.1]]]]";
        let rings = vec![hole; 1_025].join(",");
        format!(r#"{{"$reql_type$":"GEOMETRY","type":"Polygon","coordinates":[2,[{rings}]]}}"#)
    };
    for (id, geometry) in [(0, tangle(20_000)), (1, too_many_rings), (2, "[159,[0,0.5]]".to_owned())] {
        let insert = format!(r#"[170,[[56,[[15,["t"]],{{"id":{id},"g":{geometry}}}]],"inserted"]]"#);
        assert_eq!(session.run(&insert), "1");
    }
    assert_eq!(session.run(r#"[43,[[15,["t"]]]]"#), "3");
    let around = "[165,[[2,[0,0]],200000]]";
    for found in [
        format!(r#"[170,[[166,[[15,["t"]],{around}],{{"index":"g"}}],"id"]]"#),
        r#"[170,[[170,[[168,[[15,["t"]],[159,[0,0]]],{"index":"g"}],"doc"]],"id"]]"#.to_owned(),
    ] {
        assert_eq!(session.run(&found), "[2]");
    }
    // Who looks at it without the index is told.
    let scanned = session.run(&format!(r#"[39,[[15,["t"]],[69,[[2,[1]],[163,[[170,[[10,[1]],"g"]],{around}]]]]]]"#));
    assert!(scanned.starts_with("!ResourceLimit: The "), "{scanned}");
    // It can be changed and deleted like any other.
    assert_eq!(session.run(r#"[170,[[54,[[15,["t"]]]],"deleted"]]"#), "3");
}
