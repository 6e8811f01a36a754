//! A database that does what the test tells it, in the words of its queries.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use photondb::client::database::{Cursor, Database, Login, LoginState, Message, OwnAnswer, Welcome};
use photondb::client::running::{Ending, Job};
use photondb::limits::{LONG_MESSAGE_BYTES, QUERIES_IN_FLIGHT_MAX};
use photondb_query::MemoryBudget;
use photondb_reql::limits::HANDSHAKE_BYTES_MAX;
use photondb_runtime::fiber::{StackSize, wait};
use photondb_runtime::task::sleep;

/// How many queries have begun, and how many are over, however they ended.
pub struct Counts {
    pub begun: AtomicUsize,
    pub over: AtomicUsize,
    /// How many results are held.
    pub held: AtomicUsize,
    /// How each query is ended, in the order in which they came.
    pub endings: Mutex<Vec<Arc<Ending>>>,
    pub memory: Arc<MemoryBudget>,
}

/// What it takes to parse a long message.
pub const LONG_PARSE_TIME: Duration = Duration::from_millis(300);

/// What messages and answers may take together.
pub const MEMORY_MAX: usize = 256 << 20;

impl Default for Counts {
    fn default() -> Counts {
        Counts {
            begun: AtomicUsize::default(),
            over: AtomicUsize::default(),
            held: AtomicUsize::default(),
            endings: Mutex::default(),
            memory: MemoryBudget::new(MEMORY_MAX),
        }
    }
}

impl Counts {
    fn begin(self: &Arc<Self>) -> Over {
        self.begun.fetch_add(1, Ordering::SeqCst);
        Over(self.clone())
    }
}

pub struct Over(Arc<Counts>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.over.fetch_add(1, Ordering::SeqCst);
    }
}

/// The database.
pub struct Scripted(pub Arc<Counts>);

/// Anybody who says `open sesame` may come in.
#[derive(Default)]
pub struct Password(Vec<u8>);

impl Login for Password {
    type User = ();

    fn receive(&mut self, bytes: &[u8], answer: &mut Vec<u8>) -> LoginState<()> {
        self.0.extend_from_slice(bytes);
        let end = match self.0.iter().position(|byte| *byte == b'\n') {
            Some(end) => end,
            None if self.0.len() <= HANDSHAKE_BYTES_MAX => return LoginState::Going,
            None => 0,
        };
        let rest = self.0.split_off(end + 1);
        if self.0 == b"open sesame\n" {
            answer.extend_from_slice(b"welcome\n");
            LoginState::Done(Welcome { user: (), in_flight_max: QUERIES_IN_FLIGHT_MAX, rest })
        } else {
            answer.extend_from_slice(b"refused\n");
            LoginState::Refused
        }
    }
}

impl Database for Scripted {
    type Query = String;
    type Login = Password;

    fn login(&self, _: SocketAddr) -> Password {
        Password::default()
    }

    fn welcome(&self, _: SocketAddr, _: &str) -> Welcome<()> {
        Welcome { user: (), in_flight_max: QUERIES_IN_FLIGHT_MAX, rest: Vec::new() }
    }

    fn memory(&self) -> &Arc<MemoryBudget> {
        &self.0.memory
    }

    fn parse(&self, body: &[u8]) -> Result<Message<String>, Vec<u8>> {
        if body.len() >= LONG_MESSAGE_BYTES {
            wait(sleep(LONG_PARSE_TIME));
        }
        match std::str::from_utf8(body).map(str::trim_end) {
            Ok("continue") => Ok(Message::Continue),
            Ok("stop") => Ok(Message::Stop),
            Ok("wait") => Ok(Message::NoreplyWait),
            Ok("info") => Ok(Message::ServerInfo),
            Ok("noreply nonsense") => Ok(Message::Unheard),
            Ok(text) => match text.strip_prefix("noreply ") {
                Some(query) => Ok(Message::Start { query: query.to_owned(), noreply: true }),
                None => Ok(Message::Start { query: text.to_owned(), noreply: false }),
            },
            Err(_) => Err(b"garbage".to_vec()),
        }
    }

    fn stack(&self, _: &String) -> StackSize {
        StackSize::SMALL
    }

    fn list(&self, _: &String, _: &()) -> Job {
        let job = Job::default();
        self.0.endings.lock().unwrap().push(job.ending().clone());
        job
    }

    fn run(&self, query: String, _: &(), answer: &mut Vec<u8>) -> Option<Box<dyn Cursor>> {
        let _over = self.0.begin();
        let (verb, number) = query.split_once(' ').unwrap_or((query.as_str(), "0"));
        let number: usize = number.parse().unwrap();
        match verb {
            "sleep" => {
                wait(sleep(Duration::from_millis(number as u64)));
                answer.extend_from_slice(b"slept");
            }
            "for-ever" => wait(std::future::pending::<()>()),
            "panic" => std::panic::resume_unwind(Box::new("told to")),
            "bytes" => answer.resize(answer.len() + number, b'x'),
            "rows" => {
                answer.extend_from_slice(b"first");
                return Some(Box::new(Rows::new(&self.0, number, 0)));
            }
            "slow-rows" => {
                answer.extend_from_slice(b"first");
                return Some(Box::new(Rows::new(&self.0, number, 20)));
            }
            "feed" => {
                answer.extend_from_slice(b"feed");
                return Some(Box::new(Feed(self.0.clone())));
            }
            other => answer.extend_from_slice(other.as_bytes()),
        }
        None
    }

    fn server_info(&self, answer: &mut Vec<u8>) {
        answer.extend_from_slice(b"scripted");
    }

    fn answer(&self, own: OwnAnswer<'_>, answer: &mut Vec<u8>) {
        answer.extend_from_slice(format!("{own:?}").as_bytes());
    }
}

struct Rows {
    left: usize,
    pause_ms: u64,
    counts: Arc<Counts>,
}

impl Rows {
    fn new(counts: &Arc<Counts>, left: usize, pause_ms: u64) -> Rows {
        counts.held.fetch_add(1, Ordering::SeqCst);
        Rows { left, pause_ms, counts: counts.clone() }
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        self.counts.held.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Cursor for Rows {
    fn stack(&self) -> StackSize {
        StackSize::SMALL
    }

    fn next(&mut self, answer: &mut Vec<u8>) -> bool {
        if self.pause_ms > 0 {
            wait(sleep(Duration::from_millis(self.pause_ms)));
        }
        self.left -= 1;
        answer.extend_from_slice(format!("{} left", self.left).as_bytes());
        self.left > 0
    }
}

struct Feed(Arc<Counts>);

impl Cursor for Feed {
    fn stack(&self) -> StackSize {
        StackSize::SMALL
    }

    fn next(&mut self, _: &mut Vec<u8>) -> bool {
        let _over = self.0.begin();
        wait(std::future::pending::<()>());
        true
    }
}
