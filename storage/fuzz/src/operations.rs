//! A string of operations on an engine and on `BTreeMap`, which must always agree.
//!
//! The first byte chooses the engine: bit 0 in memory; bits 1-2 the compression of new sets; bit 3 a cache of next to
//! nothing. Then each operation is a byte and what it takes.

mod case;
mod model;

use case::Case;

use super::input::Input;

/// Operations of one run, at most.
const OPERATIONS_MAX: usize = 400;

/// Runs the operations, then everything is checked once more and the directory is closed.
pub fn run(input: &[u8]) {
    let mut input = Input::new(input);
    let mut case = Case::new(input.byte());
    for _ in 0..OPERATIONS_MAX {
        if input.is_empty() {
            break;
        }
        case.operate(&mut input);
    }
    case.finish();
}
