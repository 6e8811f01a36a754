//! What is asked for.

use clap::ValueEnum;
use photondb_reql::term::TermKind;
use serde_json::{Map, Value, json};

use crate::client::Client;
use crate::failure::Failure;
use crate::limits::BENCH_BATCH_DOCUMENTS;
use crate::term::{TableName, array, call, call_with, database, function};

/// The fields of the documents of all workloads.
const FIELDS: [&str; 3] = ["id", "text", "changed"];

/// Of ten operations of `mixed` so many change a document.
const UPDATES_IN_TEN: u64 = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Workload {
    /// Documents by their key.
    Get,
    /// New documents.
    Insert,
    /// Nine times out of ten a document by its key, once a change of one.
    Mixed,
}

impl Workload {
    pub fn name(self) -> &'static str {
        match self {
            Workload::Get => "get",
            Workload::Insert => "insert",
            Workload::Mixed => "mixed",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Get,
    Insert,
    Update,
}

impl Operation {
    pub const ALL: [Operation; 3] = [Operation::Get, Operation::Insert, Operation::Update];

    pub fn name(self) -> &'static str {
        match self {
            Operation::Get => "get",
            Operation::Insert => "insert",
            Operation::Update => "update",
        }
    }
}

/// Something for each kind of operation.
#[derive(Clone, Debug, Default)]
pub struct Load<T>([T; 3]);

impl<T> Load<T> {
    pub fn of(&mut self, kind: Operation) -> &mut T {
        &mut self.0[kind as usize]
    }

    pub fn get(&self, kind: Operation) -> &T {
        &self.0[kind as usize]
    }
}

/// On what.
#[derive(Clone, Debug)]
pub struct Plan {
    pub table: TableName,
    pub documents: u64,
    pub document_bytes: u32,
}

impl Plan {
    /// What one connection asks for, one after the other.
    pub fn operations(&self, workload: Workload, connection: u64) -> Operations<'_> {
        Operations { plan: self, workload, state: connection.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) }
    }

    fn text(&self) -> String {
        "x".repeat(self.document_bytes as usize)
    }

    fn document(&self, number: u64) -> Value {
        call(TermKind::Get, [self.table.term(), number.into()])
    }
}

/// An endless sequence of operations, the same for the same connection each time.
pub struct Operations<'a> {
    plan: &'a Plan,
    workload: Workload,
    state: u64,
}

impl Operations<'_> {
    /// The next operation, and its message.
    pub fn next_message(&mut self) -> (Operation, String) {
        let number = self.draw() % self.plan.documents;
        let changes = self.draw() % 10 < UPDATES_IN_TEN;
        let kind = match self.workload {
            Workload::Get => Operation::Get,
            Workload::Insert => Operation::Insert,
            Workload::Mixed if changes => Operation::Update,
            Workload::Mixed => Operation::Get,
        };
        let term = match kind {
            Operation::Get => self.plan.document(number),
            Operation::Insert => call(TermKind::Insert, [self.plan.table.term(), json!({ "text": self.plan.text() })]),
            Operation::Update => {
                let changed = json!({ "changed": self.draw() >> 12 });
                call(TermKind::Update, [self.plan.document(number), changed])
            }
        };
        (kind, json!([1, term]).to_string())
    }

    /// A generator of numbers (splitmix64).
    fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// Makes the table if it is not there. Gives whether it was. Errors: it was, and may not be used.
pub fn make_table(plan: &Plan, keep: bool, client: &Client) -> Result<bool, Failure> {
    let tables = client.value(&call(TermKind::TableList, [database(&plan.table.database)]))?;
    let was_there =
        tables.as_array().is_some_and(|tables| tables.iter().any(|name| *name == plan.table.table.as_str()));
    if was_there && !keep {
        return Err(Failure::Usage(
            "the table is there already and would be dropped at the end: name another one (--table), or keep it (--keep)",
        ));
    }
    if !was_there {
        client
            .value(&call(TermKind::TableCreate, [database(&plan.table.database), plan.table.table.as_str().into()]))?;
    }
    if was_there && !is_ours(plan, client)? {
        return Err(Failure::Usage(
            "the table holds documents that no bench has made, which a load would change: name another one (--table)",
        ));
    }
    Ok(was_there)
}

/// Whether every document of the table has the fields of ours, and no others.
fn is_ours(plan: &Plan, client: &Client) -> Result<bool, Failure> {
    client.value(&call(TermKind::Wait, [plan.table.term()]))?;
    let fields = call(TermKind::Keys, [call(TermKind::Var, [1.into()])]);
    let known = array(FIELDS.iter().map(|field| Value::from(*field)).collect());
    let others = call(TermKind::SetDifference, [fields, known]);
    let is_strange = call(TermKind::Not, [call(TermKind::IsEmpty, [others])]);
    let strange = call(TermKind::Filter, [plan.table.term(), function(&[1], is_strange)]);
    Ok(client.value(&call(TermKind::IsEmpty, [strange]))? == true)
}

/// Writes the documents.
pub fn fill(plan: &Plan, client: &Client) -> Result<(), Failure> {
    client.value(&call(TermKind::Wait, [plan.table.term()]))?;
    let mut first = 0;
    while first < plan.documents {
        let end = (first + BENCH_BATCH_DOCUMENTS).min(plan.documents);
        client.write(&insert(plan, first, end))?;
        first = end;
    }
    Ok(())
}

/// The documents from one number to before another, made by the node.
fn insert(plan: &Plan, first: u64, end: u64) -> Value {
    let numbers = call(TermKind::Range, [first.into(), end.into()]);
    let document = json!({ "id": call(TermKind::Var, [1.into()]), "text": plan.text() });
    let documents = call(TermKind::Map, [numbers, function(&[1], document)]);
    let documents = call(TermKind::CoerceTo, [documents, "array".into()]);
    let options = Map::from_iter([("conflict".to_owned(), "replace".into()), ("durability".to_owned(), "soft".into())]);
    call_with(TermKind::Insert, vec![plan.table.term(), documents], options)
}

pub fn clean_up(plan: &Plan, client: &Client) -> Result<(), Failure> {
    client
        .value(&call(TermKind::TableDrop, [database(&plan.table.database), plan.table.table.as_str().into()]))
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        Plan { table: "t".parse().unwrap(), documents: 100, document_bytes: 3 }
    }

    #[test]
    fn operations_are_those_of_the_workload() {
        let plan = plan();
        let count = |workload: Workload, kind: Operation| {
            let mut operations = plan.operations(workload, 1);
            (0..1000).filter(|_| operations.next_message().0 == kind).count()
        };
        assert_eq!(count(Workload::Get, Operation::Get), 1000);
        assert_eq!(count(Workload::Insert, Operation::Insert), 1000);
        let updates = count(Workload::Mixed, Operation::Update);
        assert!((50..200).contains(&updates), "{updates}");
        assert_eq!(count(Workload::Mixed, Operation::Get), 1000 - updates);
        let mut inserts = plan.operations(Workload::Insert, 1);
        assert_eq!(inserts.next_message().1, r#"[1,[56,[[15,[[14,["test"]],"t"]],{"text":"xxx"}]]]"#);
    }

    #[test]
    fn connections_ask_for_different_documents_that_are_there() {
        let plan = plan();
        let messages = |connection: u64| {
            let mut operations = plan.operations(Workload::Get, connection);
            (0..20).map(|_| operations.next_message().1).collect::<Vec<_>>()
        };
        assert_eq!(messages(1), messages(1));
        assert_ne!(messages(1), messages(2));
        for message in messages(3) {
            let message: Value = serde_json::from_str(&message).unwrap();
            assert!(message[1][1][1].as_u64().unwrap() < 100, "{message}");
        }
    }

    #[test]
    fn documents_are_made_by_the_node() {
        let expected = json!([56, [[15, [[14, ["test"]], "t"]],
            [51, [[38, [[173, [0, 10]], [69, [[2, [1]], {"id": [10, [1]], "text": "xxx"}]]]], "array"]]],
            {"conflict": "replace", "durability": "soft"}]);
        assert_eq!(insert(&plan(), 0, 10), expected);
    }
}
