//! Rings put together from directed edges, of which those that run both ways cancel each other.
//!
//! From the first vertex that has edges left one goes on by the leftmost edge at each vertex, until a vertex comes again:
//! what lies between is a ring. Whatever cannot be part of one makes the edges unusable.

use std::collections::HashMap;

use super::super::orientation::ordered_around;
use super::super::ring::Ring;
use super::super::vector::Vector;

/// Edges that cannot be made into a polygon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unused;

/// The rings that the edges of `rings` make, in the order in which their vertices came.
pub fn assemble(rings: impl Iterator<Item = Ring>) -> Result<Vec<Ring>, Unused> {
    let mut edges = Edges::default();
    for ring in rings {
        // From the last vertex to the first, each with the edge that leaves it.
        for place in (1..=ring.len()).rev() {
            edges.add(ring.vertex(place), ring.vertex(place + 1));
        }
    }
    let mut assembled = Vec::new();
    for start in 0..edges.points.len() {
        while let Some(next) = edges.leaving[start].first().copied() {
            let path = edges.ring_from(start, next).ok_or(Unused)?;
            for place in 0..path.len() {
                edges.remove(path[place], path[(place + 1) % path.len()]);
            }
            assembled.push(Ring::new(path.into_iter().map(|point| edges.points[point]).collect()));
        }
    }
    Ok(assembled)
}

/// Directed edges between numbered points.
#[derive(Default)]
struct Edges {
    points: Vec<Vector>,
    numbers: HashMap<[u64; 3], usize>,
    /// Where the edges from each point lead, in the order of the points.
    leaving: Vec<Vec<usize>>,
}

impl Edges {
    fn number(&mut self, point: Vector) -> usize {
        *self.numbers.entry(point.key()).or_insert_with(|| {
            self.points.push(point);
            self.leaving.push(Vec::new());
            self.points.len() - 1
        })
    }

    fn add(&mut self, from: Vector, to: Vector) {
        let (from, to) = (self.number(from), self.number(to));
        if self.leaving[to].contains(&from) {
            self.remove(to, from);
            return;
        }
        let points = &self.points;
        let place = self.leaving[from].partition_point(|other| points[*other] <= points[to]);
        self.leaving[from].insert(place, to);
    }

    fn remove(&mut self, from: usize, to: usize) {
        if let Some(place) = self.leaving[from].iter().position(|other| *other == to) {
            self.leaving[from].remove(place);
        }
    }

    /// The ring met on the way that begins with an edge; `None`: the way ends at a vertex that no edge leaves.
    fn ring_from(&self, start: usize, next: usize) -> Option<Vec<usize>> {
        let mut path = vec![start, next];
        // The start is not in it: who comes back to it goes on until the second point comes again.
        let mut places = HashMap::from([(next, 1)]);
        loop {
            let [.., before, here] = path.as_slice() else { return None };
            let (before, here) = (*before, *here);
            let mut leftmost: Option<usize> = None;
            for &to in self.leaving[here].iter().filter(|to| **to != before) {
                let point = |number: usize| self.points[number];
                if leftmost.is_none_or(|best| ordered_around(point(before), point(best), point(to), point(here))) {
                    leftmost = Some(to);
                }
            }
            let to = leftmost?;
            if let Some(&place) = places.get(&to) {
                return Some(path.split_off(place));
            }
            places.insert(to, path.len());
            path.push(to);
        }
    }
}
