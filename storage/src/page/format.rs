//! Page references and the page header, byte for byte.
//!
//! ```text
//! header (40 bytes, little endian)
//!  0  magic            4  "PhPg"
//!  4  format version   2
//!  6  kind             1  PageKind
//!  7  flags            1  bit 0: payload is LZ4 (block format); bit 1, since version 2: payload is a zstd frame
//!  8  page id          8  where the page was meant to go, and in which life of that slot; finds misdirected and lost writes
//! 16  generation       8  the checkpoint that wrote it
//! 24  payload length   4  bytes stored after the header
//! 28  body length      4  bytes after decompression
//! 32  checksum         4  CRC-32 over header (this field zero) and payload
//! 36  reserved         4  zero
//! 40  payload
//! ```
//!
//! The checksum covers the bytes as they are stored: damage is found before anything is decompressed.

use crate::error::{Result, StorageError};
use crate::fault::fault_point;
use crate::page::compression::Compression;
use crate::slab::size_class::SizeClass;

/// Bytes before the payload.
pub const HEADER_BYTES: usize = 40;

/// The newest page format this program writes and reads.
pub const PAGE_FORMAT_VERSION: u16 = 2;

const MAGIC: [u8; 4] = *b"PhPg";
const FLAG_LZ4: u8 = 1;
const FLAG_ZSTD: u8 = 2;
const CHECKSUM_AT: usize = 32;

/// A slot of the page file in one of its lives: size class, extent, number within the extent, life. Never zero.
///
/// Each time a slot is given out it begins a life, whose number is drawn from 1 to [`LIFE_MAX`]. So what stood there
/// before is not taken for what should stand there now (P2) when a write was lost or a read is stale. Life 0 is that of
/// pages written before superblock version 2.
///
/// Bits: 0-9 slot, 10-15 low bits of the life, 16-47 extent, 48-55 high bits of the life, 56-60 size class + 1. The
/// others are zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PageId(u64);

/// The greatest number of a life.
pub const LIFE_MAX: u16 = (1 << 14) - 1;

const SLOT_BITS: u64 = 0x03FF;
const LIFE_LOW_BITS: u64 = 0xFC00;
const LIFE_HIGH_BITS: u64 = 0x00FF_0000_0000_0000;
const LIFE_BITS: u64 = LIFE_LOW_BITS | LIFE_HIGH_BITS;

impl PageId {
    /// Names a slot, in no life.
    pub fn new(class: SizeClass, extent: u32, slot: u16) -> Self {
        PageId(u64::from(slot) | u64::from(extent) << 16 | (u64::from(class.number()) + 1) << 56)
    }

    /// The same slot in another life.
    pub fn in_life(self, life: u16) -> Self {
        assert!(life <= LIFE_MAX, "a life has 14 bits");
        let (low, high) = (u64::from(life & 0x3F), u64::from(life >> 6));
        PageId(self.0 & !LIFE_BITS | low << 10 | high << 48)
    }

    /// Whether this names the same slot, in whatever life.
    pub fn is_slot_of(self, other: PageId) -> bool {
        self.0 & !LIFE_BITS == other.0 & !LIFE_BITS
    }

    /// Reads the stored form; `None` when it names no slot that can exist.
    pub fn from_bits(bits: u64) -> Option<Self> {
        let class = SizeClass::from_number(u8::try_from(bits >> 56).ok()?.checked_sub(1)?)?;
        let id = PageId(bits);
        (usize::from(id.slot()) < class.slots_per_extent()).then_some(id)
    }

    /// The stored form.
    pub fn to_bits(self) -> u64 {
        self.0
    }

    /// The size class of the slot.
    pub fn class(self) -> SizeClass {
        let number = u8::try_from((self.0 >> 56) - 1).expect("a page id holds its class in one byte");
        SizeClass::from_number(number).expect("a page id is built from a size class")
    }

    /// The extent the slot lies in.
    pub fn extent(self) -> u32 {
        (self.0 >> 16) as u32
    }

    /// The slot within its extent.
    pub fn slot(self) -> u16 {
        (self.0 & SLOT_BITS) as u16
    }

    /// Where the slot starts in the page file.
    pub fn offset(self) -> u64 {
        crate::slab::format::slot_offset(self.class(), self.extent(), self.slot())
    }
}

impl std::fmt::Debug for PageId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}K:{}.{}", self.class().slot_bytes() as f64 / 1024.0, self.extent(), self.slot())
    }
}

/// What a branch holds per child, and a leaf per large value: a slot on disk or a frame in memory, in 8 bytes.
///
/// Bit 63 marks a frame (never seen on disk); bit 62, on slots, says that large values lie below.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct PageRef(u64);

/// A [`PageRef`], looked into.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// A node in memory that no checkpoint has written yet.
    Frame(u32),
    /// A slot of the page file.
    Page(PageId),
}

const FRAME_BIT: u64 = 1 << 63;
const LARGE_VALUES_BIT: u64 = 1 << 62;

impl PageRef {
    /// Refers to a frame.
    pub fn frame(index: u32) -> Self {
        PageRef(FRAME_BIT | u64::from(index))
    }

    /// Refers to a slot; `large_values` when overflow pages hang below it.
    pub fn page(id: PageId, large_values: bool) -> Self {
        PageRef(id.to_bits() | if large_values { LARGE_VALUES_BIT } else { 0 })
    }

    /// What is referred to.
    pub fn target(self) -> Target {
        if self.0 & FRAME_BIT != 0 {
            Target::Frame(self.0 as u32)
        } else {
            Target::Page(PageId(self.0 & !LARGE_VALUES_BIT))
        }
    }

    /// The frame, when it is one.
    pub fn as_frame(self) -> Option<u32> {
        (self.0 & FRAME_BIT != 0).then_some(self.0 as u32)
    }

    /// The slot, when it is one.
    pub fn page_id(self) -> Option<PageId> {
        match self.target() {
            Target::Page(id) => Some(id),
            Target::Frame(_) => None,
        }
    }

    /// Whether overflow pages hang below this slot. Meaningless on frames.
    pub fn has_large_values(self) -> bool {
        self.0 & LARGE_VALUES_BIT != 0
    }

    /// The 8 bytes.
    pub fn to_bits(self) -> u64 {
        self.0
    }

    /// Takes bits that this program put into a node in memory.
    pub(crate) fn from_trusted_bits(bits: u64) -> Self {
        PageRef(bits)
    }

    /// Reads a stored reference: slots only. `None` when it cannot be one.
    pub fn from_stored_bits(bits: u64) -> Option<Self> {
        if bits & FRAME_BIT != 0 {
            return None;
        }
        PageId::from_bits(bits & !LARGE_VALUES_BIT)?;
        Some(PageRef(bits))
    }
}

/// What a page holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PageKind {
    /// Keys and values of a tree.
    Leaf = 1,
    /// Separators and children of a tree.
    Branch = 2,
    /// A whole large value.
    Value = 3,
    /// A piece of a larger value.
    ValuePart = 4,
    /// The references of a larger value's pieces.
    ValueParts = 5,
    /// Slot maps of a run of extents.
    FreeChunk = 6,
    /// References of free chunks.
    FreeDirectory = 7,
}

impl PageKind {
    fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => PageKind::Leaf,
            2 => PageKind::Branch,
            3 => PageKind::Value,
            4 => PageKind::ValuePart,
            5 => PageKind::ValueParts,
            6 => PageKind::FreeChunk,
            7 => PageKind::FreeDirectory,
            _ => return None,
        })
    }
}

/// A page that was read: its kind, who wrote it, and the uncompressed body.
#[derive(Debug, PartialEq, Eq)]
pub struct Page {
    /// What the body is.
    pub kind: PageKind,
    /// The format it has.
    pub version: u16,
    /// The checkpoint that wrote it.
    pub generation: u64,
    /// The payload, decompressed.
    pub body: Vec<u8>,
}

/// What a page holds, as it is stored.
#[derive(Clone, Copy, Debug)]
pub struct Payload<'p> {
    /// What made it of the body.
    pub compression: Compression,
    /// The bytes after the header.
    pub stored: &'p [u8],
    /// Bytes of the body.
    pub body_len: usize,
}

impl<'p> Payload<'p> {
    /// The body as it is.
    pub fn plain(body: &'p [u8]) -> Self {
        Payload { compression: Compression::None, stored: body, body_len: body.len() }
    }
}

/// Makes the bytes of a page for a slot.
pub fn encode(kind: PageKind, id: PageId, generation: u64, payload: Payload<'_>, out: &mut Vec<u8>) {
    let stored = payload.stored;
    assert!(HEADER_BYTES + stored.len() <= id.class().slot_bytes(), "a page fits the slot chosen for it");
    let start = out.len();
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&PAGE_FORMAT_VERSION.to_le_bytes());
    out.push(kind as u8);
    out.push(match payload.compression {
        Compression::None => 0,
        Compression::Lz4 => FLAG_LZ4,
        Compression::Zstd => FLAG_ZSTD,
    });
    out.extend_from_slice(&id.to_bits().to_le_bytes());
    out.extend_from_slice(&generation.to_le_bytes());
    out.extend_from_slice(&u32::try_from(stored.len()).expect("a slot is below 4 GiB").to_le_bytes());
    out.extend_from_slice(&u32::try_from(payload.body_len).expect("a body is below 4 GiB").to_le_bytes());
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(stored);
    let checksum = crc32fast::hash(&out[start..]);
    out[start + CHECKSUM_AT..start + CHECKSUM_AT + 4].copy_from_slice(&checksum.to_le_bytes());
}

/// Checks and opens the bytes of a slot. Any bytes may come in.
pub fn decode(id: PageId, slot: &[u8]) -> Result<Page> {
    let damaged = |at: usize, detail, expected: u64, found: u64| StorageError::DamagedPage {
        page: id,
        offset: id.offset() + at as u64,
        detail,
        expected,
        found,
    };
    if slot.len() < HEADER_BYTES {
        return Err(damaged(0, "page is cut short", HEADER_BYTES as u64, slot.len() as u64));
    }
    if slot[..4] != MAGIC {
        return Err(damaged(0, "magic", u64::from(u32_at(&MAGIC, 0)), u64::from(u32_at(slot, 0))));
    }
    let version = u16::from_le_bytes([slot[4], slot[5]]);
    let stored_len = u32_at(slot, 24) as usize;
    if stored_len > slot.len() - HEADER_BYTES {
        return Err(damaged(24, "payload length", (slot.len() - HEADER_BYTES) as u64, stored_len as u64));
    }
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&slot[..CHECKSUM_AT]);
    hasher.update(&[0; 4]);
    hasher.update(&slot[CHECKSUM_AT + 4..HEADER_BYTES + stored_len]);
    let (expected, found) = (u32_at(slot, CHECKSUM_AT), hasher.finalize());
    if expected != found && !fault_point!("ignore-checksum") {
        return Err(damaged(CHECKSUM_AT, "checksum", u64::from(expected), u64::from(found)));
    }
    // The checksum is verified first, so a version beyond ours is a newer program's page and not a flipped bit.
    if version == 0 || version > PAGE_FORMAT_VERSION {
        return Err(StorageError::NewerFormat {
            name: format!("page {id:?}"),
            found: u32::from(version),
            supported: u32::from(PAGE_FORMAT_VERSION),
        });
    }
    let written_for = u64::from_le_bytes(slot[8..16].try_into().expect("eight bytes"));
    if written_for != id.to_bits() {
        let detail = match PageId(written_for).is_slot_of(id) {
            true => "life of the slot (lost write)",
            false => "page id (misdirected write)",
        };
        return Err(damaged(8, detail, id.to_bits(), written_for));
    }
    let kind = PageKind::from_number(slot[6]).ok_or_else(|| damaged(6, "page kind", 1, u64::from(slot[6])))?;
    let body_len = u32_at(slot, 28) as usize;
    let stored = &slot[HEADER_BYTES..HEADER_BYTES + stored_len];
    let compression = match (slot[7], version) {
        (0, _) => Compression::None,
        (FLAG_LZ4, _) => Compression::Lz4,
        (FLAG_ZSTD, 2..) => Compression::Zstd,
        (flags, _) => return Err(damaged(7, "page flags", u64::from(FLAG_LZ4 | FLAG_ZSTD), u64::from(flags))),
    };
    if compression == Compression::None && body_len != stored_len {
        return Err(damaged(28, "body length", stored_len as u64, body_len as u64));
    }
    // No larger body is ever made; a claim of one is not given memory.
    let body_len_max = SizeClass::LARGEST.slot_bytes() - HEADER_BYTES;
    if body_len > body_len_max {
        return Err(damaged(28, "body length", body_len_max as u64, body_len as u64));
    }
    let body = compression.unpack(stored, body_len);
    let body = body.ok_or_else(|| damaged(HEADER_BYTES, "compressed payload", body_len as u64, stored_len as u64))?;
    let generation = u64::from_le_bytes(slot[16..24].try_into().expect("eight bytes"));
    Ok(Page { kind, version, generation, body })
}

/// The page id in the header of whatever lies in a slot; `None` when there is none.
pub(crate) fn page_id_in(header: &[u8; HEADER_BYTES]) -> Option<PageId> {
    PageId::from_bits(u64::from_le_bytes(header[8..16].try_into().expect("eight bytes")))
}

/// Bytes of payload, from the header of a page that was checked.
pub(crate) fn payload_bytes(header: &[u8; HEADER_BYTES]) -> u64 {
    u64::from(u32_at(header, 24))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}
