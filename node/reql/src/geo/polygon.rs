//! Polygons: regions bounded by rings, each normalized; a ring at an odd depth of nesting is a hole.

mod assembly;
mod clip;

use std::collections::HashSet;

use super::effort::Effort;
use super::line::Line;
use super::nearest::Nearest;
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
    /// Errors: too many rings, or too complex; [`Unused`] inside: rings that cross or have an edge in common.
    pub fn new(shell: Ring, holes: Vec<Ring>, effort: &mut Effort<'_>) -> Result<std::result::Result<Polygon, Unused>> {
        check_ring_count(holes.len() + 1)?;
        let shell = shell.normalized(effort)?;
        if holes.is_empty() {
            return Ok(Ok(Polygon { rings: vec![shell], depths: vec![0] }));
        }
        let mut directed = vec![shell];
        for hole in holes {
            directed.push(hole.normalized(effort)?.inverted(effort)?);
        }
        let rings = match assembly::assemble(directed.into_iter(), effort)? {
            Ok(rings) => rings,
            Err(unused) => return Ok(Err(unused)),
        };
        let rings = rings.into_iter().map(|ring| ring.normalized(effort)).collect::<Result<Vec<Ring>>>()?;
        if !fit_together(&rings, effort)? {
            return Ok(Err(Unused));
        }
        let mut depths = Vec::with_capacity(rings.len());
        for inner in &rings {
            let mut around = 0;
            for outer in rings.iter().filter(|outer| !std::ptr::eq(*outer, inner)) {
                around += usize::from(outer.contains_nested(inner, effort)?);
            }
            depths.push(around);
        }
        Ok(Ok(Polygon { rings, depths }))
    }

    /// Without rings.
    pub fn empty() -> Polygon {
        Polygon { rings: Vec::new(), depths: Vec::new() }
    }

    pub fn rings(&self) -> &[Ring] {
        &self.rings
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

    /// Whether a point is inside; of a point on the border see [`Ring::contains`]. Errors: too complex to tell.
    pub fn contains_point(&self, point: Vector, effort: &mut Effort<'_>) -> Result<bool> {
        let mut inside = false;
        for ring in &self.rings {
            inside ^= ring.contains(point, effort)?;
        }
        Ok(inside)
    }

    /// The point itself if it is inside, else the nearest point of the border. Errors: too complex to tell.
    pub fn nearest(&self, point: Vector, effort: &mut Effort<'_>) -> Result<Vector> {
        if self.contains_point(point, effort)? {
            return Ok(point);
        }
        let mut nearest = Nearest::new(point);
        for ring in &self.rings {
            nearest.look(ring.chain(), effort)?;
        }
        Ok(nearest.place())
    }

    /// Whether any part of a line is inside. Errors: too complex to tell.
    pub fn intersects_line(&self, line: &Line, effort: &mut Effort<'_>) -> Result<bool> {
        clip::has_part(self, line, true, effort)
    }

    /// Whether no part of a line is outside. Errors: too complex to tell.
    pub fn contains_line(&self, line: &Line, effort: &mut Effort<'_>) -> Result<bool> {
        Ok(!clip::has_part(self, line, false, effort)?)
    }

    /// Whether `other` lies within this polygon. Errors: too complex to tell.
    pub fn contains(&self, other: &Polygon, effort: &mut Effort<'_>) -> Result<bool> {
        if let ([mine], [theirs]) = (self.rings.as_slice(), other.rings.as_slice()) {
            return mine.contains_ring(theirs, effort);
        }
        if !self.has_holes() && !other.has_holes() {
            return all(&other.rings, |theirs| any(&self.rings, |mine| mine.contains_ring(theirs, effort)));
        }
        let within = all(other.shells(), |shell| Ok(self.nesting(shell, effort)? == Nesting::Contains))?;
        Ok(within && all(self.holes(), |hole| Ok(other.nesting(hole, effort)? == Nesting::Apart))?)
    }

    /// Whether the polygons have anything but borders in common. Errors: too complex to tell.
    pub fn intersects(&self, other: &Polygon, effort: &mut Effort<'_>) -> Result<bool> {
        if let ([mine], [theirs]) = (self.rings.as_slice(), other.rings.as_slice()) {
            return mine.intersects_ring(theirs, effort);
        }
        if !self.has_holes() && !other.has_holes() {
            return any(&self.rings, |mine| any(&other.rings, |theirs| mine.intersects_ring(theirs, effort)));
        }
        Ok(any(other.shells(), |shell| self.intersects_shell(shell, effort))?
            || any(self.shells(), |shell| other.intersects_shell(shell, effort))?)
    }

    fn intersects_shell(&self, shell: &Ring, effort: &mut Effort<'_>) -> Result<bool> {
        let mut inside = false;
        for ring in &self.rings {
            if ring.contains_ring(shell, effort)? {
                inside = !inside;
            } else if !shell.contains_ring(ring, effort)? && ring.intersects_ring(shell, effort)? {
                return Ok(true);
            }
        }
        Ok(inside)
    }

    /// Whether a ring crosses the border, lies within an odd number of rings, or an even one.
    fn nesting(&self, inner: &Ring, effort: &mut Effort<'_>) -> Result<Nesting> {
        let mut inside = false;
        for ring in &self.rings {
            match ring.nesting(inner, effort)? {
                Nesting::Crosses => return Ok(Nesting::Crosses),
                Nesting::Contains => inside = !inside,
                Nesting::Apart => {}
            }
        }
        Ok(if inside { Nesting::Contains } else { Nesting::Apart })
    }
}

/// Errors: more rings than a polygon may have.
pub fn check_ring_count(count: usize) -> Result<()> {
    if count > GEOMETRY_RINGS_MAX {
        return Err(Error::resource(format!(
            "The polygon is too complex: it has more than {GEOMETRY_RINGS_MAX} rings."
        )));
    }
    Ok(())
}

/// Whether no two rings have an edge in common, in either direction, and none cross.
fn fit_together(rings: &[Ring], effort: &mut Effort<'_>) -> Result<bool> {
    if rings.len() > 1 {
        let mut seen = HashSet::new();
        for (a, b) in rings.iter().flat_map(|ring| ring.chain().edges()) {
            effort.take(4)?;
            if !seen.insert((a.key(), b.key())) || !seen.insert((b.key(), a.key())) {
                return Ok(false);
            }
        }
    }
    for (place, ring) in rings.iter().enumerate() {
        if !ring.is_normalized(effort)? {
            return Ok(false);
        }
        for other in &rings[place + 1..] {
            if ring.nesting(other, effort)? == Nesting::Crosses {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

fn any<'a>(rings: impl IntoIterator<Item = &'a Ring>, mut holds: impl FnMut(&Ring) -> Result<bool>) -> Result<bool> {
    for ring in rings {
        if holds(ring)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn all<'a>(rings: impl IntoIterator<Item = &'a Ring>, mut holds: impl FnMut(&Ring) -> Result<bool>) -> Result<bool> {
    Ok(!any(rings, |ring| Ok(!holds(ring)?))?)
}

#[cfg(test)]
mod tests;
