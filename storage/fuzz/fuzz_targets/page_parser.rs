//! Any bytes in a slot: decoding and opening them never panics, and an accepted node can be walked.
#![no_main]

use libfuzzer_sys::fuzz_target;
use photondb_storage::btree::format::open_stored;
use photondb_storage::page::format::{PageId, decode};
use photondb_storage::slab::size_class::SizeClass;
use photondb_storage::superblock::Superblock;

fuzz_target!(|data: &[u8]| {
    let page = PageId::new(SizeClass::LARGEST, 0, 0);
    if let Ok(page) = decode(page, data) {
        let _ = open_stored(page.body);
    }
    // Past the checksum, which random bytes do not meet.
    if let Ok(node) = open_stored(data.to_vec()) {
        for index in 0..node.len() {
            let key = node.key(index).to_vec();
            if node.is_leaf() {
                assert_eq!(node.search(&key), Ok(index));
            } else {
                let _ = (node.child(index), node.child_index(&key));
            }
        }
        assert_eq!(node.packed(), node);
    }
    let _ = Superblock::decode(data);
});
