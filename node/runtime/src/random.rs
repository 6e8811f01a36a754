//! Randomness from outside.

use std::sync::Mutex;
use std::sync::PoisonError;

use rand::rngs::SmallRng;
use rand::{RngCore, SeedableRng};

/// A source of random bytes.
pub trait Random: Send + Sync + 'static {
    /// Fills `bytes`.
    fn fill(&self, bytes: &mut [u8]);

    /// 64 random bits.
    fn next_u64(&self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// 128 random bits.
    fn next_u128(&self) -> u128 {
        let mut bytes = [0; 16];
        self.fill(&mut bytes);
        u128::from_le_bytes(bytes)
    }
}

/// A reproducible source: the same seed gives the same bytes. Not for secrets.
#[derive(Debug)]
pub struct SeededRandom {
    generator: Mutex<SmallRng>,
}

impl SeededRandom {
    /// A source that is a function of `seed`.
    pub fn new(seed: u64) -> Self {
        Self { generator: Mutex::new(SmallRng::seed_from_u64(seed)) }
    }
}

impl Random for SeededRandom {
    fn fill(&self, bytes: &mut [u8]) {
        self.generator.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_bytes() {
        let (a, b, other) = (SeededRandom::new(7), SeededRandom::new(7), SeededRandom::new(8));
        let first = a.next_u128();
        assert_eq!(first, b.next_u128());
        assert_ne!(first, other.next_u128());
        assert_ne!(first, a.next_u128());
    }
}
