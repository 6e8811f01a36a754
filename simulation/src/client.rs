//! Clients of the simulated cluster: drivers that speak ReQL over a byte stream to any node, on virtual time.
//!
//! A [`Client`] is one user of the database: it asks one query at a time, connects to another node when a connection is
//! lost, and says of each query what it knows of its fate. What the client is made of comes from outside ([`Outside`]), so
//! that it runs over turmoil's sockets, over madsim's, and over a pipe in a test.

mod connection;
mod feed;
mod handshake;
pub mod limits;

use std::io;
use std::rc::Rc;
use std::time::Duration;

use photondb_runtime::network::{ByteStream, LocalFuture};
use photondb_runtime::task;

pub use connection::Connection;
pub use feed::Feed;
pub use handshake::Login;
pub use photondb_history::answer::{Answer, ErrorKind, Failure, ServerError};
pub use photondb_history::feed::FeedEvent;
pub use photondb_history::ledger::{ClientId, Micros};

use crate::random::Random;
use crate::term::Term;

/// One of the nodes a client may connect to, counted from zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeIndex(pub usize);

/// What surrounds a client.
pub trait Outside {
    /// How many nodes there are; at least one.
    fn nodes(&self) -> usize;

    /// Connects to the driver port of a node.
    fn connect(&self, node: NodeIndex) -> LocalFuture<'_, io::Result<Box<dyn ByteStream>>>;

    /// The time.
    fn now(&self) -> Micros;
}

/// One user of the database.
pub struct Client {
    /// Who.
    pub id: ClientId,
    outside: Rc<dyn Outside>,
    login: Login,
    random: Random,
    connection: Option<Connection>,
    node: NodeIndex,
    answer_wait_max: Duration,
    connect_wait_max: Duration,
}

impl Client {
    /// A client that is not connected yet. It draws from `random` the nodes it goes to and its nonces.
    pub fn new(id: ClientId, outside: Rc<dyn Outside>, login: Login, mut random: Random) -> Client {
        let node = NodeIndex(random.below(outside.nodes() as u64) as usize);
        let (answer_wait_max, connect_wait_max) = (limits::ANSWER_WAIT_MAX, limits::CONNECT_WAIT_MAX);
        Client { id, outside, login, random, connection: None, node, answer_wait_max, connect_wait_max }
    }

    /// Another client of the same user, with a connection of its own.
    pub fn beside(&mut self) -> Client {
        Client::new(self.id, self.outside.clone(), self.login.clone(), self.random.fork())
    }

    /// Waits at most so long for an answer from now on.
    pub fn set_answer_wait(&mut self, wait: Duration) {
        self.answer_wait_max = wait;
    }

    /// Waits at most so long for a connection from now on.
    pub fn set_connect_wait(&mut self, wait: Duration) {
        self.connect_wait_max = wait;
    }

    /// The time.
    pub fn now(&self) -> Micros {
        self.outside.now()
    }

    /// How many nodes there are.
    pub fn nodes(&self) -> usize {
        self.outside.nodes()
    }

    /// The node that it is connected to, or tries next.
    pub fn node(&self) -> NodeIndex {
        self.node
    }

    /// Leaves its connection, if it has one; the next query goes to a node drawn anew.
    pub fn leave(&mut self) {
        self.connection = None;
        self.node = NodeIndex(self.random.below(self.outside.nodes() as u64) as usize);
    }

    /// Runs a query to its end.
    pub async fn query(&mut self, term: &Term) -> Result<Answer, Failure> {
        let wait = self.answer_wait_max;
        let connection = self.connected().await?;
        let answer = match task::timeout(wait, Box::pin(connection.query(term))).await {
            Ok(answer) => answer,
            Err(_) => Err(Failure::Unknown("no answer in time".to_owned())),
        };
        // After an answer that did not come, the next one on this connection could be that one.
        if !matches!(answer, Ok(_) | Err(Failure::Refused(_) | Failure::Indeterminate(_))) {
            self.leave();
        }
        answer
    }

    /// Opens a feed on a connection of its own.
    pub async fn feed(&mut self, term: &Term) -> Result<Feed, Failure> {
        let connection = self.connect().await?;
        match task::timeout(self.answer_wait_max, Box::pin(Feed::open(connection, term))).await {
            Ok(feed) => feed,
            Err(_) => Err(Failure::Unknown("no answer in time".to_owned())),
        }
    }

    async fn connected(&mut self) -> Result<&mut Connection, Failure> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        Ok(self.connection.insert(connection))
    }

    async fn connect(&mut self) -> Result<Connection, Failure> {
        let (outside, node) = (self.outside.clone(), self.node);
        let nonce = self.random.bits();
        let opening = async {
            let stream = outside.connect(node).await?;
            Connection::open(stream, &self.login, nonce).await
        };
        let opened = match task::timeout(self.connect_wait_max, Box::pin(opening)).await {
            Ok(opened) => opened,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        };
        opened.map_err(|error| {
            self.leave();
            Failure::NotSent(format!("node {}: {error}", node.0))
        })
    }
}

#[cfg(test)]
mod tests;
