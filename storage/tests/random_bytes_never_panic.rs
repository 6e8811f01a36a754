//! Whatever bytes lie in a slot, a superblock, a free chunk or a catalogue record: an error or a value, never a panic,
//! and what is accepted can be walked.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use photondb_storage::btree::format::open_stored;
use photondb_storage::btree::node::{Node, Value};
use photondb_storage::checkpoint::catalogue::Record;
use photondb_storage::page::format::{HEADER_BYTES, PageId, PageKind, Payload, decode, encode};
use photondb_storage::slab::extent::Extent;
use photondb_storage::slab::format::EXTENT_RECORD_BYTES;
use photondb_storage::slab::size_class::SizeClass;
use photondb_storage::superblock::Superblock;
use proptest::prelude::*;

fn page() -> PageId {
    PageId::new(SizeClass::fitting(8192).unwrap(), 3, 17)
}

/// Touches everything a node offers.
fn walk(node: &Node) {
    for index in 0..node.len() {
        let key = node.key(index).to_vec();
        if node.is_leaf() {
            assert_eq!(node.search(&key), Ok(index));
            if let Value::Inline(bytes) = node.value(index) {
                assert!(bytes.len() <= node.body().len());
            }
        } else {
            let _ = (node.child(index), node.child_index(&key));
        }
    }
    let _ = (node.search(b"k"), node.used_bytes());
    assert_eq!(node.packed(), *node);
    assert_eq!(node.writable_copy(500).packed(), *node);
}

/// A body that is a node but for a few bytes.
fn nearly_a_node() -> impl Strategy<Value = Vec<u8>> {
    let keys = prop::collection::btree_set(prop::collection::vec(any::<u8>(), 0..20), 1..40);
    let damage = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    (keys, damage, any::<bool>()).prop_map(|(keys, damage, branch)| {
        let mut node = Node::empty(usize::from(branch));
        for (index, key) in keys.iter().enumerate() {
            let child = photondb_storage::btree::node::Child {
                page: photondb_storage::page::PageRef::page(page(), false),
                count: 1,
            };
            let cell = if branch {
                photondb_storage::btree::node::Cell::child(key, child)
            } else {
                photondb_storage::btree::node::Cell::entry(key, Value::Inline(key))
            };
            assert!(node.insert(index, cell));
        }
        let mut body = node.packed().body().to_vec();
        for (at, byte) in damage {
            let at = at.index(body.len());
            body[at] = byte;
        }
        body
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn in_a_slot(bytes in prop::collection::vec(any::<u8>(), 0..9000)) {
        let _ = decode(page(), &bytes);
    }

    #[test]
    fn in_a_slot_with_a_right_checksum(kind in 0u8..10, flags in 0u8..3, body_len in any::<u32>(), body in prop::collection::vec(any::<u8>(), 0..3000)) {
        let mut bytes = Vec::new();
        encode(PageKind::Leaf, page(), 1, Payload::plain(&body), &mut bytes);
        bytes[6] = kind;
        bytes[7] = flags;
        bytes[28..32].copy_from_slice(&body_len.to_le_bytes());
        bytes[32..36].fill(0);
        let checksum = crc32fast::hash(&bytes);
        bytes[32..36].copy_from_slice(&checksum.to_le_bytes());
        if let Ok(page) = decode(page(), &bytes) {
            prop_assert!(page.body.len() == body_len as usize);
        }
        prop_assert!(bytes.len() == HEADER_BYTES + body.len());
    }

    #[test]
    fn in_a_node(body in nearly_a_node()) {
        if let Ok(node) = open_stored(body) {
            walk(&node);
        }
    }

    #[test]
    fn in_any_node(body in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(node) = open_stored(body) {
            walk(&node);
        }
    }

    #[test]
    fn in_a_superblock(bytes in prop::collection::vec(any::<u8>(), 4096), sealed in any::<bool>()) {
        let mut bytes = bytes;
        if sealed {
            bytes[..8].copy_from_slice(b"PhotonSB");
            bytes[8..12].copy_from_slice(&1u32.to_le_bytes());
            let checksum = crc32fast::hash(&bytes[..4092]);
            bytes[4092..].copy_from_slice(&checksum.to_le_bytes());
        }
        let _ = Superblock::decode(&bytes);
    }

    #[test]
    fn in_a_free_chunk(bytes in prop::collection::vec(any::<u8>(), EXTENT_RECORD_BYTES)) {
        let _ = Extent::decode_v1(&bytes);
        let _ = Extent::decode(&mut &bytes[..]);
        let _ = Extent::decode(&mut &bytes[..bytes.len() / 4]);
    }

    #[test]
    fn in_a_catalogue_record(bytes in prop::collection::vec(any::<u8>(), 0..200), version in 0u8..3) {
        let mut bytes = bytes;
        if let Some(first) = bytes.first_mut() {
            *first = version;
        }
        let _ = Record::decode(Bytes::from(bytes));
    }
}
