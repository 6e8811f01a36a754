//! The operating system's randomness.

use crate::random::Random;

/// Cryptographically secure bytes from the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, bytes: &mut [u8]) {
        // On the systems we run on it fails only before the kernel's pool is seeded or when the call is forbidden;
        // nothing secure can be done without it.
        getrandom::fill(bytes).expect("the operating system gives random bytes");
    }
}
