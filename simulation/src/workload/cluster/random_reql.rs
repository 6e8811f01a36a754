//! Random queries, answered as the reference model answers them.
//!
//! Each client has a table of its own and a model of it. When the fate of a write is unknown, nobody knows any more what is
//! in the table, now or later: the client goes on with another one.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use photondb_runtime::network::LocalFuture;

use super::insisting::{insist, insist_on_table, insist_to_create};
use super::{ClusterWorkload, Found};
use crate::checker::Violation;
use crate::client::{Client, ClientId, ErrorKind, Failure};
use crate::model::generate::{Effect, Generator};
use crate::model::{Fault, Model, agree};
use crate::random::Random;
use crate::term;

/// Documents of a table.
const KEYS: u64 = 12;

/// A client's table and what is in it.
struct Own {
    generator: Generator,
    model: Model,
}

/// The workload.
#[derive(Default)]
pub struct RandomReql {
    own: RefCell<BTreeMap<ClientId, Own>>,
    next_table: Cell<u64>,
    compared: Cell<u64>,
    found: Found,
}

impl RandomReql {
    /// Answers compared so far.
    pub fn compared(&self) -> u64 {
        self.compared.get()
    }

    /// Makes a fresh table for a client. Errors: that took too long.
    async fn make(&self, client: &mut Client) -> Result<Own, Failure> {
        let table = format!("random_{}", self.next_table.replace(self.next_table.get() + 1));
        insist_on_table(client, &table).await?;
        insist_to_create(client, &term::index_create(term::table(&table), "n")).await?;
        insist(client, &term::index_wait(term::table(&table), "n")).await?;
        let mut model = Model::new();
        for query in [term::table_create(&table), term::index_create(term::table(&table), "n")] {
            model.run(&query).map_err(|fault| Failure::Unknown(format!("the model: {fault}")))?;
        }
        Ok(Own { generator: Generator { table, keys: KEYS }, model })
    }

    async fn ask(&self, client: &mut Client, own: &mut Own, random: &mut Random) -> bool {
        let (query, effect) = own.generator.query(random);
        // Afterwards nobody would know what is in the table.
        if effect != Effect::Reads && !own.model.knows(&query) {
            return true;
        }
        let heard = client.query(&query).await;
        let answered = match heard {
            Ok(answer) => Ok(answer),
            Err(Failure::Refused(error)) if error.kind != ErrorKind::OpFailed => Err(error.kind),
            // What did not happen, did not happen; of several documents nobody knows which were not written.
            Err(failure) => return effect == Effect::Reads || effect == Effect::WritesOne && failure.is_definite(),
        };
        // A shard that could not write, for want of space or of a leader, says so beside what was written: the table is left.
        let partly = matches!(&answered, Ok(answer) if format!("{answer:?}").contains("Cannot perform write: The"));
        if partly && effect != Effect::Reads {
            return false;
        }
        let expected = own.model.run(&query);
        if let Err(Fault::Undefined(what)) = &expected {
            // A read that the documentation leaves open says nothing; a write leaves the table unknown.
            self.found.take(match effect {
                Effect::Reads => Ok(()),
                _ => Err(Violation { property: "the model knows", evidence: format!("{query}: {what}") }),
            });
            return effect == Effect::Reads;
        }
        self.compared.set(self.compared.get() + 1);
        if let Err(difference) = agree(&expected, &answered) {
            let evidence = format!("client {}: {query} {difference}", client.id.0);
            self.found.take(Err(Violation { property: "ReQL is as the model says", evidence }));
            return false;
        }
        true
    }
}

impl ClusterWorkload for RandomReql {
    fn name(&self) -> &'static str {
        "random_reql"
    }

    fn setup<'a>(&'a self, _: &'a mut Client) -> LocalFuture<'a, Result<(), Failure>> {
        // Each client makes its own.
        Box::pin(async { Ok(()) })
    }

    fn step<'a>(&'a self, client: &'a mut Client, random: &'a mut Random) -> LocalFuture<'a, ()> {
        Box::pin(async move {
            let own = self.own.borrow_mut().remove(&client.id);
            let mut own = match own {
                Some(own) => own,
                // Tried again at the next step.
                None => match self.make(client).await {
                    Ok(own) => own,
                    Err(_) => return,
                },
            };
            if self.ask(client, &mut own, random).await {
                self.own.borrow_mut().insert(client.id, own);
            }
        })
    }

    fn finish<'a>(&'a self, client: &'a mut Client) -> LocalFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            let all = std::mem::take(&mut *self.own.borrow_mut());
            for (_, mut own) in all {
                let query = term::table(&own.generator.table);
                let answer = insist(client, &query).await?;
                let expected = own.model.run(&query);
                let evidence = |difference| format!("the table {} in the end: {difference}", own.generator.table);
                let result = agree(&expected, &Ok(answer)).map_err(evidence);
                self.found
                    .take(result.map_err(|evidence| Violation { property: "ReQL is as the model says", evidence }));
            }
            Ok(())
        })
    }

    fn check(&self, _: &mut u64) -> Vec<Violation> {
        self.found.all()
    }
}
