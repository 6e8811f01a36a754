//! A subscription gives every change of every document once, in order, and nothing else.

use std::collections::BTreeMap;

use crate::checker::Violation;
use crate::history::{Action, History, Key, Operation, Outcome, Value};

/// One change as a subscriber got it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedChange {
    /// Of which document.
    pub key: Key,
    /// Before.
    pub old: Value,
    /// After.
    pub new: Value,
    /// In which entry of the shard's log.
    pub position: u64,
}

/// Everything one subscriber knows.
#[derive(Clone, Debug, Default)]
pub struct Feed {
    /// The node's life it belongs to.
    pub life: u64,
    /// When it began.
    pub began: u64,
    /// What the documents were then, if nothing was written meanwhile.
    pub initial: Option<BTreeMap<Key, Value>>,
    /// What came.
    pub changes: Vec<FeedChange>,
    /// What the documents were when nothing was written any more.
    pub last: Option<BTreeMap<Key, Value>>,
}

const PROPERTY: &str = "feed is complete";

impl Feed {
    /// What must hold at any time: each change follows the last one of its document, and somebody asked for it.
    pub fn check_progress(&self, history: &History) -> Result<(), Violation> {
        self.follows(history).map(drop).map_err(|evidence| Violation { property: PROPERTY, evidence })
    }

    /// What must hold besides when everything has arrived.
    pub fn check_end(&self, history: &History) -> Result<(), Violation> {
        let check = || -> Result<(), String> {
            let documents = self.follows(history)?;
            if let Some(last) = &self.last {
                for (key, value) in &documents {
                    let read = last.get(key);
                    if read != Some(value) {
                        return Err(format!("document {key} is {read:?}, but the feed ended with {value:?}"));
                    }
                }
            }
            self.holds_everything_acknowledged(history)
        };
        check().map_err(|evidence| Violation { property: PROPERTY, evidence })
    }

    /// Gives what each document is after the changes.
    fn follows(&self, history: &History) -> Result<BTreeMap<Key, Value>, String> {
        let mut documents = self.initial.clone().unwrap_or_default();
        let mut position = 0;
        for change in &self.changes {
            let before = documents.insert(change.key, change.new);
            if before.is_some_and(|before| before != change.old) {
                return Err(format!("{change:?} follows {before:?}"));
            }
            if change.position < position {
                return Err(format!("{change:?} comes after position {position}"));
            }
            position = change.position;
        }
        if let Some(last) = self.changes.last()
            && !history.operations().iter().rev().any(|operation| self.may_be(operation, last))
        {
            return Err(format!("nobody asked for {last:?}"));
        }
        Ok(documents)
    }

    fn may_be(&self, operation: &Operation, change: &FeedChange) -> bool {
        if operation.key != change.key || operation.life != self.life || operation.action == Action::Read {
            return false;
        }
        match operation.outcome {
            Some(Outcome::Unknown) | None => operation.action.step(change.old).0 == change.new,
            _ => operation.acknowledged() == Some((change.old, change.new)),
        }
    }

    fn holds_everything_acknowledged(&self, history: &History) -> Result<(), String> {
        let mut unmatched: BTreeMap<(Key, Value, Value), i64> = BTreeMap::new();
        for change in &self.changes {
            *unmatched.entry((change.key, change.old, change.new)).or_default() += 1;
        }
        for operation in history.operations() {
            let Some((old, new)) = operation.acknowledged() else { continue };
            if operation.life != self.life || operation.began < self.began {
                continue;
            }
            let left = unmatched.entry((operation.key, old, new)).or_default();
            *left -= 1;
            if *left < 0 {
                return Err(format!("{operation:?} is missing"));
            }
        }
        // More than was acknowledged can only come from those whose answer did not come.
        for ((key, old, new), _) in unmatched.into_iter().filter(|(_, left)| *left > 0) {
            let change = FeedChange { key, old, new, position: 0 };
            let explained = |operation: &Operation| {
                operation.acknowledged().is_none_or(|_| operation.began < self.began) && self.may_be(operation, &change)
            };
            if !history.operations().iter().any(explained) {
                return Err(format!("the change of {key} from {old:?} to {new:?} came too often"));
            }
        }
        Ok(())
    }
}
