//! Geometry on the sphere: points, lines and polygons whose edges are arcs of great circles, whether they meet, and cells
//! that cover them for an index.
//!
//! Which of two touching shapes holds the border, and how nearly equal numbers are told apart, follows Google's S2 library
//! as it was in 2011, because RethinkDB's answers do. Distances are geodesics on an ellipsoid (Karney, "Algorithms for
//! geodesics", 2013).
//!
//! G1. Signs of orientation are exact and consistent ([`orientation`]): three points are never in one line.
//! G2. The cells that cover a shape cover everything that [`Shape::intersects`] finds on it ([`covering`]).
//! G3. Cells are computed from sines and cosines that are the same on every machine, not from the system's, so that every
//!     replica of a shard computes the same ones ([`outline`]).
//! G4. What a shape may cost is bounded: pairs of edges, rings, cells ([`crate::limits`]).

mod cell;
mod chain;
mod circle;
mod covering;
mod distance;
mod edge;
mod ellipsoid;
mod geojson;
mod line;
mod orientation;
mod outline;
mod polygon;
#[cfg(test)]
mod property_tests;
mod ring;
#[cfg(test)]
pub(crate) mod samples;
mod shape;
mod vector;

pub use cell::{CellId, CellRanges};
pub use circle::{enclosing_circle, vertices_of_circle};
pub use covering::{cells_of_entry, cells_of_query};
pub use ellipsoid::{Ellipsoid, Unit};
pub use geojson::{LonLat, geometry, line_datum, line_positions, point_datum, point_of, polygon_datum, steps_for};
pub use polygon::Polygon;
pub use shape::Shape;
pub use vector::Vector;
