//! Inserts of the same keys by everybody.

use std::cell::{Cell, RefCell};

use photondb_runtime::network::LocalFuture;
use serde_json::{Value, json};

use super::insisting::{insist, insist_on_table};
use super::{ClusterWorkload, Found};
use crate::checker::Violation;
use crate::checker::unique_inserts::{InsertInput, InsertOutput, check};
use crate::client::{Client, Failure};
use crate::ledger::{Call, Ledger};
use crate::random::Random;
use crate::term::{self, Term};

const TABLE: &str = "unique_inserts";

/// The workload.
pub struct UniqueInserts {
    /// How many keys are contested at a time; they move on, so that there is always something to win.
    window: u64,
    ledger: RefCell<Ledger<(u64, InsertInput), InsertOutput>>,
    first_key: Cell<u64>,
    next_value: Cell<i64>,
    found: Found,
}

impl UniqueInserts {
    /// With so many keys contested at a time.
    pub fn new(window: u64) -> UniqueInserts {
        UniqueInserts {
            window,
            ledger: RefCell::default(),
            first_key: Cell::new(0),
            next_value: Cell::new(0),
            found: Found::default(),
        }
    }

    async fn ask(&self, client: &mut Client, key: u64, input: InsertInput) -> bool {
        let id = self.ledger.borrow_mut().begin(client.id, client.now(), (key, input));
        let heard = client.query(&query(key, input)).await;
        let result = self.ledger.borrow_mut().heard(id, &heard, |answer| output(input, &answer.clone().into_value()));
        if let Err(answer) = result {
            self.found.strange(format_args!("{input:?} of {key} was answered {answer:?}"));
        }
        heard.is_ok()
    }
}

fn query(key: u64, input: InsertInput) -> Term {
    match input {
        InsertInput::Read => term::get(term::table(TABLE), key),
        InsertInput::Insert(value) => {
            term::insert(term::table(TABLE), json!({ "id": key, "v": value }), "error", false)
        }
    }
}

fn output(input: InsertInput, answer: &Value) -> Option<InsertOutput> {
    match input {
        InsertInput::Read if answer.is_null() => Some(InsertOutput::Found(None)),
        InsertInput::Read => answer["v"].as_i64().map(|value| InsertOutput::Found(Some(value))),
        InsertInput::Insert(_) if answer["inserted"] == 1 => Some(InsertOutput::Inserted),
        InsertInput::Insert(_) => {
            let reason = answer["first_error"].as_str()?;
            (answer["errors"] == 1 && reason.starts_with("Duplicate primary key")).then_some(InsertOutput::Refused)
        }
    }
}

impl ClusterWorkload for UniqueInserts {
    fn name(&self) -> &'static str {
        "unique_inserts"
    }

    fn setup<'a>(&'a self, client: &'a mut Client) -> LocalFuture<'a, Result<(), Failure>> {
        Box::pin(insist_on_table(client, TABLE))
    }

    fn step<'a>(&'a self, client: &'a mut Client, random: &'a mut Random) -> LocalFuture<'a, ()> {
        Box::pin(async move {
            if random.once_in(2 * self.window) {
                self.first_key.set(self.first_key.get() + self.window);
            }
            let input = if random.once_in(3) {
                InsertInput::Read
            } else {
                InsertInput::Insert(self.next_value.replace(self.next_value.get() + 1))
            };
            // Some reads look back at what was won long ago.
            let from = self.first_key.get();
            let key = match input {
                InsertInput::Read if random.once_in(2) => random.below(from + self.window),
                _ => from + random.below(self.window),
            };
            self.ask(client, key, input).await;
        })
    }

    fn finish<'a>(&'a self, client: &'a mut Client) -> LocalFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            for key in 0..self.first_key.get() + self.window {
                while !self.ask(client, key, InsertInput::Read).await {
                    insist(client, &query(key, InsertInput::Read)).await?;
                }
            }
            Ok(())
        })
    }

    fn check(&self, _: &mut u64) -> Vec<Violation> {
        let mut all = self.found.all();
        let ledger = self.ledger.borrow();
        let mut by_key = std::collections::BTreeMap::<u64, Vec<Call<InsertInput, InsertOutput>>>::new();
        for call in ledger.calls() {
            let Call { client, at, began, ended, fate, .. } = call.clone();
            let (key, input) = call.input;
            by_key.entry(key).or_default().push(Call { client, input, at, began, ended, fate });
        }
        for (key, calls) in by_key {
            all.extend(check(key, &calls.iter().collect::<Vec<_>>()).err());
        }
        all
    }
}
