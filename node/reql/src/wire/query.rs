//! What a client can ask: run a query, go on with one, stop one, wait for what was not answered, say who you are.

use crate::term::{self, Message, Refusal};

/// The number that opens a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryType {
    Start = 1,
    Continue = 2,
    Stop = 3,
    NoreplyWait = 4,
    ServerInfo = 5,
}

impl QueryType {
    pub fn of(message: &Message) -> QueryType {
        match message {
            Message::Start(_) => QueryType::Start,
            Message::Continue => QueryType::Continue,
            Message::Stop => QueryType::Stop,
            Message::NoreplyWait => QueryType::NoreplyWait,
            Message::ServerInfo => QueryType::ServerInfo,
        }
    }
}

/// Reads the body of a frame.
pub fn parse(body: &[u8]) -> Result<Message, Box<Refusal>> {
    term::parse(body)
}
