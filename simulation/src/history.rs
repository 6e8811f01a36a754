//! What clients saw: every operation, when it began and ended, and how.
//!
//! "When" is a place in the order of all beginnings and ends. A run has one thread, so that order is the real one, and it
//! is finer than virtual time.

/// The primary key of a document.
pub type Key = u64;

/// What a document holds, as far as the checkers go: the number in its field `n`; `None`: there is no document.
pub type Value = Option<i64>;

/// What a client asks of one document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// `get`.
    Read,
    /// `insert`, refused when there is a document.
    Insert(i64),
    /// `insert` with `conflict: "replace"`.
    Put(i64),
    /// `update`; nothing happens when there is no document.
    Update(i64),
    /// `update` by a function that adds one.
    Increment,
    /// `delete`.
    Delete,
}

/// How an operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// What was read.
    Found(Value),
    /// What the document was before and after.
    Changed {
        /// Before.
        old: Value,
        /// After.
        new: Value,
    },
    /// The document was there already.
    Refused,
    /// The node said that certainly nothing happened.
    Failed,
    /// The answer never came, or said that it is not known.
    Unknown,
}

impl Action {
    /// What the action does to a document, and what it answers.
    pub fn step(self, old: Value) -> (Value, Outcome) {
        let new = match (self, old) {
            (Action::Read, _) => return (old, Outcome::Found(old)),
            (Action::Insert(_), Some(_)) => return (old, Outcome::Refused),
            (Action::Insert(value) | Action::Put(value), _) | (Action::Update(value), Some(_)) => Some(value),
            (Action::Increment, Some(value)) => Some(value + 1),
            (Action::Update(_) | Action::Increment, None) | (Action::Delete, _) => None,
        };
        (new, Outcome::Changed { old, new })
    }
}

/// One operation of one client.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Who.
    pub client: u64,
    /// In which life of the node.
    pub life: u64,
    /// On what.
    pub key: Key,
    /// What.
    pub action: Action,
    /// Its beginning.
    pub began: u64,
    /// Its end; of an unknown outcome: the latest moment at which it can have taken effect.
    pub ended: Option<u64>,
    /// `None`: it goes on.
    pub outcome: Option<Outcome>,
}

impl Operation {
    /// What an acknowledged write changed.
    pub fn acknowledged(&self) -> Option<(Value, Value)> {
        match self.outcome {
            Some(Outcome::Changed { old, new }) if old != new => Some((old, new)),
            _ => None,
        }
    }
}

/// Names an operation of a history.
#[derive(Clone, Copy, Debug)]
pub struct OperationId(usize);

/// All operations of a run.
#[derive(Debug, Default)]
pub struct History {
    operations: Vec<Operation>,
    moments: u64,
    values: i64,
    /// Operations before this one are settled.
    settled: usize,
}

impl History {
    /// A value that no operation has written.
    pub fn fresh_value(&mut self) -> i64 {
        // Far apart, so that increments of one value never meet another.
        self.values += 1_000_000;
        self.values
    }

    /// A moment of its own.
    pub fn moment(&mut self) -> u64 {
        self.moments += 1;
        self.moments
    }

    /// A client asks.
    pub fn begin(&mut self, client: u64, life: u64, key: Key, action: Action) -> OperationId {
        let began = self.moment();
        self.operations.push(Operation { client, life, key, action, began, ended: None, outcome: None });
        OperationId(self.operations.len() - 1)
    }

    /// The client has its answer.
    pub fn end(&mut self, id: OperationId, outcome: Outcome) {
        let ended = self.moment();
        let operation = &mut self.operations[id.0];
        operation.outcome = Some(outcome);
        operation.ended = (outcome != Outcome::Unknown).then_some(ended);
    }

    /// The node of earlier operations is gone, and its successor has shown what it holds: what has not taken effect by now
    /// never will.
    pub fn settle(&mut self) {
        let ended = self.moment();
        for operation in &mut self.operations[self.settled..] {
            operation.outcome.get_or_insert(Outcome::Unknown);
            operation.ended.get_or_insert(ended);
        }
        self.settled = self.operations.len();
    }

    /// All of them, in the order of their beginnings.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// How many ended so.
    pub fn count(&self, wanted: impl Fn(&Outcome) -> bool) -> u64 {
        self.operations.iter().filter(|operation| operation.outcome.as_ref().is_some_and(&wanted)).count() as u64
    }
}
