//! The queries of one connection: which run, which results are open, who waits for whom.

mod alarm;
mod parked;
mod reading;

use std::collections::BTreeSet;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use futures_util::Stream;
use futures_util::stream::FuturesUnordered;
use metrics::counter;
use photondb_runtime::fiber::{self, Fiber, Panicked};
use photondb_runtime::task::{spawn_local, timeout};
use rustc_hash::FxHashMap;

use crate::client::database::{Cursor, Database, Login, Message, OwnAnswer};
use crate::client::output::Output;
use crate::client::running::{Job, Reason};
use crate::limits::{CONTINUES_WAITING_MAX, DRAIN_TIME_MAX, OPEN_CURSORS_MAX, QUERY_BYTES_IN_FLIGHT_MAX};
use alarm::Alarm;
use parked::{Answer, Finished, Running, Start};
pub(super) use reading::Reading;

type User<D> = <<D as Database>::Login as Login>::User;
type Parsed<D> = Result<Message<<D as Database>::Query>, Vec<u8>>;

pub(super) struct Queries<D: Database> {
    database: Rc<D>,
    user: Rc<User<D>>,
    in_flight_max: usize,
    /// Queries that have parked and whose answers somebody waits for.
    running: FuturesUnordered<Running>,
    /// How many of them are STARTs: those that count against the limit.
    starting: usize,
    /// Bytes of the messages of those, and of the queries with `noreply`.
    starting_bytes: usize,
    /// Queries with `noreply` that have parked.
    noreply: FuturesUnordered<Running>,
    noreply_serials: BTreeSet<u64>,
    /// NOREPLY_WAITs: token, and the serial up to which everything must be done.
    waits: Vec<(u64, u64)>,
    /// Tokens whose query runs or whose result is open.
    open: FxHashMap<u64, Open>,
    /// Rings when a result that nobody reads at the moment is to end.
    alarm: Alarm,
    /// Counts everything that is started, so that an answer finds the query it belongs to and not a later one of the
    /// same token.
    last_serial: u64,
}

/// What a token stands for.
enum Open {
    /// A fiber is at it; so many CONTINUEs wait behind it.
    Busy { serial: u64, job: Rc<Job>, continues: usize },
    /// A result with more to come.
    Idle(Box<dyn Cursor>, Rc<Job>),
    /// It was ended while nobody read it. The client is told when it asks for more.
    Killed,
}

impl<D: Database> Queries<D> {
    /// At most `in_flight_max` queries run at once.
    pub(super) fn new(database: Rc<D>, user: User<D>, in_flight_max: usize) -> Self {
        Self {
            database,
            user: Rc::new(user),
            in_flight_max,
            running: FuturesUnordered::new(),
            starting: 0,
            starting_bytes: 0,
            noreply: FuturesUnordered::new(),
            noreply_serials: BTreeSet::new(),
            waits: Vec::new(),
            open: FxHashMap::default(),
            alarm: Alarm::default(),
            last_serial: 0,
        }
    }

    /// Whether another query may start. CONTINUEs do not count: there is at most one at work for each open result.
    pub(super) fn has_room(&self) -> bool {
        self.starting + self.noreply.len() + self.waits.len() < self.in_flight_max
            && self.starting_bytes < QUERY_BYTES_IN_FLIGHT_MAX
    }

    /// Whether nothing runs.
    pub(super) fn is_idle(&self) -> bool {
        self.running.is_empty() && self.noreply.is_empty()
    }

    /// Does what a frame asks for.
    pub(super) fn accept(&mut self, token: u64, body: &[u8], cx: &mut Context<'_>, output: &mut Output) {
        self.act(token, body.len(), self.database.parse(body), cx, output);
    }

    fn act(&mut self, token: u64, bytes: usize, parsed: Parsed<D>, cx: &mut Context<'_>, output: &mut Output) {
        match parsed {
            Ok(Message::Start { query, noreply }) => self.start(token, query, noreply, Start { bytes }, cx, output),
            Ok(Message::Unheard) => {}
            Ok(Message::Continue) => self.resume(token, cx, output),
            Ok(Message::Stop) => self.stop(token, output),
            Ok(Message::NoreplyWait) => self.wait_for_noreply(token, output),
            Ok(Message::ServerInfo) => output.frame(token, |answer| self.database.server_info(answer)),
            Err(answer) => output.frame(token, |body| body.extend_from_slice(&answer)),
        }
    }

    /// Answers what the session knows by itself.
    pub(super) fn answer(&self, token: u64, own: OwnAnswer<'_>, output: &mut Output) {
        output.frame(token, |answer| self.database.answer(own, answer));
    }

    fn start(
        &mut self,
        token: u64,
        query: D::Query,
        noreply: bool,
        start: Start,
        cx: &mut Context<'_>,
        output: &mut Output,
    ) {
        let refusal = if self.open.contains_key(&token) {
            Some(OwnAnswer::DuplicateToken(token))
        } else {
            (self.open.len() >= OPEN_CURSORS_MAX).then_some(OwnAnswer::TooManyCursors)
        };
        if let Some(refusal) = refusal {
            if !noreply {
                self.answer(token, refusal, output);
            }
            return;
        }
        let stack = self.database.stack(&query);
        let job = Rc::new(self.database.list(&query, &self.user));
        let (database, user) = (self.database.clone(), self.user.clone());
        let fiber = fiber::run(stack, move || {
            let mut body = Vec::new();
            let cursor = database.run(query, &user, &mut body);
            Answer { body, cursor }
        });
        if noreply {
            self.run_noreply(token, fiber, start, job, cx);
        } else {
            self.run(token, fiber, Some(start), 0, job, cx, output);
        }
    }

    fn resume(&mut self, token: u64, cx: &mut Context<'_>, output: &mut Output) {
        match self.open.remove(&token) {
            None => self.answer(token, OwnAnswer::UnknownToken(token), output),
            Some(Open::Idle(cursor, job)) => self.fetch(token, cursor, 0, job, cx, output),
            Some(Open::Killed) => self.answer(token, OwnAnswer::Killed, output),
            Some(Open::Busy { serial, job, mut continues }) => {
                if continues < CONTINUES_WAITING_MAX {
                    continues += 1;
                } else {
                    self.answer(token, OwnAnswer::DuplicateToken(token), output);
                }
                self.open.insert(token, Open::Busy { serial, job, continues });
            }
        }
    }

    /// Runs the next batch of a result.
    fn fetch(
        &mut self,
        token: u64,
        mut cursor: Box<dyn Cursor>,
        continues: usize,
        job: Rc<Job>,
        cx: &mut Context<'_>,
        output: &mut Output,
    ) {
        let fiber = fiber::run(cursor.stack(), move || {
            let mut body = Vec::new();
            let more = cursor.next(&mut body);
            Answer { body, cursor: more.then_some(cursor) }
        });
        job.set_busy(true);
        self.run(token, fiber, None, continues, job, cx, output);
    }

    /// Polls a fiber where we are, and keeps it when it parks.
    #[expect(clippy::too_many_arguments, reason = "each is something else of the same query")]
    fn run(
        &mut self,
        token: u64,
        mut fiber: Fiber<Answer>,
        start: Option<Start>,
        continues: usize,
        job: Rc<Job>,
        cx: &mut Context<'_>,
        output: &mut Output,
    ) {
        if let Some(reason) = job.ending().reason() {
            return self.deliver(token, Err(reason), continues, job, cx, output);
        }
        match Pin::new(&mut fiber).poll(cx) {
            Poll::Ready(result) => self.deliver(token, Ok(result), continues, job, cx, output),
            Poll::Pending => {
                let serial = self.next_serial();
                self.open.insert(token, Open::Busy { serial, job: job.clone(), continues });
                if let Some(Start { bytes }) = start {
                    self.starting += 1;
                    self.starting_bytes += bytes;
                }
                self.running.push(Running { token, serial, start, job, fiber });
                // The set polls it once more in this same turn, and by that hands it a waker of its own.
                cx.waker().wake_by_ref();
            }
        }
    }

    fn run_noreply(&mut self, token: u64, mut fiber: Fiber<Answer>, start: Start, job: Rc<Job>, cx: &mut Context<'_>) {
        match Pin::new(&mut fiber).poll(cx) {
            Poll::Ready(result) => report_panic(token, &result),
            Poll::Pending => {
                let serial = self.next_serial();
                self.noreply_serials.insert(serial);
                self.starting_bytes += start.bytes;
                self.noreply.push(Running { token, serial, start: Some(start), job, fiber });
                cx.waker().wake_by_ref();
            }
        }
    }

    fn next_serial(&mut self) -> u64 {
        self.last_serial += 1;
        self.last_serial
    }

    /// Sends an answer and keeps what is left of the result, or goes on with it for a CONTINUE that came early.
    fn deliver(
        &mut self,
        token: u64,
        result: Result<Result<Answer, Panicked>, Reason>,
        continues: usize,
        job: Rc<Job>,
        cx: &mut Context<'_>,
        output: &mut Output,
    ) {
        // Whoever killed it was told that it has ended, even if it was done at that moment.
        let result = job.ending().reason().map_or(result, Err);
        match result {
            Ok(result) => {
                report_panic(token, &result);
                match result {
                    Ok(Answer { body, cursor }) => {
                        output.frame(token, |answer| answer.extend_from_slice(&body));
                        match cursor {
                            Some(cursor) if continues > 0 => {
                                return self.fetch(token, cursor, continues - 1, job, cx, output);
                            }
                            Some(cursor) => self.rest(token, cursor, job),
                            None => {}
                        }
                    }
                    Err(panicked) => self.answer(token, OwnAnswer::Panicked(&panicked.message), output),
                }
            }
            Err(Reason::Killed) => self.answer(token, OwnAnswer::Killed, output),
            Err(Reason::Stopped) => self.answer(token, OwnAnswer::Stopped, output),
        }
        for _ in 0..continues {
            self.answer(token, OwnAnswer::UnknownToken(token), output);
        }
    }

    /// Keeps a result until the client asks for more of it, or somebody ends it.
    fn rest(&mut self, token: u64, cursor: Box<dyn Cursor>, job: Rc<Job>) {
        job.set_busy(false);
        let open = match self.alarm.watch(job.ending()) {
            Poll::Pending => Open::Idle(cursor, job),
            Poll::Ready(_) => Open::Killed,
        };
        self.open.insert(token, open);
    }

    /// Lets go of results that were ended while nobody read them.
    fn drop_killed(&mut self, cx: &Context<'_>) {
        if !self.alarm.has_rung(cx) {
            return;
        }
        for open in self.open.values_mut() {
            if matches!(open, Open::Idle(_, job) if job.ending().reason().is_some()) {
                *open = Open::Killed;
            }
        }
    }

    fn stop(&mut self, token: u64, output: &mut Output) {
        let interrupted = match self.open.remove(&token) {
            None => return self.answer(token, OwnAnswer::UnknownToken(token), output),
            Some(Open::Idle(..) | Open::Killed) => 0,
            Some(Open::Busy { job, continues, .. }) => {
                job.ending().ask(Reason::Stopped);
                1 + continues
            }
        };
        // The interrupted query and each CONTINUE behind it get an answer too: drivers count them.
        for _ in 0..=interrupted {
            self.answer(token, OwnAnswer::Stopped, output);
        }
    }

    fn wait_for_noreply(&mut self, token: u64, output: &mut Output) {
        if self.open.contains_key(&token) {
            self.answer(token, OwnAnswer::DuplicateToken(token), output);
        } else if self.noreply_serials.is_empty() {
            self.answer(token, OwnAnswer::WaitComplete, output);
        } else {
            self.waits.push((token, self.last_serial));
        }
    }

    /// Lets the parked queries that were woken go on, and sends the answers of those that are done.
    pub(super) fn poll_running(&mut self, cx: &mut Context<'_>, output: &mut Output) {
        self.drop_killed(cx);
        while let Poll::Ready(Some(finished)) = Pin::new(&mut self.running).poll_next(cx) {
            if let Some(Start { bytes }) = finished.start {
                self.starting -= 1;
                self.starting_bytes -= bytes;
            }
            self.finish(finished, cx, output);
        }
        while let Poll::Ready(Some(finished)) = Pin::new(&mut self.noreply).poll_next(cx) {
            self.noreply_serials.remove(&finished.serial);
            self.starting_bytes -= finished.start.map_or(0, |start| start.bytes);
            if let Ok(result) = &finished.result {
                report_panic(finished.token, result);
            }
        }
        self.answer_waits(output);
    }

    fn finish(&mut self, finished: Finished, cx: &mut Context<'_>, output: &mut Output) {
        // A stopped query was answered when it was stopped, even if it was done by then; or nobody is to be answered any more.
        if finished.job.ending().reason() == Some(Reason::Stopped) {
            return;
        }
        match self.open.get(&finished.token) {
            Some(Open::Busy { serial, continues, .. }) if *serial == finished.serial => {
                let continues = *continues;
                self.open.remove(&finished.token);
                self.deliver(finished.token, finished.result, continues, finished.job, cx, output);
            }
            _ => {}
        }
    }

    fn answer_waits(&mut self, output: &mut Output) {
        if self.waits.is_empty() {
            return;
        }
        let oldest = self.noreply_serials.first().copied().unwrap_or(u64::MAX);
        for (token, bound) in std::mem::take(&mut self.waits) {
            if oldest > bound {
                self.answer(token, OwnAnswer::WaitComplete, output);
            } else {
                self.waits.push((token, bound));
            }
        }
    }

    /// The node is about to end: feeds and open results are served no further.
    pub(super) fn stop_cursors(&mut self) {
        for running in self.running.iter().filter(|running| running.start.is_none()) {
            running.job.ending().ask(Reason::Stopped);
        }
        self.open.retain(|_, open| matches!(open, Open::Busy { .. }));
    }

    /// The client has gone. What it waited for is dropped; writes that it chose not to wait for go on for a while.
    pub(super) fn leave(self) {
        let mut noreply = self.noreply;
        if noreply.is_empty() {
            return;
        }
        spawn_local(async move {
            let all = poll_fn(|cx| {
                while ready!(Pin::new(&mut noreply).poll_next(cx)).is_some() {}
                Poll::Ready(())
            });
            if timeout(DRAIN_TIME_MAX, all).await.is_err() {
                tracing::debug!("a query with noreply was dropped after its client had gone");
            }
        });
    }
}

fn report_panic<T>(token: u64, result: &Result<T, Panicked>) {
    if let Err(panicked) = result {
        counter!("photondb_query_panics_total").increment(1);
        tracing::error!(token, message = panicked.message, "a query panicked");
    }
}
