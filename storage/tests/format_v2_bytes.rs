//! The bytes of format version 2 where they differ from version 1, written out. A change here is a change of format: it
//! needs a new version, and a reader for this one.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use photondb_storage::btree::Root;
use photondb_storage::checkpoint::catalogue::Record;
use photondb_storage::page::format::{LIFE_MAX, PageId, PageKind, PageRef, Payload, decode, encode};
use photondb_storage::slab::extent::Extent;
use photondb_storage::slab::size_class::SizeClass;
use photondb_storage::superblock::Superblock;
use photondb_storage::{Compression, StorageError};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn page() -> PageId {
    PageId::new(SizeClass::fitting(4096).unwrap(), 2, 3)
}

fn encoded(payload: Payload<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(PageKind::Value, page(), 9, payload, &mut bytes);
    bytes
}

#[test]
fn page_header() {
    let mut bytes = encoded(Payload::plain(b"body"));
    let expected = concat!(
        "50685067", // magic
        "0200",     // version
        "03",       // kind
        "00",       // flags
        "0300020000000001",
        "0900000000000000", // generation
        "04000000",
        "04000000",
        "249fb99c", // checksum
        "00000000",
        "626f6479",
    );
    assert_eq!(hex(&bytes), expected);
    bytes.resize(4096, 0);
    let found = decode(page(), &bytes).unwrap();
    assert_eq!((found.version, &found.body[..]), (2, &b"body"[..]));
}

#[test]
fn page_flags() {
    for (compression, flags) in [(Compression::Lz4, 1), (Compression::Zstd, 2)] {
        let stored = match compression {
            Compression::Zstd => vec![0x28, 0xb5, 0x2f, 0xfd, 0x20, 0x04, 0x21, 0, 0, b'b', b'o', b'd', b'y'],
            _ => b"\x40body".to_vec(),
        };
        let bytes = encoded(Payload { compression, stored: &stored, body_len: 4 });
        assert_eq!(bytes[7], flags);
        assert_eq!(decode(page(), &bytes).unwrap().body, b"body");
        // A flag that no version knows, under a right checksum, is damage.
        let mut bytes = bytes;
        bytes[7] = 3;
        bytes[32..36].fill(0);
        let checksum = crc32fast::hash(&bytes);
        bytes[32..36].copy_from_slice(&checksum.to_le_bytes());
        assert!(matches!(decode(page(), &bytes), Err(StorageError::DamagedPage { detail: "page flags", .. })));
    }
}

/// The sizes of slots, by the number that page references and extents carry.
#[test]
fn size_classes() {
    let sizes: Vec<usize> = (0..).map_while(SizeClass::from_number).map(SizeClass::slot_bytes).collect();
    let halves =
        [8, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 128, 2, 3, 4, 5, 6, 7, 9, 10, 11, 13, 14, 15, 18, 28, 56, 72, 112];
    assert_eq!(sizes, halves.map(|half| half * 512));
    let page = PageId::new(SizeClass::fitting(1024).unwrap(), 1, 1019);
    assert_eq!(hex(&page.to_bits().to_le_bytes()), "fb0301000000000d");
    assert_eq!(PageId::from_bits(page.to_bits()), Some(page));
    assert_eq!(PageId::from_bits(page.to_bits() + 1), None);
}

/// A slot's number, and its life in two parts.
#[test]
fn page_reference() {
    let page = PageId::new(SizeClass::fitting(8192).unwrap(), 0x1234, 0x56).in_life(0x2A95);
    assert_eq!(hex(&page.to_bits().to_le_bytes()), "565434120000aa03");
    assert_eq!(PageId::from_bits(page.to_bits()), Some(page));
    assert_eq!((page.slot(), page.extent(), page.offset()), (0x56, 0x1234, 0x1234 * 1_048_576 + 4096 + 0x56 * 8192));
    assert_eq!(PageRef::page(page, true).page_id(), Some(page));
    assert!(page != page.in_life(0x2A94) && page.is_slot_of(page.in_life(0x2A94)));
}

#[test]
fn page_of_another_life() {
    let (earlier, later) = (page().in_life(7), page().in_life(8));
    let mut bytes = Vec::new();
    encode(PageKind::Value, earlier, 9, Payload::plain(b"body"), &mut bytes);
    assert!(decode(earlier, &bytes).is_ok());
    assert!(matches!(
        decode(later, &bytes),
        Err(StorageError::DamagedPage { detail: "life of the slot (lost write)", .. })
    ));
}

#[test]
fn superblock() {
    let catalogue = PageRef::page(page().in_life(1), false);
    let superblock = Superblock {
        generation: 5,
        catalogue: Root { page: Some(catalogue), count: 6 },
        extents: 7,
        directory: vec![page().in_life(LIFE_MAX)],
        ..Superblock::default()
    };
    let bytes = superblock.encode();
    let expected = concat!(
        "50686f746f6e5342", // magic
        "02000000",         // version
        "00000000",         // flags
        "0500000000000000", // generation
        "00000000000000000000000000000000",
        "00000000000000000000000000000000",
        "00000000000000000000000000000000", // identity, boot, WAL start
        "0304020000000001",                 // catalogue
        "0600000000000000",
        "07000000", // extents
        "01000000", // directory
        "03fc02000000ff01",
    );
    assert_eq!(hex(&bytes[..104]), expected);
    assert_eq!(Superblock::decode(&bytes), Ok(superblock));
}

#[test]
fn extent() {
    let mut extent = Extent { class: SizeClass::fitting(8192), ..Extent::default() };
    extent.used.insert(0);
    extent.used.insert(65);
    let mut record = Vec::new();
    extent.encode(&mut record);
    assert_eq!(hex(&record), "030200000000000001000000000000000200000000000000");
    assert_eq!(Extent::decode(&mut &record[..]).unwrap().used, extent.used);
    let mut record = Vec::new();
    Extent { class: SizeClass::fitting(1024), ..extent }.encode(&mut record);
    assert_eq!(hex(&record), format!("0d1000000000000001000000000000000200000000000000{}", "0".repeat(14 * 16)));
}

#[test]
fn catalogue_record() {
    let record = Record { meta: Bytes::from_static(b"meta"), compression: Compression::Zstd, ..Record::default() };
    assert_eq!(hex(&record.encode()), "0202000000000000040000006d657461");
    assert_eq!(Record::decode(Bytes::from(record.encode())).unwrap(), record);
    let newer = Bytes::from_static(b"\x03\0\0\0\0\0\0\0\0\0\0\0");
    assert!(matches!(Record::decode(newer), Err(StorageError::NewerFormat { found: 3, supported: 2, .. })));
}
