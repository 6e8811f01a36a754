//! A long message that is being parsed. It may take a second; the thread's other queries have their turn meanwhile.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use photondb_reql::limits::NESTING_MAX;
use photondb_runtime::fiber::{self, Fiber, StackSize};

use super::{Parsed, Queries, report_panic};
use crate::client::database::{Database, OwnAnswer};
use crate::client::output::Output;

/// It and what it will be.
pub(in crate::client::session) struct Reading<D: Database> {
    token: u64,
    bytes: usize,
    fiber: Fiber<Parsed<D>>,
}

impl<D: Database> Queries<D> {
    /// Begins to parse a message. Nothing is done before [`Queries::poll_reading`].
    pub(in crate::client::session) fn read(&self, token: u64, body: Bytes) -> Reading<D> {
        let (database, bytes) = (self.database.clone(), body.len());
        // Nobody knows yet how deep it is.
        let fiber = fiber::run(StackSize::for_depth(NESTING_MAX), move || database.parse(&body));
        Reading { token, bytes, fiber }
    }

    /// Goes on with it, and does what it asks for once it is known.
    pub(in crate::client::session) fn poll_reading(
        &mut self,
        reading: &mut Reading<D>,
        cx: &mut Context<'_>,
        output: &mut Output,
    ) -> Poll<()> {
        let parsed = ready!(Pin::new(&mut reading.fiber).poll(cx));
        report_panic(reading.token, &parsed);
        match parsed {
            Ok(parsed) => self.act(reading.token, reading.bytes, parsed, cx, output),
            Err(panicked) => self.answer(reading.token, OwnAnswer::Panicked(&panicked.message), output),
        }
        Poll::Ready(())
    }
}
