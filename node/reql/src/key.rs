//! Keys: datums as bytes whose order is the order of the datums.
//!
//! K1. Comparing two encoded values byte by byte gives the order of the datums.
//! K2. No encoded value is a prefix of another, so values can be joined: an index key is the index value, then the primary
//!     key.
//! K3. What may be a key, how long, and the words for what may not, are RethinkDB's.

pub mod format;
mod geo;
mod index;
mod primary;

pub use format::KeyError;
pub use geo::{cell_of_key, geo_bounds, geo_key};
pub use index::{IndexBound, IndexKey, index_key, index_lower_bound, index_upper_bound};
pub use primary::PrimaryKey;

#[cfg(test)]
mod tests;
