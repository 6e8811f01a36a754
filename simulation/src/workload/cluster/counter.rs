//! One document that everybody increments and reads, while an index of its table comes and goes.

use std::cell::RefCell;

use photondb_runtime::network::LocalFuture;
use serde_json::{Value, json};

use super::insisting::{insist, insist_on_table, insist_to_write};
use super::{ClusterWorkload, Found};
use crate::checker::Violation;
use crate::checker::counter::{CounterInput, check};
use crate::client::{Client, Failure};
use crate::ledger::Ledger;
use crate::random::Random;
use crate::term::{self, Term, add, call, field, func, number, var};

const TABLE: &str = "counter";

/// An index that comes and goes.
const INDEX: &str = "n";

/// A step in so many changes the schema as well.
const SCHEMA_CHANGES_ONE_OF: u64 = 30;

/// The workload.
#[derive(Default)]
pub struct Counter {
    ledger: RefCell<Ledger<CounterInput, u64>>,
    found: Found,
}

impl Counter {
    async fn ask(&self, client: &mut Client, input: CounterInput) -> bool {
        let id = self.ledger.borrow_mut().begin(client.id, client.now(), input);
        let heard = client.query(&query(input)).await;
        let result = self.ledger.borrow_mut().heard(id, &heard, |answer| value(input, &answer.clone().into_value()));
        if let Err(answer) = result {
            self.found.strange(format_args!("{input:?} was answered {answer:?}"));
        }
        heard.is_ok()
    }
}

/// Whatever becomes of it: entries that were evaluated before are skipped, and must not be counted.
async fn change_schema(client: &mut Client, random: &mut Random) {
    let table = term::table(TABLE);
    let change = match random.once_in(2) {
        true => term::index_create(table, INDEX),
        false => call(number::INDEX_DROP, [table, json!(INDEX)]),
    };
    drop(client.query(&change).await);
}

fn query(input: CounterInput) -> Term {
    let document = term::get(term::table(TABLE), 0);
    match input {
        CounterInput::Read => document,
        CounterInput::Increment => term::update(document, func(&[1], json!({ "n": add(field(var(1), "n"), 1) })), true),
    }
}

fn value(input: CounterInput, answer: &Value) -> Option<u64> {
    match input {
        CounterInput::Read => answer["n"].as_u64(),
        CounterInput::Increment if answer["replaced"] == 1 => answer["changes"][0]["new_val"]["n"].as_u64(),
        CounterInput::Increment => None,
    }
}

impl ClusterWorkload for Counter {
    fn name(&self) -> &'static str {
        "counter"
    }

    fn setup<'a>(&'a self, client: &'a mut Client) -> LocalFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            insist_on_table(client, TABLE).await?;
            let document = json!({ "id": 0, "n": 0 });
            insist_to_write(client, &term::insert(term::table(TABLE), document, "replace", false)).await
        })
    }

    fn step<'a>(&'a self, client: &'a mut Client, random: &'a mut Random) -> LocalFuture<'a, ()> {
        let changes_schema = random.once_in(SCHEMA_CHANGES_ONE_OF);
        let input = if random.once_in(4) { CounterInput::Read } else { CounterInput::Increment };
        Box::pin(async move {
            if changes_schema {
                change_schema(client, random).await;
            }
            self.ask(client, input).await;
        })
    }

    fn finish<'a>(&'a self, client: &'a mut Client) -> LocalFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            while !self.ask(client, CounterInput::Read).await {
                insist(client, &query(CounterInput::Read)).await?;
            }
            Ok(())
        })
    }

    fn check(&self, _: &mut u64) -> Vec<Violation> {
        self.found.all().into_iter().chain(check(self.ledger.borrow().calls()).err()).collect()
    }
}
