//! What is near is found, and little else is looked at.

use super::super::effort::Unpaced;
use super::*;
use crate::error::ErrorKind;

fn effort() -> Effort<'static> {
    Effort::new(&Unpaced)
}

fn circle(count: u32, latitude: f64) -> Chain {
    let angle = |number: u32| f64::from(number) * 360.0 / f64::from(count) - 180.0;
    let vertices = (0..count).map(|number| Vector::from_degrees(angle(number), latitude)).collect();
    Chain::new(vertices, true, &mut effort()).unwrap()
}

#[test]
fn every_edge_is_found_by_its_own_box() {
    for count in [1, 2, 7, 8, 9, 64, 65, 1000] {
        let chain = circle(count, 60.0);
        for edge in 0..chain.edge_count() {
            let mut found = Vec::new();
            let mut see = |edge| {
                found.push(edge);
                Go::Continue(())
            };
            assert!(chain.near(&chain.edge_box(edge), &mut effort(), &mut see).unwrap().is_continue());
            assert!(found.contains(&edge), "{edge} of {count}");
            assert!(found.is_sorted());
        }
    }
}

#[test]
fn pairs_are_those_whose_boxes_touch() {
    for (one, other) in [(circle(100, 60.0), circle(37, 60.1)), (circle(5, 10.0), circle(600, 10.0))] {
        let mut found = std::collections::HashSet::new();
        let mut see = |mine, theirs| {
            assert!(found.insert((mine, theirs)), "twice: {mine} {theirs}");
            Go::Continue(())
        };
        assert!(one.pairs_near(&other, &mut effort(), &mut see).unwrap().is_continue());
        for mine in 0..one.edge_count() {
            for theirs in 0..other.edge_count() {
                let touch = one.edge_box(mine).touches(&other.edge_box(theirs));
                assert!(!touch || found.contains(&(mine, theirs)), "{mine} {theirs}");
            }
        }
    }
}

#[test]
fn pairs_within_are_seen_once() {
    for count in [3, 8, 9, 100, 1_000] {
        let chain = circle(count, 60.0);
        let mut found = std::collections::HashSet::new();
        let mut see = |one, other| {
            assert!(found.insert((one, other)), "twice: {one} {other}");
            Go::Continue(())
        };
        assert!(chain.pairs_within(&mut effort(), &mut see).unwrap().is_continue());
        for one in 0..chain.edge_count() {
            for other in one + 1..chain.edge_count() {
                let touch = chain.edge_box(one).touches(&chain.edge_box(other));
                assert!(!touch || found.contains(&(one, other)), "{one} {other} of {count}");
            }
        }
    }
}

#[test]
fn few_pairs_of_a_long_chain_are_near() {
    let chain = circle(10_000, 60.0);
    let mut seen = 0;
    let mut see = |_, _| {
        seen += 1;
        Go::Continue(())
    };
    assert!(chain.pairs_within(&mut effort(), &mut see).unwrap().is_continue());
    assert!(seen < 10_000 * 16, "{seen}");
}

#[test]
fn an_end_to_the_looks() {
    let chain = circle(100, 60.0);
    let mut effort = Effort::of(500, &Unpaced);
    let error = chain.pairs_near(&chain, &mut effort, &mut |_, _| Go::Continue(())).unwrap_err();
    assert_eq!(error.kind, ErrorKind::ResourceLimit);
    assert!(Chain::new(vec![Vector::new(1.0, 0.0, 0.0); 11], true, &mut Effort::of(10, &Unpaced)).is_err());
}
