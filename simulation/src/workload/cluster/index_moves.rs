//! Documents that move within a secondary index, while others read the whole of it and parts.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use photondb_runtime::network::LocalFuture;
use serde_json::{Value, json};

use super::insisting::{insist, insist_on_table, insist_to_create, insist_to_write};
use super::{ClusterWorkload, Found};
use crate::checker::Violation;
use crate::checker::index_equals_table::{Row, check_part, check_still, check_whole};
use crate::client::{Client, Failure};
use crate::random::Random;
use crate::term::{self, Term, call, number};

const TABLE: &str = "index_moves";
const INDEX: &str = "place";

/// Another index by the same values, which comes and goes: whoever may read it at all reads all of it.
const AGAIN: &str = "again";

/// Places of the index: few, so that documents share them.
const PLACES: u64 = 40;

/// The workload.
pub struct IndexMoves {
    keys: BTreeSet<u64>,
    found: Found,
    moved: Cell<u64>,
    last: RefCell<Option<(Vec<Row>, Vec<Row>)>>,
}

impl IndexMoves {
    /// Of so many documents.
    pub fn new(documents: u64) -> IndexMoves {
        IndexMoves {
            keys: (0..documents).collect(),
            found: Found::default(),
            moved: Cell::new(0),
            last: RefCell::default(),
        }
    }

    async fn read_whole(&self, client: &mut Client, index: &str) {
        if let Ok(answer) = client.query(&whole_index(index)).await {
            match rows(answer.into_rows()) {
                Some(rows) => self.found.take(check_whole(&self.keys, &rows)),
                None => self.found.strange("a read of the index without documents in it"),
            }
        }
    }

    async fn read_part(&self, client: &mut Client, random: &mut Random) {
        let low = random.below(PLACES) as i64;
        let high = low + random.within(1..=8) as i64;
        if let Ok(answer) = client.query(&term::between(term::table(TABLE), low, high, INDEX)).await {
            match rows(answer.into_rows()) {
                Some(rows) => self.found.take(check_part(low, high, &rows)),
                None => self.found.strange("a read of a part of the index without documents in it"),
            }
        }
    }
}

/// As an array: rows of a stream that come slowly are read by fewer, each batch from a snapshot of its own.
fn whole_index(index: &str) -> Term {
    let (low, high) = (term::call(number::MINVAL, []), term::call(number::MAXVAL, []));
    term::to_array(term::between(term::table(TABLE), low, high, index))
}

fn rows(documents: Option<Vec<Value>>) -> Option<Vec<Row>> {
    let row = |document: Value| Some(Row { id: document["id"].as_u64()?, indexed: document[INDEX].as_i64()? });
    documents?.into_iter().map(row).collect()
}

impl ClusterWorkload for IndexMoves {
    fn name(&self) -> &'static str {
        "index_moves"
    }

    fn setup<'a>(&'a self, client: &'a mut Client) -> LocalFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            insist_on_table(client, TABLE).await?;
            let documents: Vec<Term> =
                self.keys.iter().map(|key| json!({ "id": key, INDEX: key % PLACES, AGAIN: key % PLACES })).collect();
            let documents = term::make_array(documents);
            insist_to_write(client, &term::insert(term::table(TABLE), documents, "replace", false)).await?;
            insist_to_create(client, &term::index_create(term::table(TABLE), INDEX)).await?;
            insist(client, &term::index_wait(term::table(TABLE), INDEX)).await.map(drop)
        })
    }

    fn step<'a>(&'a self, client: &'a mut Client, random: &'a mut Random) -> LocalFuture<'a, ()> {
        Box::pin(async move {
            match random.below(9) {
                0 => self.read_whole(client, INDEX).await,
                6 | 7 => self.read_whole(client, AGAIN).await,
                8 => {
                    let (table, create) = (term::table(TABLE), random.once_in(2));
                    let drop_index = || call(number::INDEX_DROP, [term::table(TABLE), json!(AGAIN)]);
                    let change = if create { term::index_create(table, AGAIN) } else { drop_index() };
                    // Whatever becomes of it, and whether or not it was there.
                    drop(client.query(&change).await);
                }
                1 => self.read_part(client, random).await,
                _ => {
                    let document = term::get(term::table(TABLE), random.below(self.keys.len() as u64));
                    let place = random.below(PLACES);
                    let change = json!({ INDEX: place, AGAIN: place });
                    if client.query(&term::update(document, change, false)).await.is_ok() {
                        self.moved.set(self.moved.get() + 1);
                    }
                }
            }
        })
    }

    fn finish<'a>(&'a self, client: &'a mut Client) -> LocalFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            // A write of unknown fate may still move something between the two reads.
            let mut last = None;
            for _ in 0..5 {
                let table = rows(insist(client, &term::table(TABLE)).await?.into_rows());
                let index = rows(insist(client, &whole_index(INDEX)).await?.into_rows());
                let (Some(table), Some(index)) = (table, index) else {
                    self.found.strange("a read of all without documents in it");
                    return Ok(());
                };
                let agree = check_still(&table, &index).is_ok();
                last = Some((table, index));
                if agree {
                    break;
                }
                photondb_runtime::task::sleep(super::limits::FEED_SETTLES).await;
            }
            *self.last.borrow_mut() = last;
            Ok(())
        })
    }

    fn check(&self, _: &mut u64) -> Vec<Violation> {
        let last = self.last.borrow();
        let last = last
            .as_ref()
            .map_or(Ok(()), |(table, index)| check_whole(&self.keys, table).and_then(|()| check_still(table, index)));
        self.found.all().into_iter().chain(last.err()).collect()
    }
}
