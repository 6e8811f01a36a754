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
//! G4. What an operation on shapes may cost is bounded as a whole ([`Effort`]), and so are the rings and the cells of a shape
//!     ([`crate::limits`]). While it goes on, who runs it is told ([`Pace`]): a query can be ended in the middle of it.
//! G5. What is done to index a geometry takes time in proportion to its vertices, whatever it is ([`covering`]).

mod bounds;
mod cell;
mod chain;
mod circle;
mod covering;
mod distance;
mod edge;
mod effort;
mod ellipsoid;
#[cfg(test)]
mod extreme_tests;
mod geojson;
mod line;
mod nearest;
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
pub use effort::{Effort, Pace, Unpaced};
pub use ellipsoid::{Ellipsoid, Unit};
pub use geojson::{LonLat, geometry, line_datum, line_positions, point_datum, point_of, polygon_datum};
pub use polygon::Polygon;
pub use shape::Shape;
pub use vector::Vector;
