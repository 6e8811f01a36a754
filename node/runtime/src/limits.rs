//! The maxima of this crate.

/// The smallest size class of fiber stacks, in bytes.
pub const STACK_BYTES_BASE: usize = 256 * 1024;

/// What a fiber's stack keeps for the functions at its top and bottom, whatever the depth of its term, in bytes.
pub const STACK_BYTES_RESERVE: usize = 128 * 1024;

/// What one more level of a term's nesting adds to a fiber's stack, in bytes.
pub const STACK_BYTES_PER_LEVEL: usize = 6 * 1024;

/// The largest stack a fiber gets, in bytes of address space; memory is used only as far as the stack is touched.
pub const STACK_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Largest stack that is kept for the next fiber; deeper ones are unmapped after use.
pub const POOLED_STACK_BYTES_MAX: usize = 1024 * 1024;

/// How many stacks of one size class a thread keeps at most: as many as are in use together, within this.
pub const POOLED_STACKS_PER_CLASS_MAX: usize = 1024;

/// So many it keeps in any case.
pub const POOLED_STACKS_MIN: usize = 32;

/// After so many uses, half of what is kept beyond those in use may go.
pub const POOLED_STACKS_PERIOD: usize = 4096;

/// Stack of an executor's thread, in bytes of address space. Tasks compile queries there, before it is known how deep a
/// fiber's stack must be.
pub const EXECUTOR_STACK_BYTES: usize = 16 * 1024 * 1024;

const _: () = assert!(STACK_BYTES_BASE.is_power_of_two() && STACK_BYTES_MAX.is_power_of_two());
const _: () = assert!(STACK_BYTES_BASE <= POOLED_STACK_BYTES_MAX && POOLED_STACK_BYTES_MAX <= STACK_BYTES_MAX);
