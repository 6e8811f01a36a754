//! The bytes of format version 1, written out. A change here is a change of format: it needs a new version, and a
//! reader for this one.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use photondb_storage::btree::Root;
use photondb_storage::btree::format::open_stored;
use photondb_storage::btree::node::{Cell, Child, LargeValue, Node, Value};
use photondb_storage::checkpoint::catalogue::Record;
use photondb_storage::page::format::{PageId, PageKind, PageRef, decode, encode};
use photondb_storage::slab::extent::Extent;
use photondb_storage::slab::format::{encode_extent_header, slot_offset};
use photondb_storage::slab::size_class::SizeClass;
use photondb_storage::superblock::Superblock;
use photondb_storage::{TreeId, TreeSetId};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
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
    let mut bytes = Vec::new();
    let page = PageId::new(class(4096), 2, 3);
    encode(PageKind::Value, page, 9, b"body", 4, &mut bytes);
    let expected = concat!(
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
    assert_eq!(hex(&bytes), expected);
    bytes.resize(4096, 0);
    assert_eq!(decode(page, &bytes).unwrap().body, b"body");
}

#[test]
fn leaf() {
    let mut node = Node::empty(0);
    let large = LargeValue { page: PageRef::page(PageId::new(class(65536), 1, 2), false), length: 50_000 };
    assert!(node.insert(0, Cell::entry(b"b", Value::Large(large))));
    assert!(node.insert(0, Cell::entry(b"a", Value::Inline(b"one"))));
    let expected = concat!(
        "0200", // entries
        "1900", // heap
        "0000", // garbage
        "00",   // level
        "01",   // flags
        "1900", // slot of "a"
        "1100", // slot of "b"
        "0100",
        "0300",
        "61",
        "6f6e65", // "a" -> "one"
        "0100",
        "0c80",
        "62",
        "020001000000000c",
        "50c30000", // "b" -> large value
    );
    assert_eq!(hex(node.packed().body()), expected);
    assert_eq!(open_stored(node.packed().body().to_vec()).unwrap(), node.packed());
}

#[test]
fn branch() {
    let mut node = Node::empty(1);
    let child = |slot, count| Child { page: PageRef::page(PageId::new(class(8192), 0, slot), false), count };
    assert!(node.insert(0, Cell::child(b"", child(1, 10))));
    assert!(node.insert(1, Cell::child(b"m", child(2, 300))));
    let expected = concat!(
        "0200",
        "2900",
        "0000",
        "01",
        "00", // header
        "1400",
        "2900", // slots
        "0100",
        "1000",
        "6d",
        "0200000000000003",
        "2c01000000000000", // "m"
        "0000",
        "1000",
        "0100000000000003",
        "0a00000000000000", // first
    );
    assert_eq!(hex(node.packed().body()), expected);
    assert_eq!(open_stored(node.packed().body().to_vec()).unwrap().total(), 310);
}

#[test]
fn superblock() {
    let superblock = Superblock {
        generation: 5,
        identity: Some((1, 2)),
        boot: 3,
        clean: true,
        wal_start: 4096,
        catalogue: Root { page: Some(PageRef::page(PageId::new(class(4096), 0, 1), false)), count: 6 },
        extents: 7,
        directory: vec![PageId::new(class(4096), 0, 2)],
    };
    let bytes = superblock.encode();
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
    assert_eq!(hex(&bytes[..104]), expected);
    assert!(bytes[104..4092].iter().all(|byte| *byte == 0));
    assert_eq!(hex(&bytes[4092..]), "3c7cb437");
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
    // Chunks of version 2 say how many words a map has: 127 slots need two.
    assert_eq!(hex(&record), format!("0302000000000000{map}"));
    assert_eq!(Extent::decode(&mut &record[..]).unwrap().used, extent.used);
    let version_1: Vec<u8> = [&[3, 0, 0, 0, 0, 0, 0, 0], &record[8..], &[0; 16]].concat();
    assert_eq!(hex(&version_1), format!("0300000000000000{map}{}", "0".repeat(32)));
    assert_eq!(Extent::decode_v1(&version_1).unwrap().used, extent.used);
}

#[test]
fn catalogue_record() {
    let record = Record {
        trees: vec![(TreeId(1), Root { page: Some(PageRef::page(PageId::new(class(4096), 0, 1), false)), count: 2 })],
        meta: Bytes::from_static(b"meta"),
    };
    let expected = "0100000001000000010000000100000000000001020000000000000004000000".to_owned() + "6d657461";
    assert_eq!(hex(&record.encode()), expected);
    assert_eq!(Record::decode(Bytes::from(record.encode())).unwrap(), record);
    assert_eq!(hex(&photondb_storage::checkpoint::catalogue::key(TreeSetId(258))), "0000000000000102");
}
