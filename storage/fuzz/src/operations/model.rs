//! What a tree set should hold, and the keys, values and ranges that an input names.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use photondb_storage::KeyRange;

use super::super::input::Input;

/// The entries of a tree.
pub type Rows = BTreeMap<Vec<u8>, Arc<[u8]>>;

/// What a set holds at one moment.
#[derive(Clone, Default)]
pub struct Model {
    /// Its trees.
    pub trees: BTreeMap<u32, Rows>,
    /// The owner's blob.
    pub meta: Vec<u8>,
}

impl Model {
    /// Bytes of everything, roughly: a run that has enough is given no more.
    pub fn bytes(&self) -> usize {
        let rows = |rows: &Rows| rows.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>();
        self.trees.values().map(rows).sum()
    }
}

/// The key with a number, in one of a few shapes: short, behind a long common prefix, with a long tail.
pub fn key_of(shape: u8, number: u16) -> Vec<u8> {
    let number_bytes = number.to_be_bytes();
    match shape % 4 {
        0 => number_bytes.to_vec(),
        1 => [&b"table/rows/"[..], &number_bytes].concat(),
        2 => [&[b'p'; 300][..], &number_bytes].concat(),
        _ => [&number_bytes[..], &[b't'; 900][..]].concat(),
    }
}

/// A key: a few bytes as they come, or one of the shapes.
pub fn key(input: &mut Input<'_>) -> Vec<u8> {
    let shape = input.byte();
    if shape >= 0xE0 { input.take(usize::from(shape & 7)).to_vec() } else { key_of(shape, input.word()) }
}

/// A value: mostly short, some at the edge of what a leaf takes, some in pieces. Odd lengths do not compress.
pub fn value_of(length: u8, seed: u8) -> Arc<[u8]> {
    let length = match length {
        0..=159 => usize::from(length),
        160..=219 => (usize::from(length) - 159) * 67,
        220..=250 => (usize::from(length) - 219) * 1_031 + 2_000,
        _ => (usize::from(length) - 250) * 33_001 + 32_000,
    };
    let mut state = u32::from(seed) + 1;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..length).map(|_| if length % 2 == 1 { next() } else { seed }).collect()
}

/// A range, whose bounds may be in any order.
pub fn range(input: &mut Input<'_>) -> KeyRange {
    let kinds = input.byte();
    let mut bound = |kind: u8| match kind % 3 {
        0 => Bound::Unbounded,
        1 => Bound::Included(Bytes::from(key(input))),
        _ => Bound::Excluded(Bytes::from(key(input))),
    };
    let start = bound(kinds);
    KeyRange::new(start, bound(kinds / 3))
}

/// The entries of a range, in order.
pub fn in_range<'m>(
    rows: &'m Rows,
    range: &'m KeyRange,
) -> impl DoubleEndedIterator<Item = (&'m Vec<u8>, &'m Arc<[u8]>)> {
    rows.iter().filter(|(key, _)| range.contains(key))
}
