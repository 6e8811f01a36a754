//! Every query of the node that runs or whose result is open: what `rethinkdb.jobs` shows, and how each is ended.
//!
//! A client thread lists its queries on a [`Shelf`] of its own, so that listing one waits for nobody but a reader of
//! `jobs`. What is shown of a query is made when somebody looks.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use photondb_query::Prepared;
use photondb_reql::Str;
use photondb_runtime::clock::Moment;
use rustc_hash::FxHashMap;
use uuid::Uuid;

/// The queries of all client threads.
#[derive(Default)]
pub struct RunningQueries {
    /// The first half of every id.
    seed: u64,
    shelves: Mutex<Vec<Weak<Shelf>>>,
}

/// The queries of one client thread.
#[derive(Default)]
pub struct Shelf {
    seed: u64,
    /// Above the queries' own numbers in the second half of their ids.
    number: u64,
    begun: AtomicU64,
    listed: Mutex<FxHashMap<u64, Arc<Listed>>>,
}

/// Bits of a query's own number in its id.
const NUMBER_BITS: u32 = 48;

/// Bits at the top of an id's second half that say of which kind the UUID is.
const VARIANT_BITS: u32 = 2;

/// The shelf and the number on it that an id stands for, if it is one of ours.
fn parts_of(id: Uuid) -> (usize, u64) {
    let (_, low) = id.as_u64_pair();
    let low = low << VARIANT_BITS >> VARIANT_BITS;
    (usize::try_from(low >> NUMBER_BITS).unwrap_or(usize::MAX), low & ((1 << NUMBER_BITS) - 1))
}

impl RunningQueries {
    /// None yet; `seed` tells its ids from those of other nodes and of earlier runs.
    pub fn new(seed: u64) -> RunningQueries {
        RunningQueries { seed, ..RunningQueries::default() }
    }

    /// A shelf for one more client thread.
    pub fn shelf(&self) -> Arc<Shelf> {
        let mut shelves = self.shelves.lock();
        let shelf = Arc::new(Shelf { seed: self.seed, number: shelves.len() as u64, ..Shelf::default() });
        shelves.push(Arc::downgrade(&shelf));
        shelf
    }

    /// Those that are not about to end.
    pub fn all(&self) -> Vec<Arc<Listed>> {
        let shelves = self.living();
        let queries = shelves.iter().flat_map(|shelf| shelf.listed.lock().values().cloned().collect::<Vec<_>>());
        queries.filter(|query| !query.ending.is_asked()).collect()
    }

    /// The one of that id, unless it is about to end.
    pub fn find(&self, id: Uuid) -> Option<Arc<Listed>> {
        let (shelf_number, number) = parts_of(id);
        let shelf = self.shelves.lock().get(shelf_number)?.upgrade()?;
        let listed = shelf.listed.lock().get(&number).cloned()?;
        // Bits that are the same in all ids were not looked at.
        (listed.id() == id && !listed.ending.is_asked()).then_some(listed)
    }

    /// Queries begun since the start.
    pub fn begun(&self) -> u64 {
        self.living().iter().map(|shelf| shelf.begun.load(Ordering::Relaxed)).sum()
    }

    /// Connections that wait for the answer of a query.
    pub fn active_clients(&self) -> usize {
        let queries = self.all();
        let busy = queries.iter().filter(|query| query.busy.load(Ordering::Relaxed));
        busy.map(|query| query.facts.peer).collect::<BTreeSet<_>>().len()
    }

    fn living(&self) -> Vec<Arc<Shelf>> {
        self.shelves.lock().iter().filter_map(Weak::upgrade).collect()
    }
}

/// What a query tells of itself.
#[derive(Clone)]
pub struct Facts {
    /// The query.
    pub query: Arc<Prepared>,
    /// Who asked.
    pub user: Str,
    /// From where.
    pub peer: SocketAddr,
    /// Since when.
    pub began: Moment,
}

/// One query on a shelf.
pub struct Listed {
    /// What it tells of itself.
    pub facts: Facts,
    number: u64,
    shelf_number: u64,
    seed: u64,
    busy: AtomicBool,
    ending: Arc<Ending>,
}

impl Listed {
    /// Its id in the cluster.
    pub fn id(&self) -> Uuid {
        let low = (self.shelf_number << NUMBER_BITS) | self.number;
        let id = (u128::from(self.seed) << 64) | u128::from(low);
        uuid::Builder::from_random_bytes(id.to_be_bytes()).into_uuid()
    }

    /// Ends it, from any thread.
    pub fn kill(&self) {
        self.ending.ask(Reason::Killed);
    }
}

impl Shelf {
    /// Puts a query on the shelf, for as long as the [`Job`] lives.
    pub fn list(self: &Arc<Self>, facts: Facts) -> Job {
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        let ending = Arc::new(Ending::default());
        let listed = Listed {
            facts,
            number,
            shelf_number: self.number,
            seed: self.seed,
            busy: AtomicBool::new(true),
            ending: ending.clone(),
        };
        let listed = Arc::new(listed);
        self.listed.lock().insert(number, listed.clone());
        Job { ending, listed: Some((self.clone(), listed)) }
    }
}

/// A query of a session. Dropping it takes it off its shelf.
#[derive(Default)]
pub struct Job {
    ending: Arc<Ending>,
    listed: Option<(Arc<Shelf>, Arc<Listed>)>,
}

impl Job {
    /// How it is ended.
    pub fn ending(&self) -> &Arc<Ending> {
        &self.ending
    }

    /// Whether somebody waits for an answer of it.
    pub fn set_busy(&self, busy: bool) {
        if let Some((_, listed)) = &self.listed {
            listed.busy.store(busy, Ordering::Relaxed);
        }
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if let Some((shelf, listed)) = &self.listed {
            shelf.listed.lock().remove(&listed.number);
        }
    }
}

/// Why a query is to end before it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Reason {
    /// Its client wants no more of it, or is gone.
    Stopped = 1,
    /// Its row of `rethinkdb.jobs` was deleted.
    Killed = 2,
}

/// Whether a query is to end. The fiber that runs it is dropped when it parks next, which every fiber does at least every
/// few milliseconds.
#[derive(Debug, Default)]
pub struct Ending {
    reason: AtomicU8,
    waker: AtomicWaker,
}

impl Ending {
    /// Asks it to end; the first reason counts.
    pub fn ask(&self, reason: Reason) {
        let _ = self.reason.compare_exchange(0, reason as u8, Ordering::AcqRel, Ordering::Acquire);
        self.waker.wake();
    }

    /// Why it is to end, if it is.
    pub fn reason(&self) -> Option<Reason> {
        match self.reason.load(Ordering::Acquire) {
            0 => None,
            reason if reason == Reason::Stopped as u8 => Some(Reason::Stopped),
            _ => Some(Reason::Killed),
        }
    }

    fn is_asked(&self) -> bool {
        self.reason().is_some()
    }

    /// Ready when it is to end; otherwise the task is woken then.
    pub fn poll(&self, cx: &Context<'_>) -> Poll<Reason> {
        if let Some(reason) = self.reason() {
            return Poll::Ready(reason);
        }
        self.waker.register(cx.waker());
        // Between the look and the registration somebody may have asked.
        self.reason().map_or(Poll::Pending, Poll::Ready)
    }
}

#[cfg(test)]
mod tests {
    use photondb_reql::term::Message;

    use super::*;

    fn facts() -> Facts {
        let Ok(Message::Start(start)) = photondb_reql::wire::query::parse(b"[1,1]", &mut || ()) else {
            panic!("is a query")
        };
        let query = Arc::new(photondb_query::prepare(*start).expect("compiles"));
        let peer = "127.0.0.1:4".parse().expect("is an address");
        Facts { query, user: Str::from("admin"), peer, began: Moment::default() }
    }

    #[test]
    fn a_query_is_shown_until_it_is_over_or_about_to_end() {
        let queries = RunningQueries::new(7);
        let (first, second) = (queries.shelf(), queries.shelf());
        let jobs = [first.list(facts()), second.list(facts()), second.list(facts())];
        let ids: BTreeSet<_> = queries.all().iter().map(|query| query.id()).collect();
        assert_eq!((ids.len(), queries.begun(), queries.active_clients()), (3, 3, 1));
        for query in queries.all() {
            assert_eq!(queries.find(query.id()).map(|found| found.id()), Some(query.id()));
        }
        assert!(queries.find(Uuid::nil()).is_none());
        assert!(queries.find(Uuid::from_u128(queries.all()[0].id().as_u128() ^ (1 << 100))).is_none());
        let killed = queries.all()[0].clone();
        killed.kill();
        assert!(queries.find(killed.id()).is_none());
        assert_eq!(queries.all().len(), 2);
        assert!(jobs.iter().any(|job| job.ending().reason() == Some(Reason::Killed)));
        drop(jobs);
        assert!(queries.all().is_empty());
        assert_eq!((queries.begun(), queries.active_clients()), (3, 0));
    }

    #[test]
    fn the_first_reason_counts() {
        let ending = Ending::default();
        let context = Context::from_waker(std::task::Waker::noop());
        assert!(ending.poll(&context).is_pending());
        ending.ask(Reason::Stopped);
        ending.ask(Reason::Killed);
        assert_eq!(ending.poll(&context), Poll::Ready(Reason::Stopped));
    }
}
