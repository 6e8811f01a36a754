//! Polygons: regions bounded by rings, each normalized; a ring at an odd depth of nesting is a hole.

mod assembly;
mod clip;

use std::collections::HashSet;

use super::line::{Line, nearest_of};
use super::ring::Ring;
use super::ring::relation::Nesting;
use super::vector::Vector;
use crate::error::{Error, Result};
use crate::limits::GEOMETRY_RINGS_MAX;
pub use assembly::Unused;

/// A polygon. Without rings it is empty.
#[derive(Clone, Debug)]
pub struct Polygon {
    rings: Vec<Ring>,
    /// For each ring, how many others are around it.
    depths: Vec<usize>,
}

impl Polygon {
    /// From a shell and the holes in it, each a valid ring. Edges that a hole shares with the shell vanish.
    ///
    /// Errors: too many rings; [`Unused`] inside: rings that cross or have an edge in common.
    pub fn new(shell: Ring, holes: Vec<Ring>) -> Result<std::result::Result<Polygon, Unused>> {
        if holes.len() >= GEOMETRY_RINGS_MAX {
            return Err(Error::resource(format!(
                "The polygon is too complex: it has more than {GEOMETRY_RINGS_MAX} rings."
            )));
        }
        let shell = shell.normalized();
        if holes.is_empty() {
            return Ok(Ok(Polygon { rings: vec![shell], depths: vec![0] }));
        }
        let directed = std::iter::once(shell).chain(holes.into_iter().map(|hole| hole.normalized().inverted()));
        let rings = match assembly::assemble(directed) {
            Ok(rings) => rings,
            Err(unused) => return Ok(Err(unused)),
        };
        let rings: Vec<Ring> = rings.into_iter().map(Ring::normalized).collect();
        if !fit_together(&rings)? {
            return Ok(Err(Unused));
        }
        let around = |inner: &Ring| {
            rings.iter().filter(|outer| !std::ptr::eq(*outer, inner) && outer.contains_nested(inner)).count()
        };
        let depths = rings.iter().map(around).collect();
        Ok(Ok(Polygon { rings, depths }))
    }

    /// Without rings.
    pub fn empty() -> Polygon {
        Polygon { rings: Vec::new(), depths: Vec::new() }
    }

    pub fn rings(&self) -> &[Ring] {
        &self.rings
    }

    fn edges(&self) -> impl Iterator<Item = (Vector, Vector)> + '_ {
        self.rings.iter().flat_map(|ring| ring.chain().edges())
    }

    fn has_holes(&self) -> bool {
        self.depths.iter().any(|depth| depth % 2 == 1)
    }

    fn shells(&self) -> impl Iterator<Item = &Ring> {
        self.rings.iter().zip(&self.depths).filter(|(_, depth)| **depth % 2 == 0).map(|(ring, _)| ring)
    }

    fn holes(&self) -> impl Iterator<Item = &Ring> {
        self.rings.iter().zip(&self.depths).filter(|(_, depth)| **depth % 2 == 1).map(|(ring, _)| ring)
    }

    /// Whether a point is inside; of a point on the border see [`Ring::contains`].
    pub fn contains_point(&self, point: Vector) -> bool {
        self.rings.iter().filter(|ring| ring.contains(point)).count() % 2 == 1
    }

    /// The point itself if it is inside, else the nearest point of the border.
    pub fn nearest(&self, point: Vector) -> Vector {
        if self.contains_point(point) { point } else { nearest_of(self.edges(), point) }
    }

    /// Whether any part of a line is inside. Errors: too complex to tell.
    pub fn intersects_line(&self, line: &Line) -> Result<bool> {
        clip::has_part(self, line, true)
    }

    /// Whether no part of a line is outside. Errors: too complex to tell.
    pub fn contains_line(&self, line: &Line) -> Result<bool> {
        Ok(!clip::has_part(self, line, false)?)
    }

    /// Whether `other` lies within this polygon. Errors: too complex to tell.
    pub fn contains(&self, other: &Polygon) -> Result<bool> {
        if let ([mine], [theirs]) = (self.rings.as_slice(), other.rings.as_slice()) {
            return mine.contains_ring(theirs);
        }
        if !self.has_holes() && !other.has_holes() {
            return all(&other.rings, |theirs| any(&self.rings, |mine| mine.contains_ring(theirs)));
        }
        let within = all(other.shells(), |shell| Ok(self.nesting(shell)? == Nesting::Contains))?;
        Ok(within && all(self.holes(), |hole| Ok(other.nesting(hole)? == Nesting::Apart))?)
    }

    /// Whether the polygons have anything but borders in common. Errors: too complex to tell.
    pub fn intersects(&self, other: &Polygon) -> Result<bool> {
        if let ([mine], [theirs]) = (self.rings.as_slice(), other.rings.as_slice()) {
            return mine.intersects_ring(theirs);
        }
        if !self.has_holes() && !other.has_holes() {
            return any(&self.rings, |mine| any(&other.rings, |theirs| mine.intersects_ring(theirs)));
        }
        Ok(any(other.shells(), |shell| self.intersects_shell(shell))?
            || any(self.shells(), |shell| other.intersects_shell(shell))?)
    }

    fn intersects_shell(&self, shell: &Ring) -> Result<bool> {
        let mut inside = false;
        for ring in &self.rings {
            if ring.contains_ring(shell)? {
                inside = !inside;
            } else if !shell.contains_ring(ring)? && ring.intersects_ring(shell)? {
                return Ok(true);
            }
        }
        Ok(inside)
    }

    /// Whether a ring crosses the border, lies within an odd number of rings, or an even one.
    fn nesting(&self, inner: &Ring) -> Result<Nesting> {
        let mut inside = false;
        for ring in &self.rings {
            match ring.nesting(inner)? {
                Nesting::Crosses => return Ok(Nesting::Crosses),
                Nesting::Contains => inside = !inside,
                Nesting::Apart => {}
            }
        }
        Ok(if inside { Nesting::Contains } else { Nesting::Apart })
    }
}

/// Whether no two rings have an edge in common, in either direction, and none cross.
fn fit_together(rings: &[Ring]) -> Result<bool> {
    if rings.len() > 1 {
        let mut seen = HashSet::new();
        for (a, b) in rings.iter().flat_map(|ring| ring.chain().edges()) {
            if !seen.insert((a.key(), b.key())) || !seen.insert((b.key(), a.key())) {
                return Ok(false);
            }
        }
    }
    for (place, ring) in rings.iter().enumerate() {
        if !ring.is_normalized() {
            return Ok(false);
        }
        for other in &rings[place + 1..] {
            if ring.nesting(other)? == Nesting::Crosses {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

fn any<'a>(rings: impl IntoIterator<Item = &'a Ring>, holds: impl Fn(&Ring) -> Result<bool>) -> Result<bool> {
    for ring in rings {
        if holds(ring)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn all<'a>(rings: impl IntoIterator<Item = &'a Ring>, holds: impl Fn(&Ring) -> Result<bool>) -> Result<bool> {
    Ok(!any(rings, |ring| Ok(!holds(ring)?))?)
}

#[cfg(test)]
mod tests;
