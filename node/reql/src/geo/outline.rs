//! What cells cover: the edges of a geometry and what lies between them, whether or not they make a valid shape.
//!
//! Every replica of a shard must compute the same cells, so the vertices come from the sine and cosine that are the same
//! everywhere (G3); and because they are not to the last bit those of the shape that a query looks at, nothing here depends
//! on whether that one is valid.

use super::geojson::{position, vertices};
use super::ring::Ring;
use super::vector::Vector;
use crate::datum::Datum;

/// A geometry without judgement.
pub enum Outline {
    Point(Vector),
    /// Edges, and rings of them: what is in an odd number of rings is inside.
    Edges {
        edges: Vec<(Vector, Vector)>,
        rings: Vec<Ring>,
    },
}

impl Outline {
    /// `None`: it is no geometry of a kind that can be indexed, or has a vertex that is no point of the sphere.
    pub fn of(geometry: &Datum) -> Option<Outline> {
        let fields = geometry.as_object().ok()?;
        let coordinates = fields.get("coordinates")?;
        let project = Vector::from_degrees_anywhere;
        match fields.get("type")?.as_string().ok()?.as_str() {
            "Point" => Some(Outline::Point(position(&coordinates).ok()?.to_vector(project).ok()?)),
            "LineString" => {
                let vertices = vertices(coordinates.as_array().ok()?, project).ok()?;
                let edges = vertices.windows(2).map(|pair| (pair[0], pair[1])).collect();
                Some(Outline::Edges { edges, rings: Vec::new() })
            }
            "Polygon" => {
                let (mut edges, mut rings) = (Vec::new(), Vec::new());
                for ring in coordinates.as_array().ok()?.iter() {
                    let mut vertices = vertices(ring.as_array().ok()?, project).ok()?;
                    vertices.pop();
                    if vertices.len() < 3 {
                        return None;
                    }
                    let ring = Ring::new(vertices).normalized();
                    edges.extend(ring.chain().edges());
                    rings.push(ring);
                }
                Some(Outline::Edges { edges, rings })
            }
            _ => None,
        }
    }
}
