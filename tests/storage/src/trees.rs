//! What the trees of one group must hold, in plain maps; and the comparison with what they do.

use std::collections::BTreeMap;

use bytes::Bytes;
use photondb_storage::{Direction, Fill, KeyRange, Snapshot, StorageError, Transaction, TreeId};

use crate::effect::{Effect, Key, load};
use crate::random::Random;

/// Trees by number, each with its entries.
pub type Trees = BTreeMap<u32, BTreeMap<Key, Bytes>>;

/// Does to the model what an entry does.
pub fn apply_to_model(trees: &mut Trees, effects: &[Effect]) {
    for effect in effects {
        match effect {
            Effect::Put { tree, key, value } => {
                trees.entry(*tree).or_default().insert(key.clone(), value.clone());
            }
            Effect::Delete { tree, key } => {
                trees.get_mut(tree).map(|tree| tree.remove(key));
            }
            Effect::DropTree { tree } => {
                trees.remove(tree);
            }
            Effect::Cut { tree, key, into } if !trees.contains_key(into) => {
                let cut = trees.get_mut(tree).map(|tree| tree.split_off(key));
                trees.extend(cut.map(|cut| (*into, cut)));
            }
            Effect::Join { left, right } => join_in_model(trees, *left, *right),
            Effect::Load { tree, what } => {
                let (tree, entries) = (trees.entry(*tree).or_default(), load(*what));
                if tree.last_key_value().is_none_or(|(last, _)| *last < entries[0].0) {
                    tree.extend(entries);
                }
            }
            Effect::Cut { .. } => {}
        }
    }
}

fn join_in_model(trees: &mut Trees, left: u32, right: u32) {
    let (Some(before), Some(behind)) = (trees.get(&left), trees.get(&right)) else { return };
    let apart = match (before.last_key_value(), behind.first_key_value()) {
        (Some((last, _)), Some((first, _))) => last < first,
        _ => true,
    };
    if left != right && apart {
        let behind = trees.remove(&right).unwrap_or_default();
        trees.entry(left).or_default().extend(behind);
    }
}

/// Does the same to the trees.
pub fn apply_to_store(transaction: &mut Transaction, effects: &[Effect]) -> Result<(), StorageError> {
    for effect in effects {
        match effect {
            Effect::Put { tree, key, value } => {
                if !transaction.has_tree(TreeId(*tree)) {
                    transaction.create_tree(TreeId(*tree))?;
                }
                transaction.put(TreeId(*tree), key, value)?;
            }
            Effect::Delete { tree, key } if transaction.has_tree(TreeId(*tree)) => {
                transaction.delete(TreeId(*tree), key)?;
            }
            Effect::DropTree { tree } if transaction.has_tree(TreeId(*tree)) => {
                transaction.drop_tree(TreeId(*tree))?;
            }
            Effect::Cut { tree, key, into }
                if transaction.has_tree(TreeId(*tree)) && !transaction.has_tree(TreeId(*into)) =>
            {
                transaction.split_tree(TreeId(*tree), key, TreeId(*into))?;
            }
            Effect::Join { left, right }
                if transaction.has_tree(TreeId(*left)) && transaction.has_tree(TreeId(*right)) =>
            {
                match transaction.join_trees(TreeId(*left), TreeId(*right)) {
                    Ok(()) | Err(StorageError::TreesOverlap { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            Effect::Load { tree, what } => load_into_store(transaction, TreeId(*tree), *what)?,
            Effect::Delete { .. } | Effect::DropTree { .. } | Effect::Cut { .. } | Effect::Join { .. } => {}
        }
    }
    Ok(())
}

fn load_into_store(transaction: &mut Transaction, tree: TreeId, what: u32) -> Result<(), StorageError> {
    if !transaction.has_tree(tree) {
        transaction.create_tree(tree)?;
    }
    let entries = load(what);
    let mut backward = transaction.cursor(tree, KeyRange::all(), Direction::Backward)?;
    let is_behind = backward.next()?.is_none_or(|(last, _)| *last < entries[0].0[..]);
    drop(backward);
    if is_behind {
        transaction.bulk_load(tree, entries, Fill::FULL)?;
    }
    Ok(())
}

/// A difference, in words, or what kept it from being looked for.
pub enum Difference {
    /// The trees hold something else.
    Wrong(String),
    /// They could not be read.
    Unread(StorageError),
}

impl From<StorageError> for Difference {
    fn from(error: StorageError) -> Self {
        Difference::Unread(error)
    }
}

fn wrong(what: impl Into<String>) -> Result<(), Difference> {
    Err(Difference::Wrong(what.into()))
}

/// Compares everything.
pub fn compare(snapshot: &Snapshot, expected: &Trees) -> Result<(), Difference> {
    let names: Vec<u32> = snapshot.trees().iter().map(|tree| tree.0).collect();
    let expected_names: Vec<u32> = expected.keys().copied().collect();
    if names != expected_names {
        return wrong(format!("the trees are {names:?}, not {expected_names:?}"));
    }
    for (number, tree) in expected {
        let id = TreeId(*number);
        let count = snapshot.count(id, &KeyRange::all())?;
        let mut cursor = snapshot.cursor(id, KeyRange::all(), Direction::Forward)?;
        for (key, value) in tree {
            match cursor.next()? {
                Some((found, held)) if *found == key[..] && *held == value[..] => {}
                Some((found, held)) => {
                    let (found, held) = (found.escape_ascii().to_string(), held.len());
                    let (key, length) = (key.escape_ascii(), value.len());
                    return wrong(format!(
                        "tree {number} has {found} with {held} bytes where {key} with {length} bytes belongs"
                    ));
                }
                None => return wrong(format!("tree {number} ends before {}", key.escape_ascii())),
            }
        }
        if cursor.next()?.is_some() {
            return wrong(format!("tree {number} has more than its {} entries", tree.len()));
        }
        if count != tree.len() as u64 {
            return wrong(format!("tree {number} says {count} entries and has {}", tree.len()));
        }
    }
    Ok(())
}

/// Compares a few answers.
pub fn probe(snapshot: &Snapshot, expected: &Trees, random: &mut Random) -> Result<(), Difference> {
    for (number, tree) in expected {
        let id = TreeId(*number);
        if tree.is_empty() {
            continue;
        }
        let at = random.below(tree.len() as u64);
        let (key, value) = tree.iter().nth(at as usize).expect("there are so many entries");
        if snapshot.get(id, key)?.as_ref() != Some(value) {
            return wrong(format!("tree {number} has another value at {}", key.escape_ascii()));
        }
        if snapshot.get(id, b"never put")?.is_some() {
            return wrong(format!("tree {number} has a key that nobody put"));
        }
        match snapshot.nth(id, &KeyRange::all(), at)? {
            Some((found, held)) if found == *key && held == *value => {}
            _ => return wrong(format!("entry {at} of tree {number} is not {}", key.escape_ascii())),
        }
        probe_range(snapshot, *number, tree, random)?;
    }
    Ok(())
}

/// Counts a range, takes an entry of it by its number, and reads some of it in both directions.
fn probe_range(
    snapshot: &Snapshot,
    number: u32,
    tree: &BTreeMap<Key, Bytes>,
    random: &mut Random,
) -> Result<(), Difference> {
    let id = TreeId(number);
    let mut bound = || tree.keys().nth(random.below(tree.len() as u64) as usize).expect("there are so many").clone();
    let (a, b) = (bound(), bound());
    let (start, end) = if a <= b { (a, b) } else { (b, a) };
    let range = KeyRange::half_open(start.clone(), end.clone());
    let expected: Vec<_> = tree.range(start..end).collect();
    let count = snapshot.count(id, &range)?;
    if count != expected.len() as u64 {
        return wrong(format!("tree {number} counts {count} entries where {} are", expected.len()));
    }
    let at = random.below(count + 1);
    let found = snapshot.nth(id, &range, at)?;
    if found.as_ref().map(|(key, value)| (key, value)) != expected.get(at as usize).copied() {
        return wrong(format!("entry {at} of a range of tree {number} is another"));
    }
    let read = |direction, expected: &mut dyn Iterator<Item = (&Key, &Bytes)>| {
        let mut cursor = snapshot.cursor(id, range.clone(), direction)?;
        for _ in 0..40 {
            let (found, expected) = (cursor.next()?, expected.next());
            if found.as_ref().map(|(key, value)| (key, value)) != expected {
                let at = expected.map(|(key, _)| key.escape_ascii().to_string());
                return wrong(format!("a range of tree {number} read {direction:?} differs at {at:?}"));
            }
            if expected.is_none() {
                break;
            }
        }
        Ok(())
    };
    read(Direction::Forward, &mut expected.iter().copied())?;
    read(Direction::Backward, &mut expected.iter().rev().copied())
}
