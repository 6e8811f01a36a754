//! The real database behind the sessions: the query engine, its answers as the wire has them, and logins.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use metrics::{Counter, counter};
use photondb_query::{Answer, Environment, MemoryBudget, MemoryShare, Prepared, prepare};
use photondb_reql::datum::{Datum, Object, Str};
use photondb_reql::error::{Error, Result as QueryResult};
use photondb_reql::term::Message as WireMessage;
use photondb_reql::wire::credentials::Credentials;
use photondb_reql::wire::handshake::{Accounts, Handshake, Progress, Version};
use photondb_reql::wire::query;
use photondb_reql::wire::response::{Note, Response, ResponseType, write_error};
use photondb_runtime::fiber::{self, StackSize};
use photondb_runtime::random::Random;
use photondb_storage::fault::buggify;

use super::database::{Cursor, Database, Login, LoginState, Message, OwnAnswer, Welcome};
use super::running::{Facts, Job, RunningQueries, Shelf};
use crate::limits::{BUGGIFIED_QUERY_BYTES, FRAME_BYTES_PER_PERIOD_MIN, FRAME_PERIOD, QUERIES_IN_FLIGHT_MAX};

/// What a client is told about the server. The number is that of the RethinkDB whose language and protocol we speak.
pub const SERVER_VERSION: &str = concat!("2.4.4-photondb-", env!("CARGO_PKG_VERSION"));

/// Who may log in.
pub trait Users: 'static {
    /// What is stored of a user's password; `None`: there is no such user.
    fn credentials(&self, user: &str) -> Option<Credentials>;

    /// A secret that stays the same while the node has its data: it makes unknown users look like known ones.
    fn decoy_secret(&self) -> [u8; 32];
}

/// Who answers, for SERVER_INFO.
#[derive(Clone, Debug)]
pub struct Server {
    /// The node's id, as text.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// One client thread's view of the database.
pub struct ReqlDatabase {
    server: Datum,
    users: Rc<dyn Users>,
    environment: Environment,
    queries: Counter,
    shelf: Arc<Shelf>,
}

/// Whoever is logged in.
pub struct Client {
    environment: Environment,
    peer: SocketAddr,
}

impl ReqlDatabase {
    /// A view by what sessions are given; the user is put in at each login. Its queries are listed among `running`.
    pub fn new(server: &Server, users: Rc<dyn Users>, environment: Environment, running: &RunningQueries) -> Self {
        let server = Object::from([("id", server.id.as_str()), ("name", server.name.as_str())]).with("proxy", false);
        Self {
            server: server.into(),
            users,
            environment,
            queries: counter!("photondb_queries_total"),
            shelf: running.shelf(),
        }
    }
}

impl Database for ReqlDatabase {
    type Query = Arc<Prepared>;
    type Login = ReqlLogin;

    fn login(&self, peer: SocketAddr) -> ReqlLogin {
        ReqlLogin {
            peer,
            handshake: Handshake::new(SERVER_VERSION),
            accounts: NodeAccounts { users: self.users.clone(), random: self.environment.random.clone() },
            environment: self.environment.clone(),
        }
    }

    fn welcome(&self, peer: SocketAddr, user: &str) -> Welcome<Client> {
        let environment = Environment { user: Str::from(user), ..self.environment.clone() };
        let user = Client { environment, peer };
        Welcome { user, in_flight_max: QUERIES_IN_FLIGHT_MAX, rest: Vec::new() }
    }

    fn memory(&self) -> &Arc<MemoryBudget> {
        &self.environment.memory
    }

    fn parse(&self, body: &[u8]) -> Result<Message<Arc<Prepared>>, Vec<u8>> {
        self.queries.increment(1);
        let error_body = |error: &Error, frames: &[_]| {
            let mut answer = Vec::new();
            write_error(error, frames, None, &mut answer);
            answer
        };
        let wanted = if buggify!("server/query-counted-large") { BUGGIFIED_QUERY_BYTES } else { 0 };
        let memory = MemoryShare::of(&self.environment.memory, query::memory_of(body).max(wanted));
        let memory = memory.map_err(|error| error_body(&error, &[]))?;
        match query::parse(body, &mut fiber::yield_now) {
            Ok(WireMessage::Start(start)) => {
                let noreply = start.flag("noreply");
                match prepare(*start) {
                    Ok(query) => Ok(Message::Start { query: Arc::new(query.counted(memory)), noreply }),
                    Err(_) if noreply => Ok(Message::Unheard),
                    Err((error, start)) => {
                        let frames = error.backtrace.map(|id| start.registry.frames(id)).unwrap_or_default();
                        Err(error_body(&error, &frames))
                    }
                }
            }
            Ok(WireMessage::Continue) => Ok(Message::Continue),
            Ok(WireMessage::Stop) => Ok(Message::Stop),
            Ok(WireMessage::NoreplyWait) => Ok(Message::NoreplyWait),
            Ok(WireMessage::ServerInfo) => Ok(Message::ServerInfo),
            Err(refusal) if refusal.unheard => Ok(Message::Unheard),
            Err(refusal) => Err(error_body(&refusal.error, &refusal.frames)),
        }
    }

    fn stack(&self, query: &Arc<Prepared>) -> StackSize {
        StackSize::for_depth(query.depth())
    }

    fn list(&self, query: &Arc<Prepared>, client: &Client) -> Job {
        let user = client.environment.user.clone();
        self.shelf.list(Facts { query: query.clone(), user, peer: client.peer, began: self.environment.clock.now() })
    }

    fn run(&self, query: Arc<Prepared>, client: &Client, answer: &mut Vec<u8>) -> Option<Box<dyn Cursor>> {
        if buggify!("server/query-gives-way") {
            fiber::yield_now();
        }
        let outcome = match query.run(&client.environment) {
            Ok(outcome) => outcome,
            Err(error) => {
                write_query_error(&query, &error, answer);
                return None;
            }
        };
        let profile = outcome.profile.as_ref();
        match outcome.answer {
            Answer::Atom(datum) => {
                let results = [datum];
                let response = Response { profile, ..Response::new(ResponseType::Atom, &results) };
                write_response(&query, &response, answer);
                None
            }
            Answer::Sequence(cursor) => {
                let notes = cursor.notes().iter().filter_map(|note| note_of(*note)).collect();
                let is_feed = cursor.is_feed();
                let mut rows = Rows { query, cursor, notes };
                if is_feed {
                    // The driver hands the cursor to its user at the first answer, which must not wait for a change.
                    let response =
                        Response { notes: &rows.notes, profile, ..Response::new(ResponseType::Partial, &[]) };
                    return write_response(&rows.query, &response, answer).then(|| Box::new(rows) as Box<dyn Cursor>);
                }
                rows.write_next(answer).then(|| Box::new(rows) as Box<dyn Cursor>)
            }
        }
    }

    fn server_info(&self, answer: &mut Vec<u8>) {
        let results = std::slice::from_ref(&self.server);
        write_own(&Response::new(ResponseType::ServerInfo, results), answer);
    }

    fn answer(&self, own: OwnAnswer<'_>, answer: &mut Vec<u8>) {
        let error = match own {
            OwnAnswer::Stopped => return write_own(&Response::new(ResponseType::Sequence, &[]), answer),
            OwnAnswer::WaitComplete => return write_own(&Response::new(ResponseType::WaitComplete, &[]), answer),
            OwnAnswer::UnknownToken(token) => {
                Error::client(format!("Token {} not in stream cache.", token.cast_signed()))
            }
            OwnAnswer::DuplicateToken(token) => {
                Error::client(format!("ERROR: duplicate token {}", token.cast_signed()))
            }
            OwnAnswer::Killed => Error::op_indeterminate("Query terminated by the `rethinkdb.jobs` table."),
            OwnAnswer::TooManyCursors => {
                Error::resource("Too many results are open on this connection; read or close some of them.")
            }
            OwnAnswer::FrameTooLong(error) => Error::client(error.to_string()),
            OwnAnswer::FrameTooSlow => Error::client(format!(
                "Query received in part only: fewer than {FRAME_BYTES_PER_PERIOD_MIN} bytes of it arrived within {} seconds.",
                FRAME_PERIOD.as_secs()
            )),
            OwnAnswer::NoMemory(error) => error.clone(),
            OwnAnswer::Panicked(message) => Error::internal(format!("Unexpected exception: {message}")),
        };
        write_error(&error, &[], None, answer);
    }
}

/// What is left of a result.
struct Rows {
    query: Arc<Prepared>,
    cursor: photondb_query::Cursor,
    notes: Vec<Note>,
}

impl Rows {
    /// Appends the next rows; whether there may be more.
    fn write_next(&mut self, answer: &mut Vec<u8>) -> bool {
        if buggify!("server/cursor-gives-way") {
            fiber::yield_now();
        }
        match self.cursor.next_batch() {
            Ok(batch) => {
                let profile = self.cursor.profile();
                let profile = profile.as_ref();
                let kind = if batch.more { ResponseType::Partial } else { ResponseType::Sequence };
                let response = Response { notes: &self.notes, profile, ..Response::new(kind, &batch.rows) };
                let written = write_response(&self.query, &response, answer);
                let more = batch.more;
                drop(batch);
                self.cursor.let_go();
                written && more
            }
            Err(error) => {
                write_query_error(&self.query, &error, answer);
                false
            }
        }
    }
}

impl Cursor for Rows {
    fn stack(&self) -> StackSize {
        StackSize::for_depth(self.query.depth())
    }

    fn next(&mut self, answer: &mut Vec<u8>) -> bool {
        self.write_next(answer)
    }
}

/// Appends the response; whether it could be. What has no JSON (MINVAL) makes it an error.
fn write_response(query: &Prepared, response: &Response<'_>, answer: &mut Vec<u8>) -> bool {
    let start = answer.len();
    let written: QueryResult<()> = response.write(answer);
    if let Err(error) = &written {
        answer.truncate(start);
        write_query_error(query, error, answer);
    }
    written.is_ok()
}

fn write_query_error(query: &Prepared, error: &Error, answer: &mut Vec<u8>) {
    let frames = error.backtrace.map(|id| query.start().registry.frames(id)).unwrap_or_default();
    write_error(error, &frames, None, answer);
}

/// Appends a response without user data.
fn write_own(response: &Response<'_>, answer: &mut Vec<u8>) {
    response.write(answer).expect("texts and truth values have JSON");
}

fn note_of(number: u8) -> Option<Note> {
    [Note::SequenceFeed, Note::AtomFeed, Note::OrderByLimitFeed, Note::UnionedFeed, Note::IncludesStates]
        .into_iter()
        .find(|note| *note as u8 == number)
}

/// A login in progress. Whoever is in gets an environment for queries.
pub struct ReqlLogin {
    handshake: Handshake,
    accounts: NodeAccounts,
    environment: Environment,
    peer: SocketAddr,
}

impl Login for ReqlLogin {
    type User = Client;

    fn receive(&mut self, bytes: &[u8], answer: &mut Vec<u8>) -> LoginState<Client> {
        match self.handshake.receive(bytes, &mut self.accounts, answer) {
            Progress::Reading => LoginState::Going,
            Progress::Refused => LoginState::Refused,
            Progress::Authenticated { user, version, rest } => {
                let environment = Environment { user: Str::from(user.as_str()), ..self.environment.clone() };
                let user = Client { environment, peer: self.peer };
                // The oldest drivers match answers to queries by their order.
                let in_flight_max = if version == Version::V0_3 { 1 } else { QUERIES_IN_FLIGHT_MAX };
                LoginState::Done(Welcome { user, in_flight_max, rest })
            }
        }
    }
}

struct NodeAccounts {
    users: Rc<dyn Users>,
    random: Arc<dyn Random>,
}

impl Accounts for NodeAccounts {
    fn credentials(&mut self, user: &str) -> Option<Credentials> {
        self.users.credentials(user)
    }

    fn nonce(&mut self) -> [u8; 18] {
        let mut nonce = [0; 18];
        self.random.fill(&mut nonce);
        nonce
    }

    fn decoy_secret(&mut self) -> [u8; 32] {
        self.users.decoy_secret()
    }
}
