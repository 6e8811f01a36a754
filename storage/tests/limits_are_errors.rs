//! At each limit things work, past it they are refused with an error that says both numbers, and nothing changed.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use photondb_storage::limits::{KEY_BYTES_MAX, META_BYTES_MAX, TREES_PER_SET_MAX, VALUE_BYTES_MAX};
use photondb_storage::{Engine, EngineOptions, KeyRange, StorageError, TreeId, TreeSet, TreeSetId};

const TREE: TreeId = TreeId(0);

fn set() -> TreeSet {
    let engine = Engine::in_memory(EngineOptions::default());
    let set = engine.create_tree_set(TreeSetId(0)).unwrap();
    let mut transaction = set.begin();
    transaction.create_tree(TREE).unwrap();
    transaction.commit().unwrap();
    set
}

#[test]
fn keys() {
    let set = set();
    let mut transaction = set.begin();
    for number in 0..500u32 {
        let mut key = vec![b'k'; KEY_BYTES_MAX];
        key[KEY_BYTES_MAX - 4..].copy_from_slice(&number.to_be_bytes());
        transaction.put(TREE, &key, &[0; 2048]).unwrap();
    }
    match transaction.put(TREE, &[0; KEY_BYTES_MAX + 1], b"") {
        Err(StorageError::KeyTooLong { bytes, bytes_max }) => assert_eq!((bytes, bytes_max), (1025, 1024)),
        other => panic!("{other:?}"),
    }
    assert!(transaction.get(TREE, &[0; KEY_BYTES_MAX + 1]).unwrap().is_none());
    assert!(!transaction.delete(TREE, &[0; KEY_BYTES_MAX + 1]).unwrap());
    transaction.put(TREE, b"", b"the empty key").unwrap();
    transaction.commit().unwrap();
    assert_eq!(set.snapshot().count(TREE, &KeyRange::all()).unwrap(), 501);
    assert_eq!(set.get(TREE, b"").unwrap().unwrap(), "the empty key");
}

#[test]
fn values_and_meta() {
    let set = set();
    let mut transaction = set.begin();
    transaction.put(TREE, b"most", &vec![1; VALUE_BYTES_MAX]).unwrap();
    let refused = transaction.put(TREE, b"more", &vec![1; VALUE_BYTES_MAX + 1]);
    assert!(matches!(refused, Err(StorageError::OverLimit { size_max: VALUE_BYTES_MAX, .. })));
    transaction.set_meta(Bytes::from(vec![2; META_BYTES_MAX])).unwrap();
    let refused = transaction.set_meta(Bytes::from(vec![2; META_BYTES_MAX + 1]));
    assert!(matches!(refused, Err(StorageError::OverLimit { size_max: META_BYTES_MAX, .. })));
    transaction.commit().unwrap();
    assert_eq!(set.get(TREE, b"most").unwrap().unwrap().len(), VALUE_BYTES_MAX);
    assert_eq!(set.meta().len(), META_BYTES_MAX);
}

#[test]
fn trees_and_sets() {
    let engine = Engine::in_memory(EngineOptions::default());
    let set = engine.create_tree_set(TreeSetId(0)).unwrap();
    assert!(matches!(engine.create_tree_set(TreeSetId(0)), Err(StorageError::TreeSetExists(TreeSetId(0)))));
    assert!(matches!(engine.create_tree_set(TreeSetId(u64::MAX)), Err(StorageError::TreeSetExists(_))));
    assert!(matches!(engine.drop_tree_set(TreeSetId(1)), Err(StorageError::NoTreeSet(TreeSetId(1)))));
    let mut transaction = set.begin();
    for tree in 0..TREES_PER_SET_MAX as u32 {
        transaction.create_tree(TreeId(tree)).unwrap();
    }
    assert!(matches!(transaction.create_tree(TreeId(0)), Err(StorageError::OverLimit { .. })));
    transaction.drop_tree(TreeId(9)).unwrap();
    assert!(matches!(transaction.create_tree(TreeId(0)), Err(StorageError::TreeExists(TreeId(0)))));
    assert!(matches!(transaction.get(TreeId(9), b""), Err(StorageError::NoTree(TreeId(9)))));
    assert!(matches!(transaction.put(TreeId(9), b"", b""), Err(StorageError::NoTree(TreeId(9)))));
    drop(transaction);
    assert!(set.snapshot().trees().is_empty());
}
