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

/// How much of the unsynced survives one crash. All and nothing are drawn often: uniform coin flips would almost never
/// produce them, and they are where most mistakes show.
pub(super) struct Keep {
    of_eight: u64,
}

impl Keep {
    pub(super) fn draw(random: &mut Random) -> Self {
        Self { of_eight: [0, 8, 1, 4, 7][random.below(5) as usize] }
    }

    pub(super) fn decide(&self, random: &mut Random) -> bool {
        random.below(8) < self.of_eight
    }
}
