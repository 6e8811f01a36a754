//! A chain of edges, open or closed, with boxes around runs of edges so that two chains find the edges of theirs that are
//! near each other without trying every pair.
//!
//! ```text
//! boxes[0][i]      around the edges from i * FANOUT on
//! boxes[n + 1][i]  around the boxes of level n from i * FANOUT on
//! ```

use std::ops::ControlFlow;

use super::vector::Vector;
use crate::error::{Error, Result};
use crate::limits::GEOMETRY_EDGE_PAIRS_MAX;

/// Edges in a box, and boxes in a larger one.
const FANOUT: usize = 8;

/// What a box is larger than what is in it: more than the error of any computed crossing.
const MARGIN: f64 = 1e-14;

/// Vertices and the edges between them.
#[derive(Clone, Debug)]
pub struct Chain {
    vertices: Vec<Vector>,
    /// Whether an edge leads from the last vertex to the first.
    closed: bool,
    boxes: Vec<Vec<Box3>>,
}

/// A box with sides along the axes.
#[derive(Clone, Copy, Debug)]
pub struct Box3 {
    low: Vector,
    high: Vector,
}

/// Whether to go on, as what looks at edges says.
pub type Go = ControlFlow<()>;

/// The pairs of edges that one question may still look at.
pub struct Pairs(usize);

impl Pairs {
    pub fn new() -> Pairs {
        Pairs(GEOMETRY_EDGE_PAIRS_MAX)
    }

    fn take(&mut self, count: usize) -> Result<()> {
        self.0 = self.0.checked_sub(count).ok_or_else(|| {
            Error::resource(format!(
                "The geometry is too complex: more than {GEOMETRY_EDGE_PAIRS_MAX} pairs of edges lie near each other."
            ))
        })?;
        Ok(())
    }
}

impl Chain {
    pub fn new(vertices: Vec<Vector>, closed: bool) -> Chain {
        let mut chain = Chain { vertices, closed, boxes: Vec::new() };
        let count = chain.edge_count();
        let mut level: Vec<Box3> = (0..count.div_ceil(FANOUT))
            .map(|run| {
                let edges = run * FANOUT..count.min((run + 1) * FANOUT);
                edges.map(|edge| chain.edge_box(edge)).reduce(Box3::union).unwrap_or(Box3::EMPTY)
            })
            .collect();
        while level.len() > 1 {
            let above = level.chunks(FANOUT).map(Box3::union_all).collect();
            chain.boxes.push(std::mem::replace(&mut level, above));
        }
        chain.boxes.push(level);
        chain
    }

    pub fn vertices(&self) -> &[Vector] {
        &self.vertices
    }

    pub fn edge_count(&self) -> usize {
        if self.closed { self.vertices.len() } else { self.vertices.len().saturating_sub(1) }
    }

    /// The ends of an edge.
    pub fn edge(&self, edge: usize) -> (Vector, Vector) {
        let next = if edge + 1 == self.vertices.len() { 0 } else { edge + 1 };
        (self.vertices[edge], self.vertices[next])
    }

    pub fn edges(&self) -> impl Iterator<Item = (Vector, Vector)> + '_ {
        (0..self.edge_count()).map(|edge| self.edge(edge))
    }

    pub fn edge_box(&self, edge: usize) -> Box3 {
        let (from, to) = self.edge(edge);
        Box3::around_edge(from, to)
    }

    /// Visits the edges whose boxes touch `near`, in ascending order.
    pub fn near(&self, near: &Box3, pairs: &mut Pairs, visit: &mut dyn FnMut(usize) -> Go) -> Result<Go> {
        let top = self.boxes.len() - 1;
        for index in 0..self.boxes[top].len() {
            if self.near_in(top, index, near, pairs, visit)?.is_break() {
                return Ok(Go::Break(()));
            }
        }
        Ok(Go::Continue(()))
    }

    /// The levels are few: eight times as many edges for each.
    fn near_in(
        &self,
        level: usize,
        index: usize,
        near: &Box3,
        pairs: &mut Pairs,
        visit: &mut dyn FnMut(usize) -> Go,
    ) -> Result<Go> {
        if !self.boxes[level][index].touches(near) {
            return Ok(Go::Continue(()));
        }
        let count = if level == 0 { self.edge_count() } else { self.boxes[level - 1].len() };
        let below = index * FANOUT..count.min((index + 1) * FANOUT);
        if level == 0 {
            pairs.take(below.len())?;
        }
        for item in below {
            let go = match level {
                0 => visit(item),
                _ => self.near_in(level - 1, item, near, pairs, visit)?,
            };
            if go.is_break() {
                return Ok(Go::Break(()));
            }
        }
        Ok(Go::Continue(()))
    }

    /// Visits pairs of an edge of this chain and an edge of `other` that may have points in common, until told to stop.
    pub fn pairs_near(
        &self,
        other: &Chain,
        pairs: &mut Pairs,
        visit: &mut dyn FnMut(usize, usize) -> Go,
    ) -> Result<Go> {
        for edge in 0..other.edge_count() {
            let near = other.edge_box(edge);
            if self.near(&near, pairs, &mut |mine| visit(mine, edge))?.is_break() {
                return Ok(Go::Break(()));
            }
        }
        Ok(Go::Continue(()))
    }
}

impl Box3 {
    const EMPTY: Box3 = Box3 {
        low: Vector::new(f64::INFINITY, f64::INFINITY, f64::INFINITY),
        high: Vector::new(f64::NEG_INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY),
    };

    /// Around an edge: the arc rises above its chord by no more than the sagitta.
    pub fn around_edge(from: Vector, to: Vector) -> Box3 {
        let half_chord2 = (from - to).norm2() / 4.0;
        let margin = 1.0 - (1.0 - half_chord2).max(0.0).sqrt() + MARGIN;
        let margin = Vector::new(margin, margin, margin);
        let low = Vector::new(from.x.min(to.x), from.y.min(to.y), from.z.min(to.z));
        let high = Vector::new(from.x.max(to.x), from.y.max(to.y), from.z.max(to.z));
        Box3 { low: low - margin, high: high + margin }
    }

    fn union(self, other: Box3) -> Box3 {
        let (low, high) = (self.low, self.high);
        Box3 {
            low: Vector::new(low.x.min(other.low.x), low.y.min(other.low.y), low.z.min(other.low.z)),
            high: Vector::new(high.x.max(other.high.x), high.y.max(other.high.y), high.z.max(other.high.z)),
        }
    }

    fn union_all(boxes: &[Box3]) -> Box3 {
        boxes.iter().copied().fold(Box3::EMPTY, Box3::union)
    }

    fn touches(&self, other: &Box3) -> bool {
        self.low.x <= other.high.x
            && other.low.x <= self.high.x
            && self.low.y <= other.high.y
            && other.low.y <= self.high.y
            && self.low.z <= other.high.z
            && other.low.z <= self.high.z
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn circle(count: u32) -> Chain {
        let angle = |number: u32| f64::from(number) * 360.0 / f64::from(count) - 180.0;
        Chain::new((0..count).map(|number| Vector::from_degrees(angle(number), 60.0)).collect(), true)
    }

    #[test]
    fn every_edge_is_found_by_its_own_box() {
        for count in [1, 2, 7, 8, 9, 64, 65, 1000] {
            let chain = circle(count);
            for edge in 0..chain.edge_count() {
                let mut found = Vec::new();
                let mut see = |edge| {
                    found.push(edge);
                    Go::Continue(())
                };
                assert!(chain.near(&chain.edge_box(edge), &mut Pairs::new(), &mut see).unwrap().is_continue());
                assert!(found.contains(&edge), "{edge} of {count}");
                assert!(found.is_sorted());
            }
        }
    }

    #[test]
    fn few_pairs_of_a_long_chain_are_near() {
        let chain = circle(10_000);
        let mut seen = 0;
        let mut see = |_, _| {
            seen += 1;
            Go::Continue(())
        };
        assert!(chain.pairs_near(&chain, &mut Pairs::new(), &mut see).unwrap().is_continue());
        assert!(seen < 10_000 * 64, "{seen}");
    }

    #[test]
    fn an_end_to_the_pairs() {
        let chain = circle(100);
        let mut pairs = Pairs(500);
        let error = chain.pairs_near(&chain, &mut pairs, &mut |_, _| Go::Continue(())).unwrap_err();
        assert_eq!(error.kind, crate::error::ErrorKind::ResourceLimit);
    }
}
