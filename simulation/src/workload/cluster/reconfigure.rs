//! A table whose replicas and shards are changed under writes. It must end in a state that serves, with everything that was
//! acknowledged.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use photondb_runtime::network::LocalFuture;
use serde_json::{Value, json};

use super::insisting::{insist, insist_on_table};
use super::{ClusterWorkload, Found};
use crate::checker::Violation;
use crate::client::{Client, Failure};
use crate::random::Random;
use crate::term::{self, Term};

const TABLE: &str = "reconfigure";

/// Shards of the table.
const SHARDS_MAX: u64 = 3;

/// The workload.
pub struct Reconfigure {
    nodes: u64,
    replicas_min: u64,
    /// The last client reconfigures, the others write.
    clients: u64,
    next_key: Cell<u64>,
    acknowledged: RefCell<BTreeSet<u64>>,
    /// Asked for, and perhaps there.
    asked: RefCell<BTreeSet<u64>>,
    reconfigured: Cell<u64>,
    found: Found,
}

impl Reconfigure {
    /// Over so many nodes, with no fewer replicas than that, with so many clients.
    pub fn new(nodes: u64, replicas_min: u64, clients: u64) -> Reconfigure {
        Reconfigure {
            nodes,
            replicas_min,
            clients,
            next_key: Cell::new(0),
            acknowledged: RefCell::default(),
            asked: RefCell::default(),
            reconfigured: Cell::new(0),
            found: Found::default(),
        }
    }

    async fn write(&self, client: &mut Client) -> Result<(), Failure> {
        let key = self.next_key.replace(self.next_key.get() + 1);
        self.asked.borrow_mut().insert(key);
        let answer = client.query(&term::insert(term::table(TABLE), json!({ "id": key }), "error", false)).await;
        match answer {
            Ok(answer) => {
                let answer = answer.into_value();
                if answer["inserted"] == 1 {
                    self.acknowledged.borrow_mut().insert(key);
                } else {
                    self.found.strange(format_args!("the first insert of {key} was answered {answer}"));
                }
                Ok(())
            }
            Err(failure) => {
                if failure.is_definite() {
                    self.asked.borrow_mut().remove(&key);
                }
                Err(failure)
            }
        }
    }

    fn compare(&self, read: Option<Vec<Value>>) {
        let ids: Option<Vec<u64>> = read.and_then(|rows| rows.iter().map(|row| row["id"].as_u64()).collect());
        let Some(ids) = ids else { return self.found.strange("a read of the table without documents in it") };
        let found: BTreeSet<u64> = ids.iter().copied().collect();
        let (acknowledged, asked) = (self.acknowledged.borrow(), self.asked.borrow());
        let evidence = if let Some(lost) = acknowledged.difference(&found).next() {
            format!("document {lost} was acknowledged and is not there; {} are", found.len())
        } else if let Some(extra) = found.difference(&asked).next() {
            format!("document {extra} is there, and its insert certainly did nothing")
        } else if found.len() < ids.len() {
            format!("{} documents came in {} rows", found.len(), ids.len())
        } else {
            return;
        };
        self.found.take(Err(Violation { property: "reconfiguration keeps documents", evidence }));
    }
}

impl ClusterWorkload for Reconfigure {
    fn name(&self) -> &'static str {
        "reconfigure"
    }

    fn setup<'a>(&'a self, client: &'a mut Client) -> LocalFuture<'a, Result<(), Failure>> {
        Box::pin(insist_on_table(client, TABLE))
    }

    fn step<'a>(&'a self, client: &'a mut Client, random: &'a mut Random) -> LocalFuture<'a, ()> {
        Box::pin(async move {
            if client.id.0 + 1 == self.clients || self.clients == 1 && random.once_in(4) {
                let (shards, replicas) = (random.within(1..=SHARDS_MAX), random.within(self.replicas_min..=self.nodes));
                let query: Term = term::reconfigure(term::table(TABLE), shards, replicas);
                // Refused while another one goes on, or while too many nodes are away.
                if client.query(&query).await.is_ok() {
                    self.reconfigured.set(self.reconfigured.get() + 1);
                }
            } else {
                // An insert that fails is one that counts as unknown or as nothing.
                drop(self.write(client).await);
            }
        })
    }

    fn finish<'a>(&'a self, client: &'a mut Client) -> LocalFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            insist(client, &term::wait(term::table(TABLE), 30)).await?;
            // It serves when it takes a write.
            let mut written = self.write(client).await;
            let began = client.now();
            while written.is_err() && client.now().0 - began.0 < super::limits::INSIST_MAX.as_micros() as u64 {
                photondb_runtime::task::sleep(super::limits::INSIST_PAUSE).await;
                client.leave();
                written = self.write(client).await;
            }
            written?;
            let rows = insist(client, &term::table(TABLE)).await?.into_rows();
            self.compare(rows);
            Ok(())
        })
    }

    fn reconfigured(&self) -> u64 {
        self.reconfigured.get()
    }

    fn check(&self, _: &mut u64) -> Vec<Violation> {
        self.found.all()
    }
}
