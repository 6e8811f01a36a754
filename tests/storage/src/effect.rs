//! What an entry of the log does to the trees of its group, and its bytes in the log.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::random::Random;

/// A key.
pub type Key = Bytes;

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Puts a value; the tree begins with the first.
    Put {
        /// The tree.
        tree: u32,
        /// The key.
        key: Key,
        /// The value.
        value: Bytes,
    },
    /// Removes a key.
    Delete {
        /// The tree.
        tree: u32,
        /// The key.
        key: Key,
    },
    /// Drops a tree.
    DropTree {
        /// The tree.
        tree: u32,
    },
    /// Cuts a tree: what is at the key and behind it becomes a new tree. Nothing happens when there is such a tree.
    Cut {
        /// The tree.
        tree: u32,
        /// Where.
        key: Key,
        /// The new tree.
        into: u32,
    },
    /// Joins two trees, unless one is missing or they overlap.
    Join {
        /// The one with the smaller keys.
        left: u32,
        /// The one that is no more afterwards.
        right: u32,
    },
    /// Loads sorted entries behind the last one, unless that lies behind the first of them.
    Load {
        /// The tree; it begins with this when it is not there.
        tree: u32,
        /// Says which entries, and how many; see [`load`].
        what: u32,
    },
}

/// The entries that a load of this number puts.
pub fn load(what: u32) -> Vec<(Key, Bytes)> {
    let (count, bytes) = (1 + what % 600, what / 600 % 200);
    let first = u64::from(what) * 1_000;
    let entry = |number: u64| {
        let value: Vec<u8> = (0..bytes).map(|at| (u64::from(at) * number) as u8).collect();
        (Bytes::from(format!("z/loaded/{number:016}")), Bytes::from(value))
    };
    (first..first + u64::from(count)).map(entry).collect()
}

/// How large what is drawn may be.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Keys to choose from.
    pub keys: u64,
    /// The largest entry, in bytes.
    pub entry_bytes_max: usize,
    /// One value of so many is large.
    pub large_one_of: u64,
}

/// Draws what one entry does.
pub fn draw(random: &mut Random, sizes: &Sizes) -> Vec<Effect> {
    let mut left = sizes.entry_bytes_max;
    let mut effects = Vec::new();
    for _ in 0..=random.below(5) {
        let tree = random.pick(&[1, 1, 1, 2, 3, 4]);
        let key = draw_key(random, sizes);
        effects.push(match random.below(64) {
            0 => Effect::DropTree { tree },
            1 => Effect::Cut { tree, key, into: random.pick(&[2, 3, 4]) },
            2 => Effect::Join { left: tree, right: random.pick(&[2, 3, 4]) },
            3 => Effect::Load { tree, what: random.below(1 << 20) as u32 },
            4..18 => Effect::Delete { tree, key },
            _ => {
                let length = draw_length(random, sizes).min(left);
                left -= length;
                Effect::Put { tree, key, value: draw_value(random, length) }
            }
        });
    }
    effects
}

fn draw_key(random: &mut Random, sizes: &Sizes) -> Key {
    let number = random.below(sizes.keys);
    // Most keys share a long prefix, as those of an index do.
    match number % 8 {
        0 => format!("{number}"),
        1 => format!("{number:0200}"),
        _ => format!("table/index/{:03}/{number:06}", number % 7),
    }
    .into()
}

fn draw_length(random: &mut Random, sizes: &Sizes) -> usize {
    let bound = match random.below(sizes.large_one_of) {
        0 => random.pick(&[2_100, 5_000, 9_000, 20_000, 70_000, 160_000]),
        _ => random.pick(&[8, 60, 300, 900]),
    };
    random.below(bound) as usize
}

fn draw_value(random: &mut Random, length: usize) -> Bytes {
    let (fill, step) = (random.bits() as u8, random.pick(&[0, 0, 1, 7]));
    let noise = random.one_of(3);
    let mut bits = random.bits();
    let byte = |at: usize| {
        if noise && at.is_multiple_of(8) {
            bits = bits.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
        }
        let noise = if noise { (bits >> (8 * (at % 8))) as u8 } else { 0 };
        fill.wrapping_add((at as u8).wrapping_mul(step)) ^ noise
    };
    (0..length).map(byte).collect::<Vec<_>>().into()
}

/// The first word of an effect is its kind, and this many times its number.
const KINDS: u32 = 8;

/// The bytes of an entry.
pub fn encode(effects: &[Effect]) -> Bytes {
    let mut out = BytesMut::new();
    for effect in effects {
        let (kind, tree, key, value) = match effect {
            Effect::Put { tree, key, value } => (1, tree, &key[..], &value[..]),
            Effect::Delete { tree, key } => (2, tree, &key[..], &[][..]),
            Effect::DropTree { tree } => (3, tree, &[][..], &[][..]),
            Effect::Cut { tree, key, into } => (4 + KINDS * into, tree, &key[..], &[][..]),
            Effect::Join { left, right } => (5 + KINDS * right, left, &[][..], &[][..]),
            Effect::Load { tree, what } => (6 + KINDS * what, tree, &[][..], &[][..]),
        };
        out.put_u32_le(kind);
        out.put_u32_le(*tree);
        out.put_u32_le(key.len() as u32);
        out.put_u32_le(value.len() as u32);
        out.put_slice(key);
        out.put_slice(value);
    }
    out.freeze()
}

/// Reads [`encode`]'s bytes. `None`: they are not.
pub fn decode(mut bytes: Bytes) -> Option<Vec<Effect>> {
    let mut effects = Vec::new();
    while !bytes.is_empty() {
        if bytes.len() < 16 {
            return None;
        }
        let word = bytes.get_u32_le();
        let (kind, number) = (word % KINDS, word / KINDS);
        let tree = bytes.get_u32_le();
        let (key, value) = (bytes.get_u32_le() as usize, bytes.get_u32_le() as usize);
        if bytes.len() < key + value {
            return None;
        }
        let (key, value) = (bytes.split_to(key), bytes.split_to(value));
        effects.push(match kind {
            1 => Effect::Put { tree, key, value },
            2 => Effect::Delete { tree, key },
            3 => Effect::DropTree { tree },
            4 => Effect::Cut { tree, key, into: number },
            5 => Effect::Join { left: tree, right: number },
            6 => Effect::Load { tree, what: number },
            _ => return None,
        });
    }
    Some(effects)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_back_and_cut_ones_are_not() {
        let sizes = Sizes { keys: 50, entry_bytes_max: 60_000, large_one_of: 9 };
        let mut random = Random::new(1);
        for _ in 0..200 {
            let effects = draw(&mut random, &sizes);
            let bytes = encode(&effects);
            assert_eq!(decode(bytes.clone()), Some(effects));
            let cut = bytes.slice(..bytes.len() - 1);
            assert_eq!(decode(cut), None);
        }
    }
}
