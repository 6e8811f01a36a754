//! A node against a sorted map: random inserts, removals, overwrites and copies, over keys that share much or nothing.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::btree::format::open_stored;
use crate::btree::node::{Cell, Child, Node, Value};
use crate::limits::{INLINE_VALUE_BYTES_MAX, KEY_BYTES_MAX, NODE_BODY_BYTES_MAX};
use crate::page::format::{PageId, PageRef};
use crate::slab::size_class::SizeClass;

#[derive(Clone, Debug)]
enum Operation {
    Put(Vec<u8>, Vec<u8>),
    Remove(Vec<u8>),
    Copy(usize),
    Pack,
}

/// Keys that share long beginnings, differ in trailing zeros only, are empty, or are as long as keys can be.
fn key() -> impl Strategy<Value = Vec<u8>> {
    let tail = prop::collection::vec(prop_oneof![Just(0u8), Just(1), Just(255), any::<u8>()], 0..9);
    (0usize..6, tail).prop_map(|(shared, tail)| {
        let length = [0, 1, 4, 40, 300, KEY_BYTES_MAX][shared];
        let mut key = vec![b'p'; length.saturating_sub(tail.len())];
        key.extend(tail);
        key
    })
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    let length = prop_oneof![8 => 0usize..40, 1 => Just(INLINE_VALUE_BYTES_MAX), 1 => 200usize..900];
    (length, any::<u8>()).prop_map(|(length, byte)| vec![byte; length])
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        12 => (key(), value()).prop_map(|(key, value)| Operation::Put(key, value)),
        4 => key().prop_map(Operation::Remove),
        1 => (0usize..3000).prop_map(Operation::Copy),
        1 => Just(Operation::Pack),
    ]
}

fn check(node: &Node, model: &BTreeMap<Vec<u8>, Vec<u8>>) {
    assert_eq!(node.len(), model.len());
    let mut joined = node.prefix().to_vec();
    let prefix = joined.len();
    for (index, (key, value)) in model.iter().enumerate() {
        assert_eq!(node.search(key), Ok(index));
        assert_eq!(node.key(index).to_vec(), *key);
        joined.truncate(prefix);
        node.append_remainder(index, &mut joined);
        assert_eq!(joined, *key);
        assert_eq!(node.value(index), Value::Inline(value));
        let mut longer = key.clone();
        longer.push(0);
        if !model.contains_key(&longer) {
            assert_eq!(node.search(&longer), Err(index + 1));
        }
        let shorter = &key[..key.len().saturating_sub(1)];
        let expected = model.keys().take_while(|key| key[..] < *shorter).count();
        assert_eq!(node.search(shorter).unwrap_or_else(|at| at), expected);
    }
    let living: usize = node.cells().map(|cell| cell.footprint(node.prefix_len())).sum();
    assert_eq!(node.used_bytes(), super::NODE_HEADER_BYTES + node.prefix_len() + living);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn leaf_agrees_with_a_map(operations in prop::collection::vec(operation(), 1..120)) {
        let mut node = Node::empty(0);
        let mut model = BTreeMap::new();
        for operation in operations {
            match operation {
                Operation::Put(key, value) => {
                    let before = node.clone();
                    let at = match node.search(&key) {
                        Ok(at) if node.overwrite(at, &value) => {
                            model.insert(key, value);
                            continue;
                        }
                        Ok(at) => {
                            node.remove(at);
                            model.remove(&key);
                            at
                        }
                        Err(at) => at,
                    };
                    if node.insert(at, Cell::entry(&key, Value::Inline(&value))) {
                        model.insert(key, value);
                    } else {
                        let mut cells: Vec<Cell<'_>> = node.cells().collect();
                        cells.insert(at, Cell::entry(&key, Value::Inline(&value)));
                        prop_assert!(super::Plan::new(0, &cells).bytes() > NODE_BODY_BYTES_MAX);
                        prop_assert!(before.len() == node.len() || before.len() == node.len() + 1);
                    }
                }
                Operation::Remove(key) => {
                    let found = node.search(&key);
                    prop_assert_eq!(found.is_ok(), model.remove(&key).is_some());
                    if let Ok(at) = found {
                        node.remove(at);
                    }
                }
                Operation::Copy(room) => node = node.writable_copy(room),
                Operation::Pack => node = node.packed(),
            }
            prop_assert!(node.used_bytes() <= NODE_BODY_BYTES_MAX);
        }
        check(&node, &model);
        if !model.is_empty() {
            let stored = node.packed();
            check(&stored, &model);
            prop_assert_eq!(open_stored(stored.body().to_vec()), Ok(stored));
        }
    }

    #[test]
    fn branch_agrees_with_a_list(keys in prop::collection::btree_set(key(), 1..12), removed in any::<prop::sample::Index>(), probes in prop::collection::vec(key(), 20)) {
        let mut list: Vec<(Vec<u8>, Child)> = Vec::new();
        let mut node = Node::empty(3);
        for (number, key) in (0u16..).zip(keys) {
            let page = PageRef::page(PageId::new(SizeClass::fitting(8192).unwrap(), 7, number), false);
            let child = Child { page, count: u64::from(number) * 1000 + 1 };
            if !node.insert(list.len(), Cell::child(&key, child)) {
                break;
            }
            list.push((key, child));
        }
        for _ in 0..2 {
            for probe in &probes {
                let expected = list[1..].iter().take_while(|(key, _)| key <= probe).count();
                prop_assert_eq!(node.child_index(probe), expected);
            }
            let mut before = 0;
            for (index, (_, child)) in list.iter().enumerate() {
                prop_assert_eq!(node.child(index), *child);
                prop_assert_eq!(node.count_before(index), before);
                prop_assert_eq!(node.child_of_rank(before), Some((index, 0)));
                prop_assert_eq!(node.child_of_rank(before + child.count - 1), Some((index, child.count - 1)));
                before += child.count;
            }
            prop_assert_eq!(node.total(), before);
            prop_assert_eq!(node.child_of_rank(before), None);
            let stored = node.packed();
            prop_assert_eq!(open_stored(stored.body().to_vec()), Ok(stored));
            if list.len() > 1 {
                let at = removed.index(list.len());
                node.remove(at);
                list.remove(at);
            }
        }
    }
}

/// What an entry of 16 bytes of key and 200 of value takes, with a byte in common as in a tree of a million.
#[test]
fn entries_take_no_more_than_in_the_first_format() {
    let keys: Vec<[u8; 16]> =
        (0..30u8).map(|number| [&[7, number * 8][..], &[number; 14]].concat().try_into().unwrap()).collect();
    let cells: Vec<Cell<'_>> = keys.iter().map(|key| Cell::entry(key, Value::Inline(&[1; 200]))).collect();
    let node = Node::of_cells(0, &cells);
    assert!(node.used_bytes() <= 8 + 30 * 222, "{}", node.used_bytes());
    let keys: Vec<Vec<u8>> = (0..100u8).map(|number| [&[7; 60][..], &[number; 16]].concat()).collect();
    let cells: Vec<Cell<'_>> = keys.iter().map(|key| Cell::entry(key, Value::Inline(b""))).collect();
    assert!(Node::of_cells(0, &cells).used_bytes() <= 12 + 60 + 100 * 22);
}
