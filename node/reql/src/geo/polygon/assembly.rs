//! Rings put together from directed edges, of which those that run both ways cancel each other.
//!
//! From the first vertex that has edges left one goes on by the leftmost edge at each vertex, until a vertex comes again:
//! what lies between is a ring. It is taken out, and one goes on from where it began. Whatever cannot be part of one makes
//! the edges unusable.

use std::collections::HashMap;

use super::super::effort::Effort;
use super::super::orientation::ordered_around;
use super::super::ring::Ring;
use super::super::vector::Vector;
use crate::error::Result;

/// Edges that cannot be made into a polygon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unused;

/// The rings that the edges of `rings` make, in the order in which their vertices came. Errors: too many edges for one
/// operation.
pub fn assemble(
    rings: impl Iterator<Item = Ring>,
    effort: &mut Effort<'_>,
) -> Result<std::result::Result<Vec<Ring>, Unused>> {
    let mut edges = Edges::default();
    for ring in rings {
        // From the last vertex to the first, each with the edge that leaves it.
        for place in (1..=ring.len()).rev() {
            edges.add(ring.vertex(place), ring.vertex(place + 1), effort)?;
        }
    }
    let mut assembled = Vec::new();
    for start in 0..edges.points.len() {
        let mut way = Way::default();
        while let Some(next) = edges.leaving[start].first().copied() {
            if way.is_empty() {
                way.begin(start, next);
            }
            let Some(ring) = edges.follow(&mut way, effort)? else { return Ok(Err(Unused)) };
            for place in 0..ring.len() {
                edges.remove(ring[place], ring[(place + 1) % ring.len()], effort)?;
            }
            let vertices = ring.into_iter().map(|point| edges.points[point]).collect();
            assembled.push(Ring::new(vertices, effort)?);
        }
    }
    Ok(Ok(assembled))
}

/// The way from a start to here. The start is not in `places`: who comes back to it goes on until the second point comes
/// again.
#[derive(Default)]
struct Way {
    path: Vec<usize>,
    places: HashMap<usize, usize>,
}

impl Way {
    fn is_empty(&self) -> bool {
        self.path.is_empty()
    }

    fn begin(&mut self, start: usize, next: usize) {
        self.path = vec![start, next];
        self.places = HashMap::from([(next, 1)]);
    }

    /// Takes out what lies behind a place. What is left leads to where the ring began; nothing, when that is the second point.
    fn take_ring(&mut self, place: usize) -> Vec<usize> {
        let ring = self.path.split_off(place);
        for point in &ring {
            self.places.remove(point);
        }
        if self.path.len() < 2 {
            self.path.clear();
        }
        ring
    }
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

    fn add(&mut self, from: Vector, to: Vector, effort: &mut Effort<'_>) -> Result<()> {
        let (from, to) = (self.number(from), self.number(to));
        effort.take(2 + self.leaving[to].len() / 8)?;
        if self.leaving[to].contains(&from) {
            return self.remove(to, from, effort);
        }
        let points = &self.points;
        let place = self.leaving[from].partition_point(|other| points[*other] <= points[to]);
        self.leaving[from].insert(place, to);
        Ok(())
    }

    fn remove(&mut self, from: usize, to: usize, effort: &mut Effort<'_>) -> Result<()> {
        effort.take(1 + self.leaving[from].len() / 8)?;
        if let Some(place) = self.leaving[from].iter().position(|other| *other == to) {
            self.leaving[from].remove(place);
        }
        Ok(())
    }

    /// The next ring met on the way; `None`: the way ends at a vertex that no edge leaves.
    fn follow(&self, way: &mut Way, effort: &mut Effort<'_>) -> Result<Option<Vec<usize>>> {
        loop {
            let [.., before, here] = way.path.as_slice() else { return Ok(None) };
            let (before, here) = (*before, *here);
            effort.take(1 + 4 * self.leaving[here].len())?;
            let mut leftmost: Option<usize> = None;
            for &to in self.leaving[here].iter().filter(|to| **to != before) {
                let point = |number: usize| self.points[number];
                if leftmost.is_none_or(|best| ordered_around(point(before), point(best), point(to), point(here))) {
                    leftmost = Some(to);
                }
            }
            let Some(to) = leftmost else { return Ok(None) };
            if let Some(&place) = way.places.get(&to) {
                return Ok(Some(way.take_ring(place)));
            }
            way.places.insert(to, way.path.len());
            way.path.push(to);
        }
    }
}
