//! A chain of edges, open or closed, with boxes around runs of edges so that what is near it is found without trying every
//! edge, and what is near two of them without trying every pair.
//!
//! ```text
//! boxes[0][i]      around the edges from i * FANOUT on
//! boxes[n + 1][i]  around the boxes of level n from i * FANOUT on
//! ```

use std::ops::{ControlFlow, Range};

use super::bounds::Box3;
use super::effort::Effort;
use super::vector::Vector;
use crate::error::Result;

/// Edges in a box, and boxes in a larger one.
const FANOUT: usize = 8;

/// Vertices and the edges between them.
#[derive(Clone, Debug)]
pub struct Chain {
    vertices: Vec<Vector>,
    /// Whether an edge leads from the last vertex to the first.
    closed: bool,
    boxes: Vec<Vec<Box3>>,
}

/// Whether to go on, as what looks at edges says.
pub type Go = ControlFlow<()>;

/// One of the boxes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    level: usize,
    index: usize,
}

impl Chain {
    /// Errors: too many for one operation.
    pub fn new(vertices: Vec<Vector>, closed: bool, effort: &mut Effort<'_>) -> Result<Chain> {
        let mut chain = Chain { vertices, closed, boxes: Vec::new() };
        let count = chain.edge_count();
        effort.take(count)?;
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
        Ok(chain)
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

    /// The box around everything; `None`: there is no edge.
    pub fn root(&self) -> Option<Node> {
        let level = self.boxes.len() - 1;
        (!self.boxes[level].is_empty()).then_some(Node { level, index: 0 })
    }

    pub fn box_of(&self, node: Node) -> &Box3 {
        &self.boxes[node.level][node.index]
    }

    /// The edges that a box of the lowest level is around.
    pub fn run(&self, node: Node) -> Option<Range<usize>> {
        (node.level == 0).then(|| node.index * FANOUT..self.edge_count().min((node.index + 1) * FANOUT))
    }

    /// The boxes that a box of a higher level is around.
    pub fn parts(&self, node: Node) -> impl Iterator<Item = Node> + use<> {
        let level = node.level.saturating_sub(1);
        let count = if node.level == 0 { 0 } else { self.boxes[level].len() };
        (node.index * FANOUT..count.min((node.index + 1) * FANOUT)).map(move |index| Node { level, index })
    }

    /// Visits the runs of edges in boxes that `wanted` wants, in ascending order. Errors: too complex to tell.
    pub fn runs(
        &self,
        wanted: &dyn Fn(&Box3) -> bool,
        effort: &mut Effort<'_>,
        visit: &mut dyn FnMut(Range<usize>) -> Go,
    ) -> Result<Go> {
        match self.root() {
            Some(root) => self.runs_in(root, wanted, effort, visit),
            None => Ok(Go::Continue(())),
        }
    }

    /// The levels are few: eight times as many edges for each.
    fn runs_in(
        &self,
        node: Node,
        wanted: &dyn Fn(&Box3) -> bool,
        effort: &mut Effort<'_>,
        visit: &mut dyn FnMut(Range<usize>) -> Go,
    ) -> Result<Go> {
        effort.take(1)?;
        if !wanted(self.box_of(node)) {
            return Ok(Go::Continue(()));
        }
        if let Some(run) = self.run(node) {
            effort.take(run.len())?;
            return Ok(visit(run));
        }
        for part in self.parts(node) {
            if self.runs_in(part, wanted, effort, visit)?.is_break() {
                return Ok(Go::Break(()));
            }
        }
        Ok(Go::Continue(()))
    }

    /// Visits the edges in boxes that touch `near`, in ascending order, until told to stop.
    pub fn near(&self, near: &Box3, effort: &mut Effort<'_>, visit: &mut dyn FnMut(usize) -> Go) -> Result<Go> {
        self.runs(&|around| around.touches(near), effort, &mut |mut run| run.try_for_each(&mut *visit))
    }

    /// Visits pairs of an edge of this chain and an edge of `other` that may have points in common, until told to stop.
    pub fn pairs_near(
        &self,
        other: &Chain,
        effort: &mut Effort<'_>,
        visit: &mut dyn FnMut(usize, usize) -> Go,
    ) -> Result<Go> {
        match (self.root(), other.root()) {
            (Some(mine), Some(theirs)) => self.pairs_in(mine, (other, theirs), false, effort, visit),
            _ => Ok(Go::Continue(())),
        }
    }

    /// As [`Chain::pairs_near`], for pairs of edges of this chain. The first of a pair is nowhere more than a run behind the
    /// second.
    pub fn pairs_within(&self, effort: &mut Effort<'_>, visit: &mut dyn FnMut(usize, usize) -> Go) -> Result<Go> {
        match self.root() {
            Some(root) => self.pairs_in(root, (self, root), true, effort, visit),
            None => Ok(Go::Continue(())),
        }
    }

    fn pairs_in(
        &self,
        mine: Node,
        (other, theirs): (&Chain, Node),
        ascending: bool,
        effort: &mut Effort<'_>,
        visit: &mut dyn FnMut(usize, usize) -> Go,
    ) -> Result<Go> {
        effort.take(1)?;
        let mirrored = ascending && mine.level == theirs.level && mine.index > theirs.index;
        if mirrored || !self.box_of(mine).touches(other.box_of(theirs)) {
            return Ok(Go::Continue(()));
        }
        if let (Some(run), Some(others)) = (self.run(mine), other.run(theirs)) {
            return self.pairs_of_runs(run, self.box_of(mine), (other, others), effort, visit);
        }
        let mut go = Go::Continue(());
        if mine.level >= theirs.level {
            for part in self.parts(mine) {
                if go.is_continue() {
                    go = self.pairs_in(part, (other, theirs), ascending, effort, visit)?;
                }
            }
        } else {
            for part in other.parts(theirs) {
                if go.is_continue() {
                    go = self.pairs_in(mine, (other, part), ascending, effort, visit)?;
                }
            }
        }
        Ok(go)
    }

    fn pairs_of_runs(
        &self,
        run: Range<usize>,
        around: &Box3,
        (other, others): (&Chain, Range<usize>),
        effort: &mut Effort<'_>,
        visit: &mut dyn FnMut(usize, usize) -> Go,
    ) -> Result<Go> {
        for edge in others {
            effort.take(1)?;
            if around.touches(&other.edge_box(edge)) {
                effort.take(run.len())?;
                if run.clone().try_for_each(|mine| visit(mine, edge)).is_break() {
                    return Ok(Go::Break(()));
                }
            }
        }
        Ok(Go::Continue(()))
    }
}

#[cfg(test)]
mod tests;
