//! The slab allocator: which slots of the page file are used, held or free.

mod evacuation;
pub mod extent;
pub mod format;
pub mod free_set;
mod placement;
pub mod size_class;
pub mod slot_map;

pub use evacuation::Tolerance;
pub use free_set::FreeSet;
pub use size_class::SizeClass;
