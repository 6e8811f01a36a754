//! Pages: what a tree node or a large value is on disk, and the 8-byte references that name them.

pub mod cache;
pub mod compression;
pub mod format;
pub mod overflow;
pub mod store;

pub use compression::Compression;
pub use format::{PageId, PageRef};
