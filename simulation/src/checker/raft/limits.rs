//! How much the checkers remember.

/// Places behind the newest for which a group's digests and entries are remembered: further than any replica is behind when
/// it does not take a snapshot.
pub const PLACES_MAX: u64 = 1_000_000;
