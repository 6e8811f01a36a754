//! Compression of page bodies, and when not to try.
//!
//! Transparent: whoever writes chooses, whoever reads is told by the page's header. A body is stored compressed only
//! where that saves a size class. Bodies that do not shrink cost an attempt each, so after a few of them in a row most
//! are stored as they are, unseen, and only one now and then is tried.

use std::cell::RefCell;

use crate::page::format::HEADER_BYTES;
use crate::slab::size_class::SizeClass;

/// How the pages of a tree set are stored from now on. Whatever it is, all are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Compression {
    /// As they are.
    None,
    /// LZ4: about half the size of documents for next to no time.
    #[default]
    Lz4,
    /// Zstandard: about a third, for a few times as much.
    Zstd,
}

/// The level of the library's own default.
const ZSTD_LEVEL: i32 = 3;

/// Attempts in a row that saved nothing before some bodies are not tried.
const FAILURES_BEFORE_SKIPPING: u32 = 4;

/// Bodies not tried, at most, between two attempts.
const SKIPPED_MAX: u32 = 64;

impl Compression {
    /// The stored number.
    pub fn number(self) -> u8 {
        match self {
            Compression::None => 0,
            Compression::Lz4 => 1,
            Compression::Zstd => 2,
        }
    }

    /// The compression of a stored number.
    pub fn from_number(number: u8) -> Option<Self> {
        [Compression::None, Compression::Lz4, Compression::Zstd].into_iter().find(|known| known.number() == number)
    }

    /// The body of a stored payload, whose length the page's header says. `None`: the payload is no such thing.
    pub(super) fn unpack(self, stored: &[u8], body_len: usize) -> Option<Vec<u8>> {
        let body = match self {
            Compression::None => Some(stored.to_vec()),
            Compression::Lz4 => lz4_flex::block::decompress(stored, body_len).ok(),
            Compression::Zstd => zstd_unpack(stored, body_len),
        };
        body.filter(|body| body.len() == body_len)
    }
}

fn zstd_unpack(stored: &[u8], body_len: usize) -> Option<Vec<u8>> {
    thread_local! {
        // The working memory of the library is larger than a page; every reader keeps one.
        static UNPACKER: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
    }
    UNPACKER.with_borrow_mut(|unpacker| {
        let unpacker = match unpacker {
            Some(unpacker) => unpacker,
            None => unpacker.insert(zstd::bulk::Decompressor::new().ok()?),
        };
        unpacker.decompress(stored, body_len).ok()
    })
}

/// The compressing side of one writer of pages.
#[derive(Default)]
pub(crate) struct Packer {
    compression: Compression,
    zstd: Option<zstd::bulk::Compressor<'static>>,
    /// Attempts in a row that saved nothing.
    failures: u32,
    /// Bodies still to be stored untried.
    skip: u32,
}

impl Packer {
    /// For pages of one tree set.
    pub fn new(compression: Compression) -> Self {
        Packer { compression, ..Packer::default() }
    }

    /// Goes on with the pages of another set.
    pub fn set_compression(&mut self, compression: Compression) {
        (self.compression, self.failures, self.skip) = (compression, 0, 0);
    }

    /// The compressed body and what made it, when it takes a smaller slot.
    pub fn pack(&mut self, body: &[u8]) -> Option<(Compression, Vec<u8>)> {
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        let plain = SizeClass::fitting(HEADER_BYTES + body.len())?;
        let packed = self.attempt(body);
        let packed = packed.filter(|packed| SizeClass::fitting(HEADER_BYTES + packed.len()).is_some_and(|c| c < plain));
        match &packed {
            Some(packed) => {
                self.failures = 0;
                debug_assert_eq!(self.compression.unpack(packed, body.len()).as_deref(), Some(body));
            }
            None => {
                self.failures += 1;
                if self.failures >= FAILURES_BEFORE_SKIPPING {
                    self.skip = self.failures.min(SKIPPED_MAX);
                    // Counting doubles the pause each time.
                    self.failures = (self.failures * 2).min(SKIPPED_MAX);
                }
            }
        }
        packed.map(|packed| (self.compression, packed))
    }

    fn attempt(&mut self, body: &[u8]) -> Option<Vec<u8>> {
        match self.compression {
            Compression::None => None,
            Compression::Lz4 => Some(lz4_flex::block::compress(body)),
            Compression::Zstd => {
                let zstd = match &mut self.zstd {
                    Some(zstd) => zstd,
                    empty => empty.insert(zstd::bulk::Compressor::new(ZSTD_LEVEL).ok()?),
                };
                zstd.compress(body).ok()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents(bytes: usize) -> Vec<u8> {
        let row = |number: usize| format!("{{\"id\":{number},\"name\":\"row {}\",\"active\":true}}", number * 7);
        (0..).flat_map(|number| row(number).into_bytes()).take(bytes).collect()
    }

    fn noise(bytes: usize) -> Vec<u8> {
        let mut state = 1u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        };
        (0..bytes).map(|_| next()).collect()
    }

    #[test]
    fn every_algorithm_gives_back_what_it_took() {
        for compression in [Compression::Lz4, Compression::Zstd] {
            for bytes in [2_000, 8_152, 65_496] {
                let body = documents(bytes);
                let (by, packed) = Packer::new(compression).pack(&body).unwrap();
                assert_eq!(by, compression);
                assert!(packed.len() * 2 < body.len(), "{compression:?}: {} of {bytes}", packed.len());
                assert_eq!(by.unpack(&packed, bytes).unwrap(), body);
                assert_eq!(by.unpack(&packed, bytes - 1), None);
                assert_eq!(by.unpack(&packed, bytes + 1), None);
                assert_eq!(by.unpack(&packed[..packed.len() / 2], bytes), None);
            }
        }
        assert_eq!(Packer::new(Compression::None).pack(&documents(8_152)), None);
    }

    #[test]
    fn what_does_not_shrink_is_soon_left_alone() {
        for compression in [Compression::Lz4, Compression::Zstd] {
            let mut packer = Packer::new(compression);
            let body = noise(8_152);
            let mut tried = 0;
            for _ in 0..10_000 {
                tried += usize::from(packer.skip == 0);
                assert_eq!(packer.pack(&body), None);
            }
            assert!(tried < 200, "{tried}");
            // It is found out when that changes.
            let body = documents(8_152);
            assert!((0..=SKIPPED_MAX).any(|_| packer.pack(&body).is_some()));
            assert!(packer.pack(&body).is_some());
        }
    }

    #[test]
    fn numbers_are_stored() {
        for compression in [Compression::None, Compression::Lz4, Compression::Zstd] {
            assert_eq!(Compression::from_number(compression.number()), Some(compression));
        }
        assert_eq!(Compression::from_number(3), None);
    }
}
