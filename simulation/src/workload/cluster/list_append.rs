//! Lists that everybody appends to and reads.

use std::cell::{Cell, RefCell};

use photondb_runtime::network::LocalFuture;
use serde_json::{Value, json};

use super::insisting::{insist, insist_on_table, insist_to_write};
use super::limits::LIST_ELEMENTS_MAX;
use super::{ClusterWorkload, Found};
use crate::checker::Violation;
use crate::checker::list_append::{ListInput, Seen, check};
use crate::client::{Client, Failure};
use crate::ledger::Ledger;
use crate::random::Random;
use crate::term::{self, Term, append, field, func, var};

const TABLE: &str = "list_append";

/// The workload.
pub struct ListAppend {
    lists: Vec<RefCell<Ledger<ListInput, Seen>>>,
    next_element: Cell<i64>,
    found: Found,
}

impl ListAppend {
    /// On so many lists.
    pub fn new(lists: u64) -> ListAppend {
        ListAppend {
            lists: (0..lists).map(|_| RefCell::default()).collect(),
            next_element: Cell::new(0),
            found: Found::default(),
        }
    }

    async fn ask(&self, client: &mut Client, list: usize, input: ListInput) -> bool {
        let id = self.lists[list].borrow_mut().begin(client.id, client.now(), input);
        let heard = client.query(&query(list, input)).await;
        let result =
            self.lists[list].borrow_mut().heard(id, &heard, |answer| seen(input, &answer.clone().into_value()));
        if let Err(answer) = result {
            self.found.strange(format_args!("{input:?} of list {list} was answered {answer:?}"));
        }
        heard.is_ok()
    }
}

fn query(list: usize, input: ListInput) -> Term {
    let document = term::get(term::table(TABLE), list);
    match input {
        ListInput::Read => document,
        ListInput::Append(element) => {
            term::update(document, func(&[1], json!({ "list": append(field(var(1), "list"), element) })), true)
        }
    }
}

fn seen(input: ListInput, answer: &Value) -> Option<Seen> {
    let document = match input {
        ListInput::Read => answer,
        ListInput::Append(_) if answer["replaced"] == 1 => &answer["changes"][0]["new_val"],
        ListInput::Append(_) => return None,
    };
    document["list"].as_array()?.iter().map(Value::as_i64).collect()
}

impl ClusterWorkload for ListAppend {
    fn name(&self) -> &'static str {
        "list_append"
    }

    fn setup<'a>(&'a self, client: &'a mut Client) -> LocalFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            insist_on_table(client, TABLE).await?;
            for list in 0..self.lists.len() {
                let document = term::datum(&json!({ "id": list, "list": [] }));
                insist_to_write(client, &term::insert(term::table(TABLE), document, "replace", false)).await?;
            }
            Ok(())
        })
    }

    fn step<'a>(&'a self, client: &'a mut Client, random: &'a mut Random) -> LocalFuture<'a, ()> {
        Box::pin(async move {
            let list = random.below(self.lists.len() as u64) as usize;
            let element = self.next_element.get();
            let input = if random.once_in(3) || element >= LIST_ELEMENTS_MAX {
                ListInput::Read
            } else {
                self.next_element.set(element + 1);
                ListInput::Append(element)
            };
            self.ask(client, list, input).await;
        })
    }

    fn finish<'a>(&'a self, client: &'a mut Client) -> LocalFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            for list in 0..self.lists.len() {
                while !self.ask(client, list, ListInput::Read).await {
                    insist(client, &query(list, ListInput::Read)).await?;
                }
            }
            Ok(())
        })
    }

    fn check(&self, _: &mut u64) -> Vec<Violation> {
        let checked = self.lists.iter().filter_map(|list| check(list.borrow().calls()).err());
        self.found.all().into_iter().chain(checked).collect()
    }
}
