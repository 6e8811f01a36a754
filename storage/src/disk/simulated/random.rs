//! The draws of the simulated disk: xorshift64*, enough to be unfair with.

/// A stream of draws from one seed.
#[derive(Clone)]
pub(super) struct Random {
    state: u64,
}

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        // The generator stands still at zero, and neighbouring seeds must not give neighbouring draws.
        Self { state: crate::checksum::incarnation(seed, 1) | 1 }
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        (self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16) % bound.max(1)
    }
}
