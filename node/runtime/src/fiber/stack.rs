//! Stacks by size class, mapped lazily and kept per thread for the next fiber.

use std::cell::RefCell;
use std::io;

use corosensei::stack::DefaultStack;

use crate::limits::{
    POOLED_STACK_BYTES_MAX, POOLED_STACKS_MIN, POOLED_STACKS_PER_CLASS_MAX, POOLED_STACKS_PERIOD, STACK_BYTES_BASE,
    STACK_BYTES_MAX, STACK_BYTES_PER_LEVEL, STACK_BYTES_RESERVE,
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

/// The stacks of one size class and one thread.
///
/// A thousand feeds that one write wakes give back a thousand stacks and want them again at once, and a mapping costs more
/// than all else that a delivery takes. So as many are kept as were lately in use together.
struct Class {
    kept: Vec<DefaultStack>,
    in_use: usize,
    /// The most that were in use together of late.
    peak: usize,
    /// How many were given back since the peak was last lowered.
    given_back: usize,
}

impl Class {
    const EMPTY: Class = Class { kept: Vec::new(), in_use: 0, peak: 0, given_back: 0 };

    fn count_taken(&mut self) {
        self.in_use += 1;
        self.peak = self.peak.max(self.in_use);
    }

    fn give_back(&mut self, stack: DefaultStack) {
        self.in_use = self.in_use.saturating_sub(1);
        self.given_back += 1;
        if self.given_back == POOLED_STACKS_PERIOD {
            self.given_back = 0;
            self.peak = self.in_use.max(self.peak / 2);
        }
        let room = self.peak.clamp(POOLED_STACKS_MIN, POOLED_STACKS_PER_CLASS_MAX).saturating_sub(self.in_use);
        if self.kept.len() < room {
            self.kept.push(stack);
        } else {
            // Besides this one, one of those that are too many.
            self.kept.truncate(room.max(self.kept.len().saturating_sub(1)));
        }
    }
}

thread_local! {
    static POOL: RefCell<[Class; POOLED_CLASSES]> = const { RefCell::new([Class::EMPTY; POOLED_CLASSES]) };
}

/// Asks the pool of this thread about stacks of one size; nothing about deep ones. At the end of a thread the pool may be
/// gone already.
fn of_class<T>(size: StackSize, ask: impl FnOnce(&mut Class) -> T) -> Option<T> {
    POOL.try_with(|pool| pool.borrow_mut().get_mut(usize::from(size.class)).map(ask)).ok().flatten()
}

/// A stack of this size from the pool, or a new mapping.
pub(super) fn take(size: StackSize) -> io::Result<DefaultStack> {
    let stack = match of_class(size, |class| class.kept.pop()).flatten() {
        Some(stack) => stack,
        None => DefaultStack::new(size.bytes())?,
    };
    of_class(size, Class::count_taken);
    Ok(stack)
}

/// Keeps the stack for the next fiber of this thread, or unmaps it when it is deep or enough are kept.
pub(super) fn give_back(stack: DefaultStack, size: StackSize) {
    of_class(size, |class| class.give_back(stack));
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
        POOL.with(|pool| assert!(pool.borrow().iter().all(|class| class.kept.len() <= 1)));
    }

    fn kept() -> usize {
        POOL.with(|pool| pool.borrow()[0].kept.len())
    }

    fn take_all(count: usize) -> Vec<DefaultStack> {
        (0..count).map(|_| take(StackSize::SMALL).unwrap()).collect()
    }

    fn give_all_back(stacks: Vec<DefaultStack>) {
        stacks.into_iter().for_each(|stack| give_back(stack, StackSize::SMALL));
    }

    #[test]
    fn as_many_are_kept_as_were_in_use_together() {
        let many = POOLED_STACKS_MIN * 10;
        give_all_back(take_all(many));
        assert_eq!(kept(), many);
        let again = take_all(many);
        assert_eq!(kept(), 0);
        give_all_back(again);
        assert_eq!(kept(), many);
    }

    #[test]
    fn those_of_a_busy_hour_are_not_kept_for_ever() {
        give_all_back(take_all(POOLED_STACKS_MIN * 10));
        for _ in 0..POOLED_STACKS_PERIOD * 20 {
            give_all_back(take_all(1));
        }
        assert_eq!(kept(), POOLED_STACKS_MIN);
    }

    #[test]
    fn the_pool_is_bounded() {
        give_all_back(take_all(POOLED_STACKS_PER_CLASS_MAX + 3));
        assert_eq!(kept(), POOLED_STACKS_PER_CLASS_MAX);
    }
}
