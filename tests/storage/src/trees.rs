//! What the trees of one group must hold, in plain maps; and the comparison with what they do.

use std::collections::BTreeMap;

use bytes::Bytes;
use photondb_storage::{Direction, KeyRange, Snapshot, StorageError, Transaction, TreeId};

use crate::effect::{Effect, Key};
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
        }
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
            Effect::Delete { .. } | Effect::DropTree { .. } => {}
        }
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
        let mut cursor = snapshot.cursor(id, KeyRange::all(), Direction::Backward)?;
        for (key, value) in tree.iter().rev().take(3) {
            match cursor.next()? {
                Some((found, held)) if *found == key[..] && *held == value[..] => {}
                _ => return wrong(format!("tree {number} read backward lacks {}", key.escape_ascii())),
            }
        }
    }
    Ok(())
}
