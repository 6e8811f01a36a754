//! Building a matcher. The crate goes down into nested groups recursively, and the stack of a fiber has room for few.

use std::{io, panic, thread};

use regex::bytes::{Regex, RegexBuilder};

use crate::limits::{PATTERN_GROUPS_ON_STACK_MAX, PATTERN_LEVELS_MAX, PATTERN_STACK_BYTES};

/// The matcher of an expression of the crate's whose groups are nested `depth` deep. The outer error says that there is no stack for it.
pub(super) fn build(expression: &str, depth: usize) -> io::Result<Result<Regex, regex::Error>> {
    let build = || RegexBuilder::new(expression).nest_limit(PATTERN_LEVELS_MAX).build();
    if depth <= PATTERN_GROUPS_ON_STACK_MAX {
        return Ok(build());
    }
    thread::scope(|scope| {
        let thread = thread::Builder::new().stack_size(PATTERN_STACK_BYTES).spawn_scoped(scope, build)?;
        Ok(thread.join().unwrap_or_else(|panicked| panic::resume_unwind(panicked)))
    })
}
