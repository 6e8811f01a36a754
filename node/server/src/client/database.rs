//! What a session asks of the node.

use std::net::SocketAddr;
use std::sync::Arc;

use photondb_query::MemoryBudget;
use photondb_reql::error::Error;
use photondb_reql::wire::frame::FrameError;
use photondb_runtime::fiber::StackSize;

use super::running::Job;

/// The database as sessions see it. One value serves all sessions of a worker thread, so it need not be `Send`.
pub trait Database: 'static {
    /// A query that has been parsed and not yet run.
    type Query: 'static;
    /// The state of a login in progress.
    type Login: Login;

    /// Begins a login of a client at `peer`.
    fn login(&self, peer: SocketAddr) -> Self::Login;

    /// Lets a user in at once who has logged in elsewhere.
    fn welcome(&self, peer: SocketAddr, user: &str) -> Welcome<<Self::Login as Login>::User>;

    /// What all queries may take of memory together.
    fn memory(&self) -> &Arc<MemoryBudget>;

    /// Reads the body of a frame; on a fiber it may give the thread to others in between. The error is the body of the answer.
    fn parse(&self, body: &[u8]) -> Result<Message<Self::Query>, Vec<u8>>;

    /// The stack that the query needs.
    fn stack(&self, query: &Self::Query) -> StackSize;

    /// Lists the query among those that run, for as long as the job lives.
    fn list(&self, query: &Self::Query, user: &<Self::Login as Login>::User) -> Job;

    /// Runs a query, on a fiber, and appends the body of its answer. A cursor: there is more to come.
    fn run(
        &self,
        query: Self::Query,
        user: &<Self::Login as Login>::User,
        answer: &mut Vec<u8>,
    ) -> Option<Box<dyn Cursor>>;

    /// Appends the body of the answer to SERVER_INFO.
    fn server_info(&self, answer: &mut Vec<u8>);

    /// Appends the body of an answer that the session itself gives.
    fn answer(&self, own: OwnAnswer<'_>, answer: &mut Vec<u8>);
}

/// A frame's meaning.
#[derive(Debug)]
pub enum Message<Q> {
    /// Run this query. With `noreply`, nobody waits for its answer.
    Start { query: Q, noreply: bool },
    /// A query with `noreply` that cannot be run: nobody waits to hear why.
    Unheard,
    /// More of the result of this token.
    Continue,
    /// No more of the result of this token.
    Stop,
    /// Answer when all queries with `noreply` before it are done.
    NoreplyWait,
    /// Who are you?
    ServerInfo,
}

/// The rest of a result.
pub trait Cursor {
    /// The stack that [`Cursor::next`] needs.
    fn stack(&self) -> StackSize;

    /// Appends the body of the next answer, on a fiber; whether there is more after it.
    fn next(&mut self, answer: &mut Vec<u8>) -> bool;
}

/// What a session answers by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnAnswer<'a> {
    /// The result of this token has ended because of STOP.
    Stopped,
    /// The query was ended by whoever deleted its row of `jobs`.
    Killed,
    /// All queries with `noreply` are done.
    WaitComplete,
    /// No result is open under this token.
    UnknownToken(u64),
    /// The token is in use.
    DuplicateToken(u64),
    /// The connection has too many open results.
    TooManyCursors,
    /// The frame is longer than one may be; the connection is closed after this answer.
    FrameTooLong(FrameError),
    /// The rest of the frame did not come in time; the connection is closed after this answer.
    FrameTooSlow,
    /// There is no memory for the message.
    NoMemory(&'a Error),
    /// The query panicked: our fault.
    Panicked(&'a str),
}

/// A login in progress: a machine without I/O.
pub trait Login {
    /// Who logged in.
    type User: 'static;

    /// Takes bytes from the client, and appends what is to be sent to `answer`.
    fn receive(&mut self, bytes: &[u8], answer: &mut Vec<u8>) -> LoginState<Self::User>;
}

/// How far a login is.
#[derive(Debug, PartialEq, Eq)]
pub enum LoginState<U> {
    /// More bytes are needed.
    Going,
    /// Logged in.
    Done(Welcome<U>),
    /// Refused; the connection is closed once the answer is sent.
    Refused,
}

/// A login that succeeded.
#[derive(Debug, PartialEq, Eq)]
pub struct Welcome<U> {
    /// Who it is.
    pub user: U,
    /// How many queries may run at once.
    pub in_flight_max: usize,
    /// What came after the login: the beginning of the first frame.
    pub rest: Vec<u8>,
}
