//! Databases, tables and indexes that are made, listed and removed, each name by one client.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use photondb_runtime::network::LocalFuture;
use serde_json::{Value, json};

use super::insisting::{insist_on_table, is_missing, is_there_already};
use super::limits::NAMES_PER_CLIENT;
use super::{ClusterWorkload, Found};
use crate::checker::Violation;
use crate::checker::names_agree::{NameInput, NameOutput, Names};
use crate::client::{Answer, Client, ClientId, Failure};
use crate::ledger::Fate;
use crate::random::Random;
use crate::term::{self, Term, call, number};

/// The table that indexes are made on.
const TABLE: &str = "churn";

/// What has names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Database,
    Table,
    Index,
}

impl Kind {
    const ALL: [Kind; 3] = [Kind::Database, Kind::Table, Kind::Index];

    fn query(self, input: NameInput, name: &str) -> Term {
        let name = json!(name);
        match (self, input) {
            (Kind::Database, NameInput::Create) => call(number::DB_CREATE, [name]),
            (Kind::Database, NameInput::Drop) => call(number::DB_DROP, [name]),
            (Kind::Table, NameInput::Create) => call(number::TABLE_CREATE, [term::db("test"), name]),
            (Kind::Table, NameInput::Drop) => call(number::TABLE_DROP, [term::db("test"), name]),
            (Kind::Index, NameInput::Create) => call(number::INDEX_CREATE, [term::table(TABLE), name]),
            (Kind::Index, NameInput::Drop) => call(number::INDEX_DROP, [term::table(TABLE), name]),
        }
    }

    fn list(self) -> Term {
        match self {
            Kind::Database => call(number::DB_LIST, []),
            Kind::Table => call(number::TABLE_LIST, [term::db("test")]),
            Kind::Index => call(number::INDEX_LIST, [term::table(TABLE)]),
        }
    }

    /// The field of the summary that counts what was done.
    fn counted(self, input: NameInput) -> &'static str {
        match (self, input) {
            (Kind::Database, NameInput::Create) => "dbs_created",
            (Kind::Database, NameInput::Drop) => "dbs_dropped",
            (Kind::Table, NameInput::Create) => "tables_created",
            (Kind::Table, NameInput::Drop) => "tables_dropped",
            (Kind::Index, NameInput::Create) => "created",
            (Kind::Index, NameInput::Drop) => "dropped",
        }
    }
}

/// Names of one kind that one client has.
#[derive(Default)]
struct Own {
    names: Names,
    /// Those in use; a name whose state is open is replaced by a fresh one.
    current: Vec<String>,
}

/// The workload.
#[derive(Default)]
pub struct Churn {
    own: RefCell<BTreeMap<(ClientId, Kind), Own>>,
    next_name: Cell<u64>,
    found: Found,
}

impl Churn {
    fn choose(&self, client: ClientId, kind: Kind, random: &mut Random) -> String {
        let mut own = self.own.borrow_mut();
        let Own { names, current } = own.entry((client, kind)).or_default();
        current.retain(|name| names.is_there(name).is_some());
        while (current.len() as u64) < NAMES_PER_CLIENT {
            let number = self.next_name.replace(self.next_name.get() + 1);
            current.push(format!("{kind:?}_{}_{number}", client.0));
        }
        current[random.below(current.len() as u64) as usize].clone()
    }

    async fn ask(&self, client: &mut Client, kind: Kind, name: &str, input: NameInput) {
        let fate = match client.query(&kind.query(input, name)).await {
            Ok(Answer::Value(answer)) if answer[kind.counted(input)].as_u64() == Some(1) => {
                Fate::Answered(NameOutput::Done)
            }
            Ok(answer) => {
                self.found.strange(format_args!("{input:?} of {kind:?} {name} was answered {answer:?}"));
                Fate::Unknown
            }
            Err(failure) if is_there_already(&failure) => Fate::Answered(NameOutput::Exists),
            Err(failure) if is_missing(&failure) && failure_names(&failure, name) => {
                Fate::Answered(NameOutput::Missing)
            }
            Err(failure) if failure.is_definite() => Fate::Nothing,
            Err(_) => Fate::Unknown,
        };
        let mut own = self.own.borrow_mut();
        self.found.take(own.entry((client.id, kind)).or_default().names.asked(name, input, &fate));
    }

    /// Errors: the list did not come.
    async fn list(&self, client: &mut Client, owner: ClientId, kind: Kind) -> Result<(), Failure> {
        let answer = client.query(&kind.list()).await?;
        let names = answer.into_rows().and_then(|names| names.into_iter().map(text).collect::<Option<Vec<_>>>());
        match names {
            Some(names) => {
                self.found.take(self.own.borrow_mut().entry((owner, kind)).or_default().names.listed(&names))
            }
            None => self.found.strange(format_args!("a list of each {kind:?} that is no list of names")),
        }
        Ok(())
    }
}

/// Whether the failure is about this name, not about the table around it.
fn failure_names(failure: &Failure, name: &str) -> bool {
    failure.server_error().is_some_and(|error| error.message.contains(name))
}

fn text(name: Value) -> Option<String> {
    name.as_str().map(str::to_owned)
}

impl ClusterWorkload for Churn {
    fn name(&self) -> &'static str {
        "churn"
    }

    fn setup<'a>(&'a self, client: &'a mut Client) -> LocalFuture<'a, Result<(), Failure>> {
        Box::pin(insist_on_table(client, TABLE))
    }

    fn step<'a>(&'a self, client: &'a mut Client, random: &'a mut Random) -> LocalFuture<'a, ()> {
        Box::pin(async move {
            let kind = random.pick(&Kind::ALL);
            if random.once_in(3) {
                if random.once_in(2) {
                    // What one node has acknowledged, every other says as well.
                    client.leave();
                }
                // What cannot be listed now is listed at another step.
                drop(self.list(client, client.id, kind).await);
                return;
            }
            let name = self.choose(client.id, kind, random);
            let input = random.pick(&[NameInput::Create, NameInput::Drop]);
            self.ask(client, kind, &name, input).await;
        })
    }

    fn finish<'a>(&'a self, client: &'a mut Client) -> LocalFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            for kind in Kind::ALL {
                super::insisting::insist(client, &kind.list()).await?;
                let owners: Vec<ClientId> = self.own.borrow().keys().map(|(owner, _)| *owner).collect();
                for owner in owners {
                    if self.list(client, owner, kind).await.is_err() {
                        // The node that was asked may have been taken out of the cluster just now.
                        client.leave();
                        super::insisting::insist(client, &kind.list()).await?;
                        self.list(client, owner, kind).await?;
                    }
                }
            }
            Ok(())
        })
    }

    fn check(&self, _: &mut u64) -> Vec<Violation> {
        self.found.all()
    }
}
