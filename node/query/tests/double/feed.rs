//! Reads feeds without waiting for what does not come.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use photondb_query::{Answer, Cursor, CursorBatch};
use photondb_reql::datum::Datum;
use photondb_reql::error::Result;
use photondb_runtime::fiber::{self, Fiber, StackSize};

use super::session::Session;

/// How often a feed is polled before a test concludes that it has nothing.
const PATIENCE: usize = 50;

/// A feed that is open: one request for more is always outstanding, as a driver has it.
pub struct Feed {
    asked: Fiber<(Result<CursorBatch>, Cursor)>,
}

fn ask(mut cursor: Cursor) -> Fiber<(Result<CursorBatch>, Cursor)> {
    fiber::run(StackSize::for_depth(64), move || (cursor.next_batch(), cursor))
}

impl Feed {
    /// Opens it.
    pub fn open(session: &Session, term: &str) -> Feed {
        match session.open(term) {
            Ok(Answer::Sequence(cursor)) => Feed { asked: ask(cursor) },
            Ok(Answer::Atom(datum)) => panic!("no feed: {datum:?}"),
            Err(error) => panic!("{error}"),
        }
    }

    /// Goes on until it waits or lets others run: its rows, when it has some.
    pub fn poll(&mut self) -> Option<Vec<Datum>> {
        let Poll::Ready(done) = Pin::new(&mut self.asked).poll(&mut Context::from_waker(Waker::noop())) else {
            return None;
        };
        let (batch, cursor) = done.expect("the feed does not panic");
        self.asked = ask(cursor);
        Some(batch.expect("the feed goes on").rows)
    }

    /// Some rows, or none when it has nothing now.
    pub fn step(&mut self) -> Vec<Datum> {
        (0..PATIENCE).find_map(|_| self.poll()).unwrap_or_default()
    }

    /// Everything it has now, one JSON text each.
    pub fn read(&mut self) -> Vec<String> {
        let mut rows = Vec::new();
        let mut pending = 0;
        while pending < PATIENCE {
            match Pin::new(&mut self.asked).poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Pending => pending += 1,
                Poll::Ready(done) => {
                    let (batch, cursor) = done.expect("the feed does not panic");
                    match batch {
                        Ok(batch) => rows.extend(batch.rows.iter().map(|row| row.to_json().expect("rows have JSON"))),
                        Err(error) => {
                            rows.push(format!("!{}", error.message));
                            return rows;
                        }
                    }
                    self.asked = ask(cursor);
                }
            }
        }
        rows
    }
}
