//! A key as a node keeps it: in pieces, never joined unless somebody asks.

use std::cmp::Ordering;

use bytes::Bytes;

/// Bytes of a key that a node keeps beside its slot.
pub(super) const HEAD_BYTES: usize = 4;

/// A key in three pieces: what it shares with its neighbours, the next four bytes, and the rest.
#[derive(Clone, Copy)]
pub struct Key<'k> {
    prefix: &'k [u8],
    head: [u8; HEAD_BYTES],
    head_len: u8,
    rest: &'k [u8],
}

impl<'k> Key<'k> {
    /// The pieces of a key whose part behind the prefix has `remainder` bytes.
    pub(super) fn in_pieces(prefix: &'k [u8], head: u32, remainder: usize, rest: &'k [u8]) -> Self {
        let head_len = u8::try_from(remainder.min(HEAD_BYTES)).expect("a head is four bytes");
        Key { prefix, head: head.to_be_bytes(), head_len, rest }
    }

    /// Its length in bytes.
    #[inline]
    #[expect(clippy::len_without_is_empty, reason = "the empty key is a key like any other")]
    pub fn len(&self) -> usize {
        self.prefix.len() + usize::from(self.head_len) + self.rest.len()
    }

    fn pieces(&self) -> [&[u8]; 3] {
        [self.prefix, &self.head[..usize::from(self.head_len)], self.rest]
    }

    fn bytes(&self) -> impl Iterator<Item = u8> {
        let [prefix, head, rest] = self.pieces();
        prefix.iter().chain(head).chain(rest).copied()
    }

    /// Writes it behind what a buffer has.
    pub fn append_to(&self, out: &mut Vec<u8>) {
        self.pieces().into_iter().for_each(|piece| out.extend_from_slice(piece));
    }

    /// A copy in one piece.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.len());
        self.append_to(&mut out);
        out
    }

    /// A copy in one piece.
    pub fn to_bytes(&self) -> Bytes {
        Bytes::from(self.to_vec())
    }

    /// How many bytes two keys begin with alike.
    pub(super) fn common_len(&self, other: &Key<'_>) -> usize {
        self.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count()
    }

    /// The head of what lies behind the first `from` bytes, and writes what lies behind the head to `out`, which has
    /// exactly that length.
    pub(super) fn write_behind(&self, from: usize, out: &mut [u8]) -> u32 {
        if from == self.prefix.len() {
            out.copy_from_slice(self.rest);
            return u32::from_be_bytes(self.head);
        }
        if let Some(remainder) = self.prefix.get(from..).filter(|_| self.head_len == 0) {
            out.copy_from_slice(remainder.get(HEAD_BYTES..).unwrap_or_default());
            return head_of(remainder);
        }
        let mut bytes = self.bytes().skip(from);
        let mut head = [0; HEAD_BYTES];
        head.iter_mut().zip(&mut bytes).for_each(|(to, byte)| *to = byte);
        out.iter_mut().zip(&mut bytes).for_each(|(to, byte)| *to = byte);
        u32::from_be_bytes(head)
    }

    /// Whether it begins with these bytes.
    pub(super) fn starts_with(&self, prefix: &[u8]) -> bool {
        if self.prefix.len() >= prefix.len() {
            return self.prefix.starts_with(prefix);
        }
        self.len() >= prefix.len() && self.bytes().zip(prefix).all(|(a, b)| a == *b)
    }
}

/// The first four bytes as a number that sorts like them; missing ones count as zero.
#[inline]
pub(super) fn head_of(remainder: &[u8]) -> u32 {
    match remainder.first_chunk() {
        Some(head) => u32::from_be_bytes(*head),
        None => {
            remainder.iter().chain(&[0; HEAD_BYTES]).take(HEAD_BYTES).fold(0, |head, byte| head << 8 | u32::from(*byte))
        }
    }
}

impl<'k> From<&'k [u8]> for Key<'k> {
    fn from(key: &'k [u8]) -> Self {
        Key { prefix: key, head: [0; HEAD_BYTES], head_len: 0, rest: &[] }
    }
}

impl PartialEq<[u8]> for Key<'_> {
    fn eq(&self, other: &[u8]) -> bool {
        self.len() == other.len() && self.bytes().eq(other.iter().copied())
    }
}

impl PartialOrd<[u8]> for Key<'_> {
    fn partial_cmp(&self, other: &[u8]) -> Option<Ordering> {
        Some(self.bytes().cmp(other.iter().copied()))
    }
}

impl PartialEq for Key<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.bytes().eq(other.bytes())
    }
}

impl Eq for Key<'_> {}

impl PartialOrd for Key<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bytes().cmp(other.bytes())
    }
}

impl std::fmt::Debug for Key<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", Bytes::from(self.to_vec()))
    }
}
