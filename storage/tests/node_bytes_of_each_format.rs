//! The bytes of a tree node in both formats, written out: the first is still read, the second is what is written.
//! A change of the second is a change of format: it needs a third, and a reader for this one.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use photondb_storage::btree::format::open_stored;
use photondb_storage::btree::node::{Cell, Child, LargeValue, Node, Value};
use photondb_storage::page::format::{PageId, PageKind, PageRef, Payload, decode, encode};
use photondb_storage::slab::size_class::SizeClass;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn class(bytes: usize) -> SizeClass {
    SizeClass::fitting(bytes).unwrap()
}

fn large() -> LargeValue {
    LargeValue { page: PageRef::page(PageId::new(class(65536), 1, 2), false), length: 50_000 }
}

fn child(slot: u16, count: u64) -> Child {
    Child { page: PageRef::page(PageId::new(class(8192), 0, slot), false), count }
}

const FIRST_LEAF: &str = concat!(
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

const FIRST_BRANCH: &str = concat!(
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

const LEAF: &str = concat!(
    "0300", // entries
    "2c00", // heap
    "0000", // garbage
    "00",   // level
    "03",   // flags
    "0400", // prefix
    "0000",
    "00000000",
    "02010061",
    "64636261", // heads of "user", "usera\0\1\2" and "userabcdef"
    "2c00",
    "2500",
    "1600", // slots
    "0000",
    "0300",
    "6f6e65", // "user" -> "one"
    "0400",
    "0b00",
    "6120736563726574206f6e", // "usera\0\1\2", of which the head is all, -> "a secret on"
    "0600",
    "0c80",
    "6566",
    "020001000000000c",
    "50c30000", // "userabcdef" -> large value
    "75736572", // the prefix
);

const BRANCH: &str = concat!(
    "0300",
    "0800",
    "0000",
    "01",
    "02", // header
    "0100",
    "0000",
    "00000000",
    "00000061",
    "66656463", // heads of nothing, "ma" and "mcdefg"
    "0800",
    "0600",
    "0400", // slots
    "0100000000000003",
    "0200000000000003",
    "0300000000000003", // children
    "0a00000000000000",
    "2c01000000000000",
    "0700000000000000", // counts
    "0000",
    "0100",
    "0500",
    "67",
    "6d", // the prefix
);

fn leaf() -> Node {
    let mut node = Node::empty(0);
    assert!(node.insert(0, Cell::entry(b"userabcdef", Value::Large(large()))));
    assert!(node.insert(0, Cell::entry(b"user", Value::Inline(b"one"))));
    assert!(node.insert(1, Cell::entry(b"usera\0\x01\x02", Value::Inline(b"a secret on"))));
    node
}

#[test]
fn leaf_of_today() {
    let packed = leaf().packed();
    assert_eq!(hex(packed.body()), LEAF);
    assert_eq!(open_stored(unhex(LEAF)).unwrap(), packed);
}

#[test]
fn branch_of_today() {
    let mut node = Node::empty(1);
    assert!(node.insert(0, Cell::child(b"not kept", child(1, 10))));
    assert!(node.insert(1, Cell::child(b"ma", child(2, 300))));
    assert!(node.insert(2, Cell::child(b"mcdefg", child(3, 7))));
    assert_eq!(hex(node.packed().body()), BRANCH);
    let node = open_stored(unhex(BRANCH)).unwrap();
    assert_eq!((node.total(), node.child(1), node.count_before(2)), (317, child(2, 300), 310));
    assert_eq!(
        ["l", "m", "ma", "mcdeff", "mcdefg", "n"].map(|key| node.child_index(key.as_bytes())),
        [0, 0, 1, 1, 2, 2]
    );
}

#[test]
fn leaf_of_the_first_format_opens() {
    let node = open_stored(unhex(FIRST_LEAF)).unwrap();
    assert_eq!((node.len(), node.has_large_values()), (2, true));
    assert_eq!((node.key(0).to_vec(), node.value(0)), (b"a".to_vec(), Value::Inline(b"one")));
    assert_eq!((node.key(1).to_vec(), node.value(1)), (b"b".to_vec(), Value::Large(large())));
}

#[test]
fn branch_of_the_first_format_opens() {
    let node = open_stored(unhex(FIRST_BRANCH)).unwrap();
    assert_eq!((node.len(), node.level(), node.total()), (2, 1, 310));
    assert_eq!((node.child(0), node.child(1)), (child(1, 10), child(2, 300)));
    assert_eq!((node.child_index(b"a"), node.child_index(b"m")), (0, 1));
}

#[test]
fn page_of_the_first_format_opens() {
    let page = PageId::new(class(4096), 2, 3);
    let body = unhex(FIRST_LEAF);
    let mut bytes = Vec::new();
    encode(PageKind::Leaf, page, 9, Payload::plain(&body), &mut bytes);
    bytes[4..6].copy_from_slice(&1u16.to_le_bytes());
    bytes[32..36].fill(0);
    let checksum = crc32fast::hash(&bytes);
    bytes[32..36].copy_from_slice(&checksum.to_le_bytes());
    assert_eq!(open_stored(decode(page, &bytes).unwrap().body).unwrap().len(), 2);
}

/// A node of the first format that was full of short keys is too large for today's: it opens, and an insert splits it.
#[test]
fn full_leaf_of_short_keys_of_the_first_format_opens() {
    let keys: Vec<[u8; 2]> = (0..1017u16).map(|number| (number * 64).to_be_bytes()).collect();
    let mut body = Vec::new();
    body.extend_from_slice(&(keys.len() as u16).to_le_bytes());
    body.extend_from_slice(&((keys.len() * 6) as u16).to_le_bytes());
    body.extend_from_slice(&[0; 4]);
    for index in 0..keys.len() {
        body.extend_from_slice(&((keys.len() - index) as u16 * 6).to_le_bytes());
    }
    for key in &keys {
        body.extend_from_slice(&[2, 0, 0, 0, key[0], key[1]]);
    }
    let mut node = open_stored(body).unwrap();
    assert!(node.used_bytes() > 8152);
    assert_eq!(node.search(&[0, 64]), Ok(1));
    assert!(!node.insert(1, Cell::entry(b"\0\0", Value::Inline(b""))));
    assert_eq!(open_stored(node.packed().body().to_vec()).unwrap(), node);
}
