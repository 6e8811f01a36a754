//! Stacks by size class, mapped lazily and kept per thread for the next fiber.

use std::cell::RefCell;
use std::io;

use corosensei::stack::DefaultStack;

use crate::limits::{
    POOLED_STACK_BYTES_MAX, POOLED_STACKS_PER_CLASS_MAX, STACK_BYTES_BASE, STACK_BYTES_MAX, STACK_BYTES_PER_LEVEL,
    STACK_BYTES_RESERVE,
};

/// How much stack a fiber gets: a power of two between [`STACK_BYTES_BASE`] and [`STACK_BYTES_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StackSize {
    class: u8,
}

impl StackSize {
    /// The smallest class, enough for shallow terms.
    pub const SMALL: StackSize = StackSize { class: 0 };

    /// Room to evaluate a term nested `term_depth` deep.
    pub fn for_depth(term_depth: usize) -> Self {
        let wanted = term_depth.saturating_mul(STACK_BYTES_PER_LEVEL).saturating_add(STACK_BYTES_RESERVE);
        let mut class = 0;
        while STACK_BYTES_BASE << class < wanted.min(STACK_BYTES_MAX) {
            class += 1;
        }
        Self { class }
    }

    /// The usable bytes.
    pub fn bytes(self) -> usize {
        STACK_BYTES_BASE << self.class
    }
}

const POOLED_CLASSES: usize = (POOLED_STACK_BYTES_MAX / STACK_BYTES_BASE).ilog2() as usize + 1;

thread_local! {
    static POOL: RefCell<[Vec<DefaultStack>; POOLED_CLASSES]> = const { RefCell::new([const { Vec::new() }; POOLED_CLASSES]) };
}

/// A stack of this size from the pool, or a new mapping.
pub(super) fn take(size: StackSize) -> io::Result<DefaultStack> {
    let pooled = POOL.try_with(|pool| pool.borrow_mut().get_mut(usize::from(size.class)).and_then(Vec::pop));
    match pooled {
        Ok(Some(stack)) => Ok(stack),
        _ => DefaultStack::new(size.bytes()),
    }
}

/// Keeps the stack for the next fiber of this thread, or unmaps it when it is deep or the pool is full.
pub(super) fn give_back(stack: DefaultStack, size: StackSize) {
    // At the end of a thread the pool may be gone already; then the stack is unmapped here.
    let _ = POOL.try_with(|pool| {
        if let Some(kept) = pool.borrow_mut().get_mut(usize::from(size.class))
            && kept.len() < POOLED_STACKS_PER_CLASS_MAX
        {
            kept.push(stack);
        }
    });
}

#[cfg(test)]
mod tests {
    use corosensei::stack::Stack;

    use super::*;

    #[test]
    fn depth_chooses_the_class() {
        assert_eq!(StackSize::for_depth(0), StackSize::SMALL);
        assert_eq!(StackSize::for_depth(STACK_BYTES_BASE / STACK_BYTES_PER_LEVEL).bytes(), 2 * STACK_BYTES_BASE);
        assert!(StackSize::for_depth(10_000).bytes() >= 10_000 * STACK_BYTES_PER_LEVEL);
        assert_eq!(StackSize::for_depth(usize::MAX).bytes(), STACK_BYTES_MAX);
    }

    #[test]
    fn the_pool_reuses_small_stacks_and_unmaps_deep_ones() {
        let stack = take(StackSize::SMALL).unwrap();
        let base = stack.base();
        give_back(stack, StackSize::SMALL);
        assert_eq!(take(StackSize::SMALL).unwrap().base(), base);

        let deep = StackSize::for_depth(10_000);
        give_back(take(deep).unwrap(), deep);
        POOL.with(|pool| assert!(pool.borrow().iter().all(|kept| kept.len() <= 1)));
    }

    #[test]
    fn the_pool_is_bounded() {
        let stacks: Vec<_> = (0..POOLED_STACKS_PER_CLASS_MAX + 3).map(|_| take(StackSize::SMALL).unwrap()).collect();
        stacks.into_iter().for_each(|stack| give_back(stack, StackSize::SMALL));
        POOL.with(|pool| assert_eq!(pool.borrow()[0].len(), POOLED_STACKS_PER_CLASS_MAX));
    }
}
