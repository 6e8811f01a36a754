//! A query whose fiber has parked, and what becomes of it.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use photondb_runtime::fiber::{Fiber, Panicked};

use crate::client::database::Cursor;
use crate::client::running::{Job, Reason};

/// A parked query.
pub(super) struct Running {
    pub token: u64,
    pub serial: u64,
    pub start: Option<Start>,
    pub job: Rc<Job>,
    pub fiber: Fiber<Answer>,
}

/// What a START takes of the connection's limits, until it is done.
#[derive(Clone, Copy)]
pub(super) struct Start {
    pub bytes: usize,
}

/// What a fiber gives: the body of an answer, and the cursor when there is more.
pub(super) struct Answer {
    pub body: Vec<u8>,
    pub cursor: Option<Box<dyn Cursor>>,
}

pub(super) struct Finished {
    pub token: u64,
    pub serial: u64,
    pub start: Option<Start>,
    pub job: Rc<Job>,
    /// `Err`: it was ended.
    pub result: Result<Result<Answer, Panicked>, Reason>,
}

impl Future for Running {
    type Output = Finished;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Finished> {
        let result = match self.job.ending().poll(cx) {
            Poll::Ready(reason) => Err(reason),
            Poll::Pending => Ok(ready!(Pin::new(&mut self.fiber).poll(cx))),
        };
        Poll::Ready(Finished {
            token: self.token,
            serial: self.serial,
            start: self.start,
            job: self.job.clone(),
            result,
        })
    }
}
