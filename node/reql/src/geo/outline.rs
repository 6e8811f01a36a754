//! What cells cover: the edges of a geometry and what lies between them, whether or not they make a valid shape.
//!
//! Every replica of a shard must compute the same cells, so the vertices come from the sine and cosine that are the same
//! everywhere (G3); and because they are not to the last bit those of the shape that a query looks at, nothing here depends
//! on whether that one is valid. Where such a bit decides more than a hair's breadth, what is covered is wide enough for
//! both answers: see [`slack`] and [`Outline::Edges`].

use super::effort::{Effort, Pace};
use super::geojson::{position, vertices};
use super::ring::Ring;
use super::vector::Vector;
use crate::datum::Datum;
use crate::limits::GEOMETRY_RINGS_MAX;

/// How far a vertex may be from the same one made with another sine and cosine, and more than the error of any test whether
/// shapes meet that are neither small nor large.
const VERTEX_ERROR: f64 = 4e-14;

/// What the area inside a ring may seem to be off, before its vertices are counted.
const AREA_ERROR: f64 = 1e-12;

/// A geometry without judgement.
pub enum Outline {
    Point(Vector),
    /// Edges, and rings of them: what is in an odd number of rings is inside.
    Edges {
        edges: Vec<(Vector, Vector)>,
        rings: Vec<Ring>,
        /// A ring is around so nearly half the sphere that either side may be its inside.
        either_side: bool,
    },
}

impl Outline {
    /// `None`: it is no geometry of a kind that can be indexed, has a vertex that is no point of the sphere, or has more rings
    /// than any polygon. Takes time in proportion to the number of vertices.
    pub fn of(geometry: &Datum, pace: &dyn Pace) -> Option<Outline> {
        let fields = geometry.as_object().ok()?;
        let coordinates = fields.get("coordinates")?;
        let project = Vector::from_degrees_anywhere;
        let effort = &mut Effort::without_end(pace);
        match fields.get("type")?.as_string().ok()?.as_str() {
            "Point" => Some(Outline::Point(position(&coordinates).ok()?.to_vector(project).ok()?)),
            "LineString" => {
                let vertices = vertices(coordinates.as_array().ok()?, project, effort).ok()?;
                let edges = vertices.windows(2).map(|pair| (pair[0], pair[1])).collect();
                Some(Outline::Edges { edges, rings: Vec::new(), either_side: false })
            }
            "Polygon" => {
                let (mut edges, mut rings, mut either_side) = (Vec::new(), Vec::new(), false);
                let given = coordinates.as_array().ok()?;
                if given.len() > GEOMETRY_RINGS_MAX {
                    return None;
                }
                for ring in given.iter() {
                    let mut vertices = vertices(ring.as_array().ok()?, project, effort).ok()?;
                    vertices.pop();
                    if vertices.len() < 3 {
                        return None;
                    }
                    let ring = Ring::new(vertices, effort).ok()?;
                    let angle = ring.turning_angle(effort).ok()?;
                    either_side |= angle.abs() <= area_error(&ring);
                    let ring = if angle < 0.0 { ring.inverted(effort).ok()? } else { ring };
                    edges.extend(ring.chain().edges());
                    rings.push(ring);
                }
                Some(Outline::Edges { edges, rings, either_side })
            }
            _ => None,
        }
    }
}

/// How far from where it is computed an edge may be found, in radians: the nearer its ends are to being opposite, the more
/// does the last bit of each turn the great circle between them.
pub fn slack((from, to): (Vector, Vector)) -> f64 {
    VERTEX_ERROR / (from + to).norm()
}

/// By how much the angle that a ring turns by may differ from that of the same ring made with another sine and cosine.
fn area_error(ring: &Ring) -> f64 {
    AREA_ERROR + ring.chain().edges().map(|edge| 8.0 * slack(edge).min(1.0)).sum::<f64>()
}
