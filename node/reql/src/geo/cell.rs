//! Cells: the sphere cut into six faces, and each of them over and over into four.
//!
//! ```text
//! id := face:3  quarter:2 for each level  1  0...     64 bits in all
//! ```
//!
//! The ids of the cells within a cell are a range around its own. As in S2, but for the order of the four quarters, which
//! is plain here: nothing but "within" is asked of it.

use super::vector::Vector;

/// How often a face is cut. The smallest cells are about a centimeter wide on earth.
pub const LEVEL_MAX: u32 = 30;

/// Smallest cells along a side of a face.
const SIDE: f64 = (1u64 << LEVEL_MAX) as f64;

/// A cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CellId(u64);

/// What a cell covers of its face, in the plane that touches the sphere at the face's middle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Square {
    pub face: u8,
    pub u: (f64, f64),
    pub v: (f64, f64),
}

impl CellId {
    /// The six faces.
    pub fn faces() -> impl Iterator<Item = CellId> {
        (0..6).map(|face| CellId(face << 61 | 1 << 60))
    }

    /// The smallest cell that holds a point.
    pub fn leaf(point: Vector) -> CellId {
        let axis = point.largest_axis();
        let face = axis as u8 + if [point.x, point.y, point.z][axis] < 0.0 { 3 } else { 0 };
        let [u, v, w] = on_face(face, point);
        let (i, j) = (step(u / w), step(v / w));
        CellId(u64::from(face) << 61 | interleave(i, j) << 1 | 1)
    }

    /// A cell from the number it has in keys; `None`: no cell has it.
    pub fn from_u64(id: u64) -> Option<CellId> {
        let zeros = id.trailing_zeros();
        (id >> 61 < 6 && zeros <= 2 * LEVEL_MAX && zeros.is_multiple_of(2)).then_some(CellId(id))
    }

    pub fn to_u64(self) -> u64 {
        self.0
    }

    pub fn level(self) -> u32 {
        LEVEL_MAX - self.0.trailing_zeros() / 2
    }

    /// The ids of all cells within this one, itself included.
    pub fn range(self) -> (u64, u64) {
        let half = (self.0 & self.0.wrapping_neg()) - 1;
        (self.0 - half, self.0 + half)
    }

    pub fn contains(self, other: CellId) -> bool {
        let (low, high) = self.range();
        (low..=high).contains(&other.0)
    }

    /// The four quarters; of a smallest cell it makes no sense.
    pub fn quarters(self) -> [CellId; 4] {
        debug_assert!(self.level() < LEVEL_MAX);
        let quarter = (self.0 & self.0.wrapping_neg()) >> 2;
        let first = self.0 - 3 * quarter;
        [0, 2, 4, 6].map(|step| CellId(first + step * quarter))
    }

    /// The cells that hold this one, from its parent to the face.
    pub fn ancestors(self) -> impl Iterator<Item = CellId> {
        (0..self.level()).rev().map(move |level| {
            let bit = 1u64 << (2 * (LEVEL_MAX - level));
            CellId(self.0 & bit.wrapping_neg() | bit)
        })
    }

    /// What it covers.
    pub fn square(self) -> Square {
        let (low, high) = self.range();
        let (i_low, j_low) = separate((low << 3) >> 4);
        let (i_high, j_high) = separate((high << 3) >> 4);
        let side = |low: u32, high: u32| (place(f64::from(low)), place(f64::from(high) + 1.0));
        Square { face: (self.0 >> 61) as u8, u: side(i_low, i_high), v: side(j_low, j_high) }
    }
}

impl Square {
    /// A point inside.
    pub fn center(&self) -> Vector {
        let (u, v) = ((self.u.0 + self.u.1) / 2.0, (self.v.0 + self.v.1) / 2.0);
        let one = if self.face < 3 { 1.0 } else { -1.0 };
        match self.face % 3 {
            0 => Vector::new(one, u, v),
            1 => Vector::new(u, one, v),
            _ => Vector::new(u, v, one),
        }
        .normalized()
    }
}

/// A vector as seen by a face: along its two sides, and towards it.
pub fn on_face(face: u8, vector: Vector) -> [f64; 3] {
    let Vector { x, y, z } = vector;
    let [u, v, w] = match face % 3 {
        0 => [y, z, x],
        1 => [x, z, y],
        _ => [x, y, z],
    };
    [u, v, if face < 3 { w } else { -w }]
}

/// In which of the smallest steps along a side a place lies. The steps are bent so that cells are of about one size on the
/// sphere: S2's quadratic projection.
fn step(place: f64) -> u32 {
    let part = if place >= 0.0 { 0.5 * (1.0 + 3.0 * place).sqrt() } else { 1.0 - 0.5 * (1.0 - 3.0 * place).sqrt() };
    (part * SIDE).floor().clamp(0.0, SIDE - 1.0) as u32
}

/// Where a step begins: the inverse of [`step`].
fn place(step: f64) -> f64 {
    let part = step / SIDE;
    if part >= 0.5 { (4.0 * part * part - 1.0) / 3.0 } else { (1.0 - 4.0 * (1.0 - part) * (1.0 - part)) / 3.0 }
}

/// The bits of two numbers by turns.
fn interleave(i: u32, j: u32) -> u64 {
    spread(i) << 1 | spread(j)
}

fn separate(bits: u64) -> (u32, u32) {
    (gather(bits >> 1), gather(bits))
}

const SPREADS: [(u32, u64); 5] = [
    (16, 0x0000_ffff_0000_ffff),
    (8, 0x00ff_00ff_00ff_00ff),
    (4, 0x0f0f_0f0f_0f0f_0f0f),
    (2, 0x3333_3333_3333_3333),
    (1, 0x5555_5555_5555_5555),
];

fn spread(bits: u32) -> u64 {
    SPREADS.iter().fold(u64::from(bits), |bits, (shift, mask)| (bits | bits << shift) & mask)
}

fn gather(bits: u64) -> u32 {
    let even = bits & SPREADS[4].1;
    let masks = [SPREADS[3].1, SPREADS[2].1, SPREADS[1].1, SPREADS[0].1, 0xffff_ffff];
    SPREADS.iter().rev().zip(masks).fold(even, |bits, ((shift, _), mask)| (bits | bits >> shift) & mask) as u32
}

/// Ranges of cell ids, ascending and apart: what a query looks for in an index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CellRanges(Vec<(u64, u64)>);

impl CellRanges {
    /// Every cell that has a part in common with one of `cells`: those within it, and those around it.
    pub fn meeting(cells: &[CellId]) -> CellRanges {
        let mut ranges: Vec<(u64, u64)> = cells.iter().map(|cell| cell.range()).collect();
        for ancestor in cells.iter().flat_map(|cell| cell.ancestors()) {
            ranges.push((ancestor.0, ancestor.0));
        }
        ranges.sort_unstable();
        let mut apart: Vec<(u64, u64)> = Vec::with_capacity(ranges.len());
        for (low, high) in ranges {
            match apart.last_mut() {
                Some(last) if low <= last.1.saturating_add(1) => last.1 = last.1.max(high),
                _ => apart.push((low, high)),
            }
        }
        CellRanges(apart)
    }

    /// The ranges that [`CellRanges::iter`] gave; `None`: they do not ascend apart.
    pub fn of(ranges: Vec<(u64, u64)>) -> Option<CellRanges> {
        let whole = ranges.iter().all(|(low, high)| low <= high);
        let apart = ranges.windows(2).all(|pair| pair[0].1 < pair[1].0);
        (whole && apart).then_some(CellRanges(ranges))
    }

    /// The ranges, each with its first and last id.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.0.iter().copied()
    }

    pub fn contains(&self, cell: CellId) -> bool {
        let behind = self.0.partition_point(|(low, _)| *low <= cell.0);
        behind > 0 && cell.0 <= self.0[behind - 1].1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leaf_lies_in_its_ancestors_and_its_square() {
        for (longitude, latitude) in
            [(0.0, 0.0), (45.0, 35.264), (-122.3, 37.8), (180.0, -45.0), (12.0, 90.0), (0.0, -90.0)]
        {
            let point = Vector::from_degrees(longitude, latitude);
            let leaf = CellId::leaf(point);
            assert_eq!(leaf.level(), LEVEL_MAX);
            assert_eq!(CellId::from_u64(leaf.to_u64()), Some(leaf));
            let ancestors: Vec<_> = leaf.ancestors().collect();
            assert_eq!(ancestors.len(), 30);
            for (distance, ancestor) in ancestors.iter().enumerate() {
                assert_eq!(ancestor.level(), LEVEL_MAX - 1 - distance as u32);
                assert!(ancestor.contains(leaf));
                assert_eq!(ancestor.quarters().iter().filter(|quarter| quarter.contains(leaf)).count(), 1);
                let square = ancestor.square();
                let [u, v, w] = on_face(square.face, point);
                let within = |place: f64, (low, high): (f64, f64)| low - 1e-15 <= place && place <= high + 1e-15;
                assert!(within(u / w, square.u) && within(v / w, square.v), "{ancestor:?} {square:?}");
            }
            assert!(CellId::faces().any(|face| Some(&face) == ancestors.last()));
        }
    }

    #[test]
    fn quarters_divide_a_cell() {
        let mut cell = CellId::faces().nth(4).unwrap();
        for choice in [0, 3, 1, 2, 2] {
            let quarters = cell.quarters();
            let (low, high) = cell.range();
            assert_eq!((quarters[0].range().0, quarters[3].range().1), (low, high));
            for pair in quarters.windows(2) {
                assert_eq!(pair[0].range().1 + 2, pair[1].range().0);
            }
            assert!(
                quarters
                    .iter()
                    .all(|quarter| CellId::leaf(quarter.square().center()).ancestors().any(|at| at == *quarter))
            );
            cell = quarters[choice];
        }
    }

    #[test]
    fn ranges_hold_what_meets() {
        let leaf = CellId::leaf(Vector::from_degrees(10.0, 10.0));
        let cell = leaf.ancestors().nth(9).unwrap();
        let ranges = CellRanges::meeting(&[cell]);
        assert!(ranges.contains(leaf) && ranges.contains(cell));
        assert!(cell.ancestors().all(|ancestor| ranges.contains(ancestor)));
        let far = CellId::leaf(Vector::from_degrees(-10.0, 10.0));
        assert!(!ranges.contains(far));
        assert!(ranges.iter().count() <= 21);
        assert_eq!(CellRanges::meeting(&[cell, leaf]), ranges);
        assert_eq!(CellRanges::of(ranges.iter().collect()), Some(ranges));
        assert_eq!(CellRanges::of(vec![(3, 4), (4, 5)]), None);
        assert_eq!(CellRanges::of(vec![(4, 3)]), None);
    }

    #[test]
    fn numbers_that_are_no_cells() {
        assert_eq!(CellId::from_u64(0), None);
        assert_eq!(CellId::from_u64(2), None);
        assert_eq!(CellId::from_u64(u64::MAX), None);
    }
}
