//! One connection: a login, then queries by token.
//!
//! The session is one task. Each query is a fiber that is polled where its frame was read; only when it parks does it go
//! into the set of running ones, which this task drives too. So a query that is answered from memory costs no task, no
//! hand-off and, with others read in the same call, only a share of one write. Dropping the session drops its fibers,
//! which unwinds them: a client that goes away takes its queries along.

mod queries;

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll};

use photondb_query::MemoryShare;
use photondb_runtime::network::ByteStream;
use photondb_runtime::task::timeout;
use photondb_storage::fault::buggify;
use tokio::io::AsyncReadExt;
use tokio::sync::watch;

use super::database::{Database, Login, LoginState, OwnAnswer, Welcome};
use super::inbox::{Inbox, InboxError};
use super::output::Output;
use crate::limits::{
    DRAIN_TIME_MAX, LOGIN_TIME_MAX, LONG_MESSAGE_BYTES, OUTPUT_BYTES_MAX, READ_AHEAD_BYTES_MAX, REFUSAL_TIME_MAX,
};
use queries::{Queries, Reading};

/// Serves one connection until the client leaves, breaks the protocol, or `draining` becomes true and the running queries
/// are done. A `user` has logged in already; without one the client has to.
pub async fn serve<D: Database>(
    database: Rc<D>,
    peer: SocketAddr,
    mut stream: Box<dyn ByteStream>,
    user: Option<&str>,
    mut draining: watch::Receiver<bool>,
) {
    let share = || MemoryShare::new(database.memory());
    let welcome = match user {
        Some(user) => database.welcome(peer, user),
        None => {
            let login = timeout(LOGIN_TIME_MAX, log_in(database.login(peer), &mut stream, Output::new(share())));
            tokio::select! {
                biased;
                login = login => match login {
                    Ok(Ok(Some(done))) => done,
                    Ok(Ok(None)) => return refuse(stream).await,
                    // The client is gone, or took too long.
                    Ok(Err(_)) | Err(_) => return,
                },
                _ = draining.wait_for(|draining| *draining) => return,
            }
        }
    };
    let mut session = Session {
        inbox: Inbox::with(&welcome.rest, share()),
        output: Output::new(share()),
        queries: Queries::new(database, welcome.user, welcome.in_flight_max),
        stream,
        reading: None,
        broken: false,
    };
    let drained = tokio::select! {
        biased;
        // An error of the connection is not the node's: the client is gone.
        _ = poll_fn(|cx| session.poll_serve(cx)) => false,
        _ = draining.wait_for(|draining| *draining) => true,
    };
    if drained {
        session.queries.stop_cursors();
        let _ = timeout(DRAIN_TIME_MAX, poll_fn(|cx| session.poll_drain(cx))).await;
        return;
    }
    if session.broken {
        return refuse(session.stream).await;
    }
    session.queries.leave();
}

/// Waits until the client has read a refusal: closing at once, with bytes of the client unread, would reset the
/// connection and could destroy the answer on its way.
async fn refuse(mut stream: Box<dyn ByteStream>) {
    let _ = tokio::io::AsyncWriteExt::shutdown(&mut stream).await;
    let mut rest = [0; 512];
    let _ = timeout(REFUSAL_TIME_MAX, async { while matches!(stream.read(&mut rest).await, Ok(1..)) {} }).await;
}

/// Carries a login out. `None`: refused, and the client was told why.
async fn log_in<L: Login>(
    mut login: L,
    stream: &mut Box<dyn ByteStream>,
    mut output: Output,
) -> io::Result<Option<Welcome<L::User>>> {
    let mut answer = Vec::new();
    loop {
        let mut chunk = [0; 512];
        let count = stream.read(&mut chunk).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let state = login.receive(&chunk[..count], &mut answer);
        output.raw(&answer);
        answer.clear();
        poll_fn(|cx| output.poll_write(stream, cx)).await?;
        match state {
            LoginState::Done(welcome) => return Ok(Some(welcome)),
            LoginState::Refused => return Ok(None),
            LoginState::Going => {}
        }
    }
}

struct Session<D: Database> {
    inbox: Inbox,
    output: Output,
    queries: Queries<D>,
    stream: Box<dyn ByteStream>,
    /// The long message that is being parsed. What comes behind it waits.
    reading: Option<Reading<D>>,
    /// The client broke the protocol: nothing more is read, what is in the output goes out.
    broken: bool,
}

impl<D: Database> Session<D> {
    /// Ready when the connection is over.
    fn poll_serve(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if buggify!("server/session-gives-way") {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            self.queries.poll_running(cx, &mut self.output);
            self.poll_reading(cx);
            self.start_arrived(cx);
            let held_up = !self.may_start();
            let written = self.output.poll_write(&mut self.stream, cx)?;
            if self.broken {
                return written.map(Ok);
            }
            if held_up && self.may_start() {
                // The write made room: frames that have arrived may start now, and nothing else would wake us for them.
                continue;
            }
            // That the client has gone is not for us to see before its message is read: it may be one with `noreply`.
            if self.reading.is_some() || (held_up && self.inbox.len() > READ_AHEAD_BYTES_MAX) {
                // A query that ends, room in the output, or the message wakes this task.
                self.inbox.pause();
                return Poll::Pending;
            }
            match self.inbox.poll_read(&mut self.stream, cx)? {
                Poll::Ready(false) => return Poll::Ready(Ok(())),
                Poll::Ready(true) => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Whether another query may start: enough of the earlier ones are done, and the client reads its answers.
    fn may_start(&mut self) -> bool {
        self.reading.is_none() && self.output.len() <= OUTPUT_BYTES_MAX && self.queries.has_room()
    }

    fn poll_reading(&mut self, cx: &mut Context<'_>) {
        if let Some(reading) = &mut self.reading
            && self.queries.poll_reading(reading, cx, &mut self.output).is_ready()
        {
            self.reading = None;
        }
    }

    /// Starts every query that has arrived.
    fn start_arrived(&mut self, cx: &mut Context<'_>) {
        while !self.broken && self.may_start() {
            match self.inbox.take() {
                Ok(None) => return,
                Ok(Some(frame)) if frame.body.len() >= LONG_MESSAGE_BYTES => {
                    self.reading = Some(self.queries.read(frame.token.0, frame.body));
                    self.poll_reading(cx);
                }
                Ok(Some(frame)) => self.queries.accept(frame.token.0, &frame.body, cx, &mut self.output),
                Err(InboxError::NoMemory(token, error)) => {
                    self.queries.answer(token.0, OwnAnswer::NoMemory(&error), &mut self.output);
                }
                Err(InboxError::TooSlow(token)) => {
                    self.queries.answer(token.0, OwnAnswer::FrameTooSlow, &mut self.output);
                    self.broken = true;
                }
                Err(InboxError::TooLong(error)) => {
                    self.queries.answer(error.token.0, OwnAnswer::FrameTooLong(error), &mut self.output);
                    self.broken = true;
                }
            }
        }
    }

    /// Ready when what runs is done and its answers are out.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.queries.poll_running(cx, &mut self.output);
        self.poll_reading(cx);
        match self.output.poll_write(&mut self.stream, cx)? {
            Poll::Ready(()) if self.reading.is_none() && self.queries.is_idle() => Poll::Ready(Ok(())),
            _ => Poll::Pending,
        }
    }
}
