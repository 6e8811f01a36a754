//! The bytes of each format, written out (tree nodes: `node_bytes_of_each_format.rs`). A change here is a change of format: it needs a new version, and a
//! reader for this one.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use photondb_storage::btree::Root;
use photondb_storage::checkpoint::catalogue::Record;
use photondb_storage::page::format::{PageId, PageKind, PageRef, decode};
use photondb_storage::slab::extent::Extent;
use photondb_storage::slab::format::{encode_extent_header, slot_offset};
use photondb_storage::slab::size_class::SizeClass;
use photondb_storage::superblock::Superblock;
use photondb_storage::{Compression, TreeId, TreeSetId};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn slot(hex: &str) -> Vec<u8> {
    let mut bytes: Vec<u8> =
        (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16).unwrap()).collect();
    bytes.resize(4096, 0);
    bytes
}

fn class(bytes: usize) -> SizeClass {
    SizeClass::fitting(bytes).unwrap()
}

#[test]
fn page_reference() {
    let page = PageId::new(class(8192), 0x1234, 0x56);
    assert_eq!(hex(&page.to_bits().to_le_bytes()), "5600341200000003");
    assert_eq!(hex(&PageRef::page(page, true).to_bits().to_le_bytes()), "5600341200000043");
    assert_eq!(page.offset(), 0x1234 * 1_048_576 + 4096 + 0x56 * 8192);
    assert_eq!(slot_offset(class(4096), 0, 0), 4096);
    assert_eq!(PageId::from_bits(page.to_bits()), Some(page));
}

#[test]
fn page_header() {
    let page = PageId::new(class(4096), 2, 3);
    let stored = concat!(
        "50685067", // magic
        "0100",     // version
        "03",       // kind
        "00",       // flags
        "0300020000000001",
        "0900000000000000", // generation
        "04000000",
        "04000000",
        "ac2f05b6", // checksum
        "00000000",
        "626f6479",
    );
    let found = decode(page, &slot(stored)).unwrap();
    assert_eq!((found.kind, found.version, found.generation), (PageKind::Value, 1, 9));
    assert_eq!(found.body, b"body");
    // The same, as LZ4.
    let stored = concat!(
        "5068506701000301",
        "0300020000000001",
        "0900000000000000",
        "0500000004000000",
        "c1950d8c",
        "00000000",
        "40626f6479"
    );
    assert_eq!(decode(page, &slot(stored)).unwrap().body, b"body");
}

#[test]
fn superblock() {
    let superblock = Superblock {
        generation: 5,
        identity: Some((1, 2)),
        boot: 3,
        openings: Vec::new(),
        clean: true,
        wal_start: 4096,
        catalogue: Root { page: Some(PageRef::page(PageId::new(class(4096), 0, 1), false)), count: 6 },
        extents: 7,
        directory: vec![PageId::new(class(4096), 0, 2)],
    };
    let expected = concat!(
        "50686f746f6e5342", // magic
        "01000000",         // version
        "03000000",         // flags
        "0500000000000000", // generation
        "01000000000000000000000000000000",
        "02000000000000000000000000000000",
        "0300000000000000", // boot
        "0010000000000000", // WAL start
        "0100000000000001", // catalogue
        "0600000000000000",
        "07000000", // extents
        "01000000", // directory
        "0200000000000001",
    );
    let mut bytes = slot(expected);
    bytes[4092..].copy_from_slice(&[0x3c, 0x7c, 0xb4, 0x37]);
    assert_eq!(Superblock::decode(&bytes), Ok(superblock));
}

#[test]
fn extent() {
    let header = encode_extent_header(9, class(8192), 4);
    assert_eq!(hex(&header), "506845780100020009000000000000000400000000000000fdb21cc000000000");
    let mut extent = Extent { class: Some(class(8192)), ..Extent::default() };
    extent.used.insert(0);
    extent.used.insert(65);
    let mut record = Vec::new();
    extent.encode(&mut record);
    let map = format!("{}{}", "0100000000000000", "0200000000000000");
    let version_1: Vec<u8> = [&[3, 0, 0, 0, 0, 0, 0, 0], &record[8..], &[0; 16]].concat();
    assert_eq!(hex(&version_1), format!("0300000000000000{map}{}", "0".repeat(32)));
    assert_eq!(Extent::decode_v1(&version_1).unwrap().used, extent.used);
}

#[test]
fn catalogue_record() {
    let record = Record {
        trees: vec![(TreeId(1), Root { page: Some(PageRef::page(PageId::new(class(4096), 0, 1), false)), count: 2 })],
        meta: Bytes::from_static(b"meta"),
        compression: Compression::None,
    };
    let stored = "0100000001000000010000000100000000000001020000000000000004000000".to_owned() + "6d657461";
    assert_eq!(hex(&record.encode()[4..]), stored[8..], "version 2 differs in its first bytes only");
    let stored = slot(&stored)[..stored.len() / 2].to_vec();
    assert_eq!(Record::decode(Bytes::from(stored)).unwrap(), record);
    assert_eq!(hex(&photondb_storage::checkpoint::catalogue::key(TreeSetId(258))), "0000000000000102");
}
