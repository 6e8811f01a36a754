//! One client.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use photondb_history::answer::{ErrorKind, Failure, ServerError};
use photondb_history::counter::CounterInput;
use photondb_history::ledger::{CallId, ClientId};
use photondb_history::random::Random;
use photondb_history::register::{Ask, Said, query, said};
use photondb_history::term::{self, Term, add, field, func, var};
use serde_json::{Value, json};

use super::{ANSWER_WAIT_MAX, COUNTER, REGISTER, Shared};
use crate::connection::Connection;
use crate::secret::PATIENCE;

/// Before a client tries a node again that did not take its connection.
const RECONNECT_PAUSE: Duration = Duration::from_millis(20);

/// A client of a [`Load`](super::Load).
pub struct LoadClient {
    shared: Arc<Shared>,
    id: ClientId,
    /// The only node that it asks.
    home: Option<usize>,
    node: usize,
    random: Random,
    connection: Option<Connection>,
    /// A read that was sent and not answered.
    waiting: Option<(CallId, usize)>,
}

impl LoadClient {
    pub(super) fn new(shared: Arc<Shared>, id: ClientId, home: Option<usize>, random: Random) -> LoadClient {
        LoadClient { shared, id, home, node: home.unwrap_or(0), random, connection: None, waiting: None }
    }

    /// Asks one thing after the other until it is told to stop.
    pub(super) fn run(mut self) {
        // Who only reads is there to be told what is old: a writer waits for long at a node that is cut off.
        let only_reads = self.id.0 % 3 == 1;
        while !self.shared.stop.load(Ordering::Acquire) {
            if !self.connect(ANSWER_WAIT_MAX) {
                std::thread::sleep(RECONNECT_PAUSE);
                continue;
            }
            self.shared.busy.fetch_add(1, Ordering::SeqCst);
            if !self.shared.paused.load(Ordering::SeqCst) {
                self.act(only_reads);
            }
            self.shared.busy.fetch_sub(1, Ordering::SeqCst);
            let pause_micros = self.shared.pause_max.as_micros() as u64;
            std::thread::sleep(Duration::from_micros(self.random.below(pause_micros.max(1))));
        }
    }

    /// Asks one thing.
    fn act(&mut self, only_reads: bool) {
        let answered = if self.random.once_in(5) {
            let key = self.random.below(self.shared.counters.len() as u64) as usize;
            let reads = only_reads || self.random.once_in(4);
            self.count(key, if reads { CounterInput::Read } else { CounterInput::Increment })
        } else {
            let key = self.random.below(self.shared.registers.len() as u64) as usize;
            let ask = if only_reads { Ask::Read } else { self.choose(key) };
            self.ask(key, ask)
        };
        if !answered && self.home.is_none() && self.random.once_in(2) {
            self.connection = None;
        }
    }

    /// Reads every document until it is answered.
    pub(super) fn read_all(&mut self) {
        let begun = Instant::now();
        let (registers, counters) = (self.shared.registers.len(), self.shared.counters.len());
        for key in 0..registers + counters {
            let read = |client: &mut LoadClient| match key.checked_sub(registers) {
                None => client.ask(key, Ask::Read),
                Some(counter) => client.count(counter, CounterInput::Read),
            };
            while !(self.connect(ANSWER_WAIT_MAX) && read(self)) {
                let failures = self.shared.tally().failures();
                assert!(begun.elapsed() < PATIENCE, "node {} answers no reads: {failures}", self.node);
                std::thread::sleep(RECONNECT_PAUSE);
            }
        }
    }

    /// Connects, to be patient for so long.
    pub fn connect(&mut self, wait_max: Duration) -> bool {
        if self.connection.is_none() {
            self.node = self.home.unwrap_or_else(|| self.draw_node());
            self.connection = Connection::open_within(self.shared.drivers[self.node], wait_max);
        }
        self.connection.is_some()
    }

    /// Sends a read of a document and does not wait.
    pub fn send_read(&mut self, key: usize) {
        let id = self.shared.registers[key].lock().expect(LOCK).begin(self.id, self.shared.now(), Ask::Read);
        let message = json!([1, query(term::table(REGISTER), key, Ask::Read)]).to_string();
        let connection = self.connection.as_mut().expect("it has connected");
        connection.send(&message).expect("the system takes what nobody reads yet");
        self.waiting = Some((id, key));
    }

    /// Waits for the answer of what [`LoadClient::send_read`] has sent.
    pub fn receive_read(&mut self) {
        let (id, key) = self.waiting.take().expect("a read was sent");
        let connection = self.connection.as_mut().expect("it has connected");
        let heard = connection.receive().map_err(unknown).and_then(|(_, answer)| heard(&answer));
        self.end_ask(id, key, Ask::Read, Instant::now(), &heard);
    }

    fn draw_node(&mut self) -> usize {
        let open = (0..self.shared.open.len()).filter(|node| self.shared.open[*node].load(Ordering::Acquire));
        self.random.pick(&open.collect::<Vec<_>>())
    }

    fn choose(&mut self, key: usize) -> Ask {
        let fresh = || self.shared.next_value.fetch_add(1, Ordering::Relaxed);
        match self.random.below(10) {
            0..4 => Ask::Read,
            4..6 => Ask::Set(fresh()),
            6..9 => match self.shared.seen[key].load(Ordering::Relaxed) {
                0 => Ask::Set(fresh()),
                seen => Ask::Swap(seen, fresh()),
            },
            _ => Ask::Delete,
        }
    }

    /// Asks of a register; whether there was an answer.
    fn ask(&mut self, key: usize, ask: Ask) -> bool {
        let began = Instant::now();
        let id = self.shared.registers[key].lock().expect(LOCK).begin(self.id, self.shared.now(), ask);
        let heard = self.run_query(&query(term::table(REGISTER), key, ask));
        self.end_ask(id, key, ask, began, &heard);
        heard.is_ok()
    }

    fn end_ask(&self, id: CallId, key: usize, ask: Ask, began: Instant, heard: &Result<Value, Failure>) {
        let result = self.shared.registers[key].lock().expect(LOCK).heard(id, heard, |answer| said(ask, answer));
        let mut tally = self.shared.tally();
        match heard {
            Err(failure) => tally.failure(failure),
            Ok(_) if ask == Ask::Read => tally.read(),
            Ok(_) => tally.write(began),
        }
        if let Err(answer) = result {
            tally.strange(format!("{ask:?} of document {key} was answered {answer}"));
        }
        if let Ok(Some(Said::Found(Some(value)))) = heard.as_ref().map(|answer| said(ask, answer)) {
            self.shared.seen[key].store(value, Ordering::Relaxed);
        }
    }

    /// Asks of a counter; whether there was an answer.
    fn count(&mut self, key: usize, input: CounterInput) -> bool {
        let began = Instant::now();
        let id = self.shared.counters[key].lock().expect(LOCK).begin(self.id, self.shared.now(), input);
        let document = term::get(term::table(COUNTER), key);
        let one_more = func(&[1], json!({ "n": add(field(var(1), "n"), 1) }));
        let heard = self.run_query(&match input {
            CounterInput::Read => document,
            CounterInput::Increment => term::update(document, one_more, true),
        });
        let number = |answer: &Value| match input {
            CounterInput::Read => answer["n"].as_u64(),
            CounterInput::Increment => answer["changes"][0]["new_val"]["n"].as_u64(),
        };
        let result = self.shared.counters[key].lock().expect(LOCK).heard(id, &heard, number);
        let mut tally = self.shared.tally();
        match (&heard, input) {
            (Err(failure), _) => tally.failure(failure),
            (Ok(_), CounterInput::Read) => tally.read(),
            (Ok(_), CounterInput::Increment) => tally.write(began),
        }
        if let Err(answer) = result {
            tally.strange(format!("{input:?} of counter {key} was answered {answer}"));
        }
        heard.is_ok()
    }

    /// Runs a query to its answer; the connection is given up when there is none.
    fn run_query(&mut self, query: &Term) -> Result<Value, Failure> {
        let connection = self.connection.as_mut().expect("it has connected");
        let answer = connection.run(&json!([1, query]).to_string()).map_err(unknown);
        if answer.is_err() {
            self.connection = None;
        }
        heard(&answer?)
    }
}

const LOCK: &str = "no client panics while it writes into a ledger";

fn unknown(error: std::io::Error) -> Failure {
    Failure::Unknown(error.to_string())
}

/// What an answer of one value says.
fn heard(answer: &Value) -> Result<Value, Failure> {
    let first = &answer["r"][0];
    match answer["t"].as_u64() {
        Some(1) => Ok(first.clone()),
        kind => Err(Failure::of(ServerError {
            kind: ErrorKind::of(kind.unwrap_or(0), answer["e"].as_u64()),
            message: first.as_str().unwrap_or_default().to_owned(),
        })),
    }
}
