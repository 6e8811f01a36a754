//! A few documents that are read, set, compared and set, and deleted; each must be linearizable.

use std::cell::{Cell, RefCell};

use photondb_history::register::{Ask, Document, Said, query, said};
use photondb_runtime::network::LocalFuture;

use super::insisting::{insist, insist_on_table};
use super::limits::{OPERATIONS_PER_KEY_MAX, OPERATIONS_PER_KEY_SECOND};
use super::{ClusterWorkload, Found};
use crate::checker::Violation;
use crate::checker::linearizable::{STEPS_MAX, Verdict, check_object};
use crate::client::{Client, Failure, Micros};
use crate::ledger::Ledger;
use crate::random::Random;
use crate::term::table;

const TABLE: &str = "register";

/// The workload.
pub struct Register {
    ledgers: Vec<RefCell<Ledger<Ask, Said>>>,
    /// The last value that anybody read of each, which compare-and-set is worth trying with.
    seen: Vec<Cell<Option<i64>>>,
    next_value: Cell<i64>,
    /// When the first step was taken.
    began: Cell<Option<Micros>>,
    found: Found,
}

impl Register {
    /// On so many documents.
    pub fn new(keys: u64) -> Register {
        Register {
            ledgers: (0..keys).map(|_| RefCell::default()).collect(),
            seen: (0..keys).map(|_| Cell::new(None)).collect(),
            next_value: Cell::new(1),
            began: Cell::new(None),
            found: Found::default(),
        }
    }

    /// Whether one more operation on the key is not too many, and not too early: those there may be are to last for the run.
    fn has_room(&self, key: usize, now: Micros) -> bool {
        let began = self.began.get().unwrap_or(now);
        self.began.set(Some(began));
        let grown = OPERATIONS_PER_KEY_SECOND * (now.0 - began.0) / 1_000_000;
        let allowed = OPERATIONS_PER_KEY_MAX.min(usize::try_from(grown).unwrap_or(usize::MAX).saturating_add(1));
        self.ledgers[key].borrow().calls().len() < allowed
    }

    fn fresh_value(&self) -> i64 {
        self.next_value.replace(self.next_value.get() + 1)
    }

    fn choose(&self, key: usize, random: &mut Random) -> Ask {
        match random.below(10) {
            0..4 => Ask::Read,
            4..6 => Ask::Set(self.fresh_value()),
            6..9 => match self.seen[key].get() {
                Some(seen) => Ask::Swap(seen, self.fresh_value()),
                None => Ask::Set(self.fresh_value()),
            },
            _ => Ask::Delete,
        }
    }

    async fn ask(&self, client: &mut Client, key: usize, ask: Ask) -> bool {
        let id = self.ledgers[key].borrow_mut().begin(client.id, client.now(), ask);
        let heard = client.query(&query(table(TABLE), key, ask)).await;
        let result = self.ledgers[key].borrow_mut().heard(id, &heard, |answer| said(ask, &answer.clone().into_value()));
        if let Err(answer) = result {
            self.found.strange(format_args!("{ask:?} of {key} was answered {answer:?}"));
        }
        if let Some(Said::Found(value)) = heard.as_ref().ok().and_then(|answer| said(ask, &answer.clone().into_value()))
        {
            self.seen[key].set(value);
        }
        heard.is_ok()
    }
}

impl ClusterWorkload for Register {
    fn name(&self) -> &'static str {
        "register"
    }

    fn setup<'a>(&'a self, client: &'a mut Client) -> LocalFuture<'a, Result<(), Failure>> {
        Box::pin(insist_on_table(client, TABLE))
    }

    fn step<'a>(&'a self, client: &'a mut Client, random: &'a mut Random) -> LocalFuture<'a, ()> {
        Box::pin(async move {
            let key = random.below(self.ledgers.len() as u64) as usize;
            if self.has_room(key, client.now()) {
                // A writer waits for long at a node that is cut off; who only reads is there to be told what is old.
                let only_reads = client.id.0 % 3 == 1;
                let ask = if only_reads { Ask::Read } else { self.choose(key, random) };
                self.ask(client, key, ask).await;
            }
        })
    }

    fn finish<'a>(&'a self, client: &'a mut Client) -> LocalFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            for key in 0..self.ledgers.len() {
                while !self.ask(client, key, Ask::Read).await {
                    insist(client, &query(table(TABLE), key, Ask::Read)).await?;
                }
            }
            Ok(())
        })
    }

    fn check(&self, undecided: &mut u64) -> Vec<Violation> {
        let mut all = self.found.all();
        for (key, ledger) in self.ledgers.iter().enumerate() {
            match check_object(&Document, ledger.borrow().calls(), STEPS_MAX) {
                Verdict::Linearizable => {}
                Verdict::Undecided { .. } => *undecided += 1,
                Verdict::Violated(found) => {
                    let evidence = format!("document {key}, after {} answers: {}", found.answers, found.evidence);
                    all.push(Violation { property: "linearizable", evidence });
                }
            }
        }
        all
    }
}
