//! The one checksum of this crate: CRC-32 (ISO), always seeded and always bound to where its bytes belong.
//!
//! A plain checksum accepts whatever was once valid. Recycled segments and reused slots are full of bytes that were once
//! valid, and a misdirected write puts valid bytes in the wrong place; so every checksum here covers an incarnation
//! (who wrote this) and a position (where it was meant to be) beside the bytes themselves.

use crc32fast::Hasher;

/// The checksum of `parts`, one after the other, as written by `incarnation` for `position`.
#[must_use]
pub fn checksum(incarnation: u64, position: u64, parts: &[&[u8]]) -> u32 {
    let mut hasher = Hasher::new_with_initial(fold(incarnation));
    hasher.update(&position.to_le_bytes());
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize()
}

/// Spreads (`seed`, `number`) over 64 bits, so that neighbouring numbers get unrelated incarnations (splitmix64).
#[must_use]
pub fn incarnation(seed: u64, number: u64) -> u64 {
    let mut mixed = seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn fold(incarnation: u64) -> u32 {
    let bytes = incarnation.to_le_bytes();
    let (low, high) = bytes.split_at(4);
    let word = |half: &[u8]| half.iter().rev().fold(0u32, |sum, byte| (sum << 8) | u32::from(*byte));
    word(low) ^ word(high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_bytes_elsewhere_or_from_another_writer_do_not_match() {
        let here = checksum(7, 100, &[b"abc"]);
        assert_eq!(here, checksum(7, 100, &[b"a", b"bc"]));
        assert_ne!(here, checksum(7, 101, &[b"abc"]));
        assert_ne!(here, checksum(8, 100, &[b"abc"]));
        assert_ne!(incarnation(1, 1), incarnation(1, 2));
    }
}
