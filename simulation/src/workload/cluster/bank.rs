//! Transfers between accounts that stand in one document, and reads of all of them.

use std::cell::Cell;

use photondb_runtime::network::LocalFuture;
use serde_json::{Value, json};

use super::insisting::{insist, insist_on_table, insist_to_write};
use super::{ClusterWorkload, Found};
use crate::checker::Violation;
use crate::checker::bank::{Accounts, check};
use crate::client::{Client, Failure};
use crate::random::Random;
use crate::term::{self, Term, add, branch, field, func, ge, sub, var};

const TABLE: &str = "bank";

/// What each account has in the beginning.
const OPENING: i64 = 100;

/// The workload.
pub struct Bank {
    opened: Accounts,
    transfers: Cell<u64>,
    found: Found,
}

impl Bank {
    /// With so many accounts, at least two.
    pub fn new(accounts: u64) -> Bank {
        Bank {
            opened: (0..accounts.max(2)).map(|account| (format!("a{account}"), OPENING)).collect(),
            transfers: Cell::new(0),
            found: Found::default(),
        }
    }

    /// Transfers that were acknowledged and moved something.
    pub fn transfers(&self) -> u64 {
        self.transfers.get()
    }

    fn read(&self, document: &Value) {
        match accounts(document) {
            Some(accounts) => self.found.take(check(&self.opened, &accounts)),
            None => self.found.strange(format_args!("the bank is {document}")),
        }
    }

    async fn transfer(&self, client: &mut Client, random: &mut Random) {
        let count = self.opened.len() as u64;
        let from = random.below(count);
        let to = (from + random.within(1..=count - 1)) % count;
        let (from, to) = (format!("a{from}"), format!("a{to}"));
        let amount = random.within(1..=60) as i64;
        let balance = |name: &str| field(field(var(1), "accounts"), name);
        let moved = json!({ "accounts": { &from: sub(balance(&from), amount), &to: add(balance(&to), amount) } });
        let change = func(&[1], branch(ge(balance(&from), amount), moved, json!({})));
        if let Ok(answer) = client.query(&term::update(document(), change, true)).await {
            let answer = answer.into_value();
            match answer["changes"].as_array().map(Vec::as_slice) {
                Some([change]) if answer["replaced"] == 1 => {
                    self.transfers.set(self.transfers.get() + 1);
                    self.read(&change["old_val"]);
                    self.read(&change["new_val"]);
                }
                Some([]) if answer["unchanged"] == 1 => {}
                _ => self.found.strange(format_args!("a transfer was answered {answer}")),
            }
        }
    }
}

fn document() -> Term {
    term::get(term::table(TABLE), 0)
}

fn accounts(document: &Value) -> Option<Accounts> {
    let accounts = document["accounts"].as_object()?.iter();
    accounts.map(|(name, balance)| Some((name.clone(), balance.as_i64()?))).collect()
}

impl ClusterWorkload for Bank {
    fn name(&self) -> &'static str {
        "bank"
    }

    fn setup<'a>(&'a self, client: &'a mut Client) -> LocalFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            insist_on_table(client, TABLE).await?;
            // Refused when an earlier try did it, however late that came.
            let opened = json!({ "id": 0, "accounts": &self.opened });
            insist_to_write(client, &term::insert(term::table(TABLE), opened, "replace", false)).await
        })
    }

    fn step<'a>(&'a self, client: &'a mut Client, random: &'a mut Random) -> LocalFuture<'a, ()> {
        Box::pin(async move {
            if random.once_in(3) {
                if let Ok(answer) = client.query(&document()).await {
                    self.read(&answer.into_value());
                }
            } else {
                self.transfer(client, random).await;
            }
        })
    }

    fn finish<'a>(&'a self, client: &'a mut Client) -> LocalFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            let answer = insist(client, &document()).await?;
            self.read(&answer.into_value());
            Ok(())
        })
    }

    fn check(&self, _: &mut u64) -> Vec<Violation> {
        self.found.all()
    }
}
