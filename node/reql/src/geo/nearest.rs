//! The point of some chains that is nearest to a point.

use super::chain::{Chain, Node};
use super::edge::{distance, nearest};
use super::effort::Effort;
use super::vector::Vector;
use crate::error::Result;

/// More than the error of a computed distance that is short.
const DISTANCE_ERROR: f64 = 1e-14;

/// A search through one chain after the other. Of edges that are equally near the first one counts.
pub struct Nearest {
    point: Vector,
    best: Option<Best>,
    /// Edges of the chains that were looked at before.
    edges: usize,
}

struct Best {
    /// In radians.
    distance: f64,
    number: usize,
    edge: (Vector, Vector),
}

impl Nearest {
    pub fn new(point: Vector) -> Nearest {
        Nearest { point, best: None, edges: 0 }
    }

    /// Errors: too many edges for one operation.
    pub fn look(&mut self, chain: &Chain, effort: &mut Effort<'_>) -> Result<()> {
        if let Some(root) = chain.root() {
            self.look_in(chain, root, effort)?;
        }
        self.edges += chain.edge_count();
        Ok(())
    }

    /// The nearest point; the point itself when there was no edge.
    pub fn place(&self) -> Vector {
        self.best.as_ref().map_or(self.point, |best| nearest(self.point, best.edge.0, best.edge.1))
    }

    /// The levels are few: eight times as many edges for each.
    fn look_in(&mut self, chain: &Chain, node: Node, effort: &mut Effort<'_>) -> Result<()> {
        if let Some(run) = chain.run(node) {
            effort.take(2 * run.len())?;
            run.for_each(|edge| self.take(self.edges + edge, chain.edge(edge)));
            return Ok(());
        }
        // What is near is looked at first, so that the rest need not be.
        let mut parts: Vec<(f64, Node)> =
            chain.parts(node).map(|part| (chain.box_of(part).distance2(self.point).sqrt(), part)).collect();
        effort.take(parts.len())?;
        parts.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        for (least, part) in parts {
            // A straight line is no longer than the arc above it.
            if self.best.as_ref().is_none_or(|best| least <= best.distance + DISTANCE_ERROR) {
                self.look_in(chain, part, effort)?;
            }
        }
        Ok(())
    }

    fn take(&mut self, number: usize, edge: (Vector, Vector)) {
        let distance = distance(self.point, edge.0, edge.1);
        let nearer = |best: &Best| distance < best.distance || (distance == best.distance && number < best.number);
        if self.best.as_ref().is_none_or(nearer) {
            self.best = Some(Best { distance, number, edge });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datum::samples::{Samples, rounds};
    use crate::geo::effort::Unpaced;
    use crate::geo::samples::Region;

    fn nearest_of_all(chain: &Chain, point: Vector) -> Vector {
        let mut best: Option<(f64, (Vector, Vector))> = None;
        for edge in chain.edges() {
            let distance = distance(point, edge.0, edge.1);
            if best.is_none_or(|(least, _)| distance < least) {
                best = Some((distance, edge));
            }
        }
        best.map_or(point, |(_, (a, b))| nearest(point, a, b))
    }

    #[test]
    fn boxes_leave_out_nothing_that_is_nearest() {
        let mut samples = Samples::from_environment();
        let mut effort = Effort::new(&Unpaced);
        for _ in 0..rounds(300) {
            let region = Region::random(&mut samples);
            let count = 1 + samples.below(100);
            let vertices: Vec<Vector> = (0..count).map(|_| region.any_place(&mut samples)).collect();
            let chain = Chain::new(vertices, samples.below(2) == 0, &mut effort).unwrap();
            for _ in 0..10 {
                let point = region.any_place(&mut samples);
                let mut search = Nearest::new(point);
                search.look(&chain, &mut effort).unwrap();
                assert_eq!(search.place(), nearest_of_all(&chain, point), "{chain:?} {point:?}");
            }
        }
    }
}
