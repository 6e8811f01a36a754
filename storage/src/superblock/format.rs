//! The superblock, byte for byte.
//!
//! ```text
//! 4096 bytes, little endian; the file holds two: generation g lies at 4096 * (g mod 2)
//!    0  magic              8  "PhotonSB"
//!    8  format version     4  1: page ids here and in all pages have no life
//!   12  flags              4  bit 0: identity is set; bit 1: the program ended cleanly
//!   16  generation         8
//!   24  cluster id        16
//!   40  node id           16
//!   56  boot counter       8
//!   64  WAL start          8  position where replay begins
//!   72  catalogue root     8  page reference, 0: no tree set
//!   80  catalogue entries  8
//!   88  extents            4  of the page file that the free set knows
//!   92  directory pages    4
//!   96  directory          8  per page, page ids
//! 1120  openings           4  at most 64, oldest first; zeros where an older program wrote
//! 1124  zeros              4
//! 1128  opening           16  each: its boot counter, its number
//! 4092  checksum           4  CRC-32 of the bytes before
//! ```

use crate::btree::Root;
use crate::page::format::{PageId, PageRef};
use crate::slab::format::{CHUNKS_PER_DIRECTORY, EXTENTS_PER_CHUNK};

/// Bytes of a superblock.
pub const BLOCK_BYTES: usize = 4096;
/// The newest format this program writes and reads.
pub const SUPERBLOCK_FORMAT_VERSION: u32 = 2;
/// Directory pages a superblock can name.
pub const DIRECTORY_PAGES_MAX: usize = 128;
/// Openings a superblock can name.
pub const OPENINGS_MAX: usize = 64;

const MAGIC: [u8; 8] = *b"PhotonSB";
const FLAG_IDENTITY: u32 = 1;
const FLAG_CLEAN: u32 = 2;
const DIRECTORY_AT: usize = 96;
const OPENINGS_AT: usize = DIRECTORY_AT + DIRECTORY_PAGES_MAX * 8;
const OPENING_BYTES: usize = 16;
const CHECKSUM_AT: usize = BLOCK_BYTES - 4;

const _: () = assert!(OPENINGS_AT + 8 + OPENINGS_MAX * OPENING_BYTES <= CHECKSUM_AT);

/// One opening of the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The boot counter.
    pub boot: u64,
    /// Drawn by whoever opened it; never zero.
    pub number: u64,
}

/// One state of the whole directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Superblock {
    /// Raised with every superblock written.
    pub generation: u64,
    /// Cluster and node, once known.
    pub identity: Option<(u128, u128)>,
    /// Raised with every opening.
    pub boot: u64,
    /// The openings by which others may know this directory: the last one of which the owner has heard that they do, and
    /// those that followed. Only a directory with the newest one that they know is the newest one.
    pub openings: Vec<Opening>,
    /// Whether this was written while closing.
    pub clean: bool,
    /// Where replay of the log begins.
    pub wal_start: u64,
    /// The tree of tree sets. Refers to slots only.
    pub catalogue: Root,
    /// Extents the free set knows.
    pub extents: u32,
    /// Pages of the free set's directory.
    pub directory: Vec<PageId>,
}

/// Why a block is no superblock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Its checksum holds, but a newer program wrote it.
    Newer {
        /// Its format version.
        version: u32,
    },
    /// It is not what was written.
    Damaged(&'static str),
}

impl Flaw {
    /// For messages.
    pub fn detail(self) -> &'static str {
        match self {
            Flaw::Newer { .. } => "written by a newer program",
            Flaw::Damaged(detail) => detail,
        }
    }
}

impl Superblock {
    /// One more opening, of this number; 0: nobody will ever be told of it.
    pub fn open(&mut self, number: u64) {
        self.boot += 1;
        if number == 0 {
            return;
        }
        if self.openings.len() == OPENINGS_MAX {
            // The first one is the one that is known for certain.
            self.openings.remove(1);
        }
        self.openings.push(Opening { boot: self.boot, number });
    }

    /// The stored form.
    pub fn encode(&self) -> Vec<u8> {
        assert!(self.openings.len() <= OPENINGS_MAX, "older ones are forgotten");
        assert!(self.directory.len() <= DIRECTORY_PAGES_MAX, "the page file is below its maximum");
        let mut block = vec![0; BLOCK_BYTES];
        let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
        let (cluster, node) = self.identity.unwrap_or_default();
        let mut flags = if self.identity.is_some() { FLAG_IDENTITY } else { 0 };
        flags |= if self.clean { FLAG_CLEAN } else { 0 };
        put(0, &MAGIC);
        put(8, &SUPERBLOCK_FORMAT_VERSION.to_le_bytes());
        put(12, &flags.to_le_bytes());
        put(16, &self.generation.to_le_bytes());
        put(24, &cluster.to_le_bytes());
        put(40, &node.to_le_bytes());
        put(56, &self.boot.to_le_bytes());
        put(64, &self.wal_start.to_le_bytes());
        put(72, &self.catalogue.page.map_or(0, PageRef::to_bits).to_le_bytes());
        put(80, &self.catalogue.count.to_le_bytes());
        put(88, &self.extents.to_le_bytes());
        put(92, &u32::try_from(self.directory.len()).expect("checked above").to_le_bytes());
        for (index, page) in self.directory.iter().enumerate() {
            put(DIRECTORY_AT + index * 8, &page.to_bits().to_le_bytes());
        }
        put(OPENINGS_AT, &u32::try_from(self.openings.len()).expect("checked above").to_le_bytes());
        for (index, Opening { boot, number }) in self.openings.iter().enumerate() {
            let at = OPENINGS_AT + 8 + index * OPENING_BYTES;
            put(at, &boot.to_le_bytes());
            put(at + 8, &number.to_le_bytes());
        }
        let checksum = crc32fast::hash(&block[..CHECKSUM_AT]);
        block[CHECKSUM_AT..].copy_from_slice(&checksum.to_le_bytes());
        block
    }

    /// Checks and reads a block. Any bytes may come in.
    pub fn decode(block: &[u8]) -> Result<Self, Flaw> {
        if block.len() != BLOCK_BYTES {
            return Err(Flaw::Damaged("cut short"));
        }
        let word = |at: usize| u64::from_le_bytes(block[at..at + 8].try_into().expect("eight bytes"));
        let half = |at: usize| u32::from_le_bytes(block[at..at + 4].try_into().expect("four bytes"));
        let long = |at: usize| u128::from_le_bytes(block[at..at + 16].try_into().expect("sixteen bytes"));
        if block[..8] != MAGIC {
            return Err(Flaw::Damaged("magic"));
        }
        if half(CHECKSUM_AT) != crc32fast::hash(&block[..CHECKSUM_AT]) {
            return Err(Flaw::Damaged("checksum"));
        }
        let version = half(8);
        if version == 0 || version > SUPERBLOCK_FORMAT_VERSION {
            return Err(Flaw::Newer { version });
        }
        let root = match word(72) {
            0 => None,
            bits => Some(PageRef::from_stored_bits(bits).ok_or(Flaw::Damaged("catalogue root"))?),
        };
        let pages = half(92) as usize;
        if pages > DIRECTORY_PAGES_MAX {
            return Err(Flaw::Damaged("directory length"));
        }
        let directory = (0..pages)
            .map(|index| PageId::from_bits(word(DIRECTORY_AT + index * 8)).ok_or(Flaw::Damaged("directory page")))
            .collect::<Result<_, _>>()?;
        let extents = half(88);
        // What reads the page file sets aside memory for each of them.
        if extents as usize > pages * CHUNKS_PER_DIRECTORY * EXTENTS_PER_CHUNK {
            return Err(Flaw::Damaged("extents"));
        }
        let openings = half(OPENINGS_AT) as usize;
        if openings > OPENINGS_MAX {
            return Err(Flaw::Damaged("openings"));
        }
        let opening = |index: usize| {
            let at = OPENINGS_AT + 8 + index * OPENING_BYTES;
            Opening { boot: word(at), number: word(at + 8) }
        };
        let flags = half(12);
        Ok(Superblock {
            generation: word(16),
            identity: (flags & FLAG_IDENTITY != 0).then(|| (long(24), long(40))),
            boot: word(56),
            openings: (0..openings).map(opening).collect(),
            clean: flags & FLAG_CLEAN != 0,
            wal_start: word(64),
            catalogue: Root { page: root, count: word(80) },
            extents,
            directory,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slab::size_class::SizeClass;

    #[test]
    fn openings_come_back_and_the_first_is_kept_for_the_last() {
        let mut superblock = Superblock::default();
        superblock.open(0);
        assert_eq!((superblock.boot, superblock.openings.len()), (1, 0));
        (1..=200).for_each(|number| superblock.open(number));
        let known: Vec<u64> = superblock.openings.iter().map(|opening| opening.number).collect();
        assert_eq!((known.len(), known[0], known[1], known[63]), (64, 1, 138, 200));
        assert_eq!(superblock.openings[63].boot, 201);
        assert_eq!(Superblock::decode(&superblock.encode()), Ok(superblock));
    }

    #[test]
    fn more_extents_than_the_directory_describes_are_refused() {
        let page = PageId::new(SizeClass::LARGEST, 0, 0);
        let extents_max = u32::try_from(CHUNKS_PER_DIRECTORY * EXTENTS_PER_CHUNK).unwrap();
        let mut superblock = Superblock { extents: extents_max, directory: vec![page], ..Superblock::default() };
        assert_eq!(Superblock::decode(&superblock.encode()), Ok(superblock.clone()));
        superblock.extents += 1;
        assert_eq!(Superblock::decode(&superblock.encode()), Err(Flaw::Damaged("extents")));
    }
}
