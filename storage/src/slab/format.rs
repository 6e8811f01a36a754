//! Extents and the free set, byte for byte.
//!
//! The page file is a row of extents of 1 MiB. An extent starts with a header block of 4 KiB and continues with equal
//! slots of its size class. The header repeats, for rescue and for `check`, what the free set says.
//!
//! ```text
//! extent header (32 bytes of the first block, little endian)
//!  0  magic            4  "PhEx"
//!  4  format version   2
//!  6  size class       1
//!  7  reserved         1
//!  8  extent number    4
//! 12  reserved         4
//! 16  generation       8  the checkpoint that gave the extent its class
//! 24  checksum         4  CRC-32 of the other 28 bytes, this field zero
//! 28  reserved         4
//!
//! free chunk (body of a FreeChunk page), version 2
//!  0  marker           1  0xFF, which is no size class
//!  1  version          1  2
//!  2  reserved         6
//!  8  records of EXTENTS_PER_CHUNK extents
//!
//! extent record
//!  0  size class + 1   1  0: the extent has no class
//!  1  words            1  of the map: slots of the class / 64, rounded up; 0 without class
//!  2  reserved         6
//!  8  used             8 per word, bit i: slot i holds a page of this checkpoint
//!
//! A free chunk of version 1 is EXTENTS_PER_CHUNK records of 40 bytes: class + 1, seven zeros, a map of four words.
//!
//! free directory (body of a FreeDirectory page): page ids of chunks, 8 bytes each, 0: no extent there has a class
//! ```

use crate::error::{Result, StorageError};
use crate::slab::size_class::SizeClass;

/// Bytes of an extent.
pub const EXTENT_BYTES: usize = 1 << 20;
/// Bytes before the first slot.
pub const EXTENT_HEADER_BYTES: usize = 4096;
/// Bytes of the header block that carry something.
pub const EXTENT_HEADER_USED_BYTES: usize = 32;
/// Extents described by one chunk.
pub const EXTENTS_PER_CHUNK: usize = 96;
/// Chunks referred to by one directory page.
pub const CHUNKS_PER_DIRECTORY: usize = 4096;
/// Most words of a slot map: 1,020 slots of 1 KiB.
pub const MAP_WORDS_MAX: usize = 16;
/// Bytes of an extent's record before its map.
pub const EXTENT_RECORD_HEADER_BYTES: usize = 8;
/// Bytes of an extent's record in a chunk of version 1, and of slots of 4 KiB and more in any version.
pub const EXTENT_RECORD_BYTES: usize = EXTENT_RECORD_HEADER_BYTES + 8 * 4;
/// The first bytes of a chunk since version 2.
pub const CHUNK_HEADER: [u8; 8] = [0xFF, 2, 0, 0, 0, 0, 0, 0];

/// The newest extent format this program writes and reads.
pub const EXTENT_FORMAT_VERSION: u16 = 1;

const MAGIC: [u8; 4] = *b"PhEx";
const CHECKSUM_AT: usize = 24;

/// Where a slot starts in the page file.
pub fn slot_offset(class: SizeClass, extent: u32, slot: u16) -> u64 {
    extent_offset(extent) + EXTENT_HEADER_BYTES as u64 + u64::from(slot) * class.slot_bytes() as u64
}

/// Where an extent starts in the page file.
pub fn extent_offset(extent: u32) -> u64 {
    u64::from(extent) * EXTENT_BYTES as u64
}

/// The header of an extent.
pub fn encode_extent_header(extent: u32, class: SizeClass, generation: u64) -> [u8; EXTENT_HEADER_USED_BYTES] {
    let mut header = [0; EXTENT_HEADER_USED_BYTES];
    header[..4].copy_from_slice(&MAGIC);
    header[4..6].copy_from_slice(&EXTENT_FORMAT_VERSION.to_le_bytes());
    header[6] = class.number();
    header[8..12].copy_from_slice(&extent.to_le_bytes());
    header[16..24].copy_from_slice(&generation.to_le_bytes());
    let checksum = crc32fast::hash(&header);
    header[CHECKSUM_AT..CHECKSUM_AT + 4].copy_from_slice(&checksum.to_le_bytes());
    header
}

/// Checks an extent's header against what the free set says of it.
pub fn check_extent_header(extent: u32, class: SizeClass, header: &[u8; EXTENT_HEADER_USED_BYTES]) -> Result<()> {
    let mut zeroed = *header;
    zeroed[CHECKSUM_AT..CHECKSUM_AT + 4].fill(0);
    let stored = u32::from_le_bytes(header[CHECKSUM_AT..CHECKSUM_AT + 4].try_into().expect("four bytes"));
    let found = crc32fast::hash(&zeroed);
    let inconsistent = |detail: String| Err(StorageError::Inconsistent { detail });
    if header[..4] != MAGIC || stored != found {
        return inconsistent(format!("extent {extent} has a damaged header (checksum {stored:#x}, found {found:#x})"));
    }
    let version = u16::from_le_bytes([header[4], header[5]]);
    if version > EXTENT_FORMAT_VERSION {
        return Err(StorageError::NewerFormat {
            name: format!("extent {extent}"),
            found: u32::from(version),
            supported: u32::from(EXTENT_FORMAT_VERSION),
        });
    }
    let number = u32::from_le_bytes(header[8..12].try_into().expect("four bytes"));
    if number != extent || header[6] != class.number() {
        return inconsistent(format!(
            "extent {extent} of class {} has the header of extent {number} of class {}",
            class.number(),
            header[6]
        ));
    }
    Ok(())
}

/// The checkpoint that gave an extent its class, from a header that was checked.
pub fn extent_header_generation(header: &[u8; EXTENT_HEADER_USED_BYTES]) -> u64 {
    u64::from_le_bytes(header[16..24].try_into().expect("eight bytes"))
}
