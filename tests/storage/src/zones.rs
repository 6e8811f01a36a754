//! Where in the files each kind of bytes lies, so that rot can strike it.

use std::ops::Range;

use photondb_storage::disk::simulated::SimulatedDisk;
use photondb_storage::superblock::{SUPERBLOCK_FILE, Superblock};

/// A kind of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zone {
    /// One of the two superblocks.
    Superblock,
    /// The header of a log segment.
    SegmentHeader,
    /// Records of the log.
    LogRecord,
    /// The header of an extent of the page file.
    ExtentHeader,
    /// The root of the tree of tree sets.
    Catalogue,
    /// Keys and values of a tree.
    Leaf,
    /// Separators and children.
    Branch,
    /// A large value, or a piece of one, or the list of pieces.
    Overflow,
    /// Slot maps.
    FreeChunk,
    /// References of slot maps.
    FreeDirectory,
}

impl Zone {
    /// All of them.
    pub const ALL: [Zone; 10] = [
        Zone::Superblock,
        Zone::SegmentHeader,
        Zone::LogRecord,
        Zone::ExtentHeader,
        Zone::Catalogue,
        Zone::Leaf,
        Zone::Branch,
        Zone::Overflow,
        Zone::FreeChunk,
        Zone::FreeDirectory,
    ];

    /// Where such bytes lie now, live or not.
    pub fn places(self, disk: &SimulatedDisk) -> Vec<Place> {
        match self {
            Zone::Superblock => whole(SUPERBLOCK_FILE, disk, |bytes| {
                (0..bytes.len() as u64 / BLOCK).map(|block| block * BLOCK..block * BLOCK + 400).collect()
            }),
            Zone::SegmentHeader => segments(disk, |_| vec![0..48, 2048..2096]),
            Zone::LogRecord => segments(disk, |bytes| {
                let used = bytes.iter().rposition(|byte| *byte != 0).unwrap_or(0) as u64;
                std::iter::once(BLOCK..used).filter(|records| !records.is_empty()).collect()
            }),
            Zone::ExtentHeader => whole(PAGES, disk, |bytes| {
                (0..bytes.len() as u64).step_by(1 << 20).map(|extent| extent..extent + 32).collect()
            }),
            Zone::Catalogue => catalogue(disk),
            Zone::Leaf => pages(disk, &[1]),
            Zone::Branch => pages(disk, &[2]),
            Zone::Overflow => pages(disk, &[3, 4, 5]),
            Zone::FreeChunk => pages(disk, &[6]),
            Zone::FreeDirectory => pages(disk, &[7]),
        }
    }
}

/// Bytes of a file.
pub struct Place {
    /// The file.
    pub name: String,
    /// The bytes.
    pub bytes: Range<u64>,
}

const BLOCK: u64 = 4096;
const PAGES: &str = "pages";

fn whole(name: &str, disk: &SimulatedDisk, ranges: impl Fn(&[u8]) -> Vec<Range<u64>>) -> Vec<Place> {
    let Some(content) = disk.bytes_of(name) else { return Vec::new() };
    ranges(&content).into_iter().map(|bytes| Place { name: name.to_owned(), bytes }).collect()
}

fn segments(disk: &SimulatedDisk, ranges: impl Fn(&[u8]) -> Vec<Range<u64>>) -> Vec<Place> {
    let names = disk.names().into_iter().filter(|name| name.starts_with("wal-") && !name.starts_with("wal-spare-"));
    names.flat_map(|name| whole(&name, disk, &ranges)).collect()
}

/// Pages begin at multiples of half a KiB with a header that names their kind and the length of what follows.
fn pages(disk: &SimulatedDisk, kinds: &[u8]) -> Vec<Place> {
    whole(PAGES, disk, |bytes| {
        let starts = (0..bytes.len().saturating_sub(40)).step_by(512);
        let pages = starts.filter(|at| bytes[*at..].starts_with(b"PhPg") && kinds.contains(&bytes[at + 6]));
        let length = |at: usize| u32::from_le_bytes([bytes[at + 24], bytes[at + 25], bytes[at + 26], bytes[at + 27]]);
        pages.map(|at| at as u64..at as u64 + 40 + u64::from(length(at)).min(1 << 16)).collect()
    })
}

fn catalogue(disk: &SimulatedDisk) -> Vec<Place> {
    whole(SUPERBLOCK_FILE, disk, |bytes| {
        let blocks = bytes.chunks(BLOCK as usize).filter_map(|block| Superblock::decode(block).ok());
        let roots = blocks.filter_map(|superblock| superblock.catalogue.page.and_then(|page| page.page_id()));
        roots.map(|page| page.offset()..page.offset() + 200).collect()
    })
    .into_iter()
    .map(|place| Place { name: PAGES.to_owned(), ..place })
    .collect()
}
