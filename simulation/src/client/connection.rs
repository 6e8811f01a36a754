//! One connection: frames of token, length and JSON after the handshake.

use std::io;

use bytes::{Buf, BytesMut};
use photondb_history::answer::{Answer, ErrorKind, Failure, ServerError};
use photondb_runtime::network::ByteStream;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::handshake::{Login, shake_hands};
use super::limits::{ANSWER_BYTES_MAX, ROWS_MAX};
use crate::term::Term;

const CONTINUE: &str = "[2]";
const STOP: &str = "[3]";

const HEADER_BYTES: usize = 12;

const ATOM: u64 = 1;
const SEQUENCE: u64 = 2;
const PARTIAL: u64 = 3;

/// Names a query of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token(u64);

/// A part of an answer.
#[derive(Debug, PartialEq)]
pub(super) enum Part {
    /// One value; the end.
    Value(Value),
    /// Rows.
    Rows {
        /// The rows.
        rows: Vec<Value>,
        /// Whether CONTINUE would bring more.
        more: bool,
    },
}

/// A connection to one node. After an error of the stream it is of no use.
pub struct Connection {
    stream: Box<dyn ByteStream>,
    /// What arrived and was not used yet: a wait for an answer may be given up in the middle of one.
    arrived: BytesMut,
    next_token: u64,
}

impl Connection {
    /// Shakes hands over `stream`. Errors: see [`shake_hands`].
    pub async fn open(mut stream: Box<dyn ByteStream>, login: &Login, nonce: u64) -> io::Result<Connection> {
        shake_hands(&mut *stream, login, nonce).await?;
        Ok(Connection { stream, arrived: BytesMut::new(), next_token: 1 })
    }

    /// Runs a query to its end; a stream is read whole.
    pub async fn query(&mut self, term: &Term) -> Result<Answer, Failure> {
        let token = self.start(term).await?;
        let mut all = Vec::new();
        loop {
            match self.part(token).await? {
                Part::Value(value) => return Ok(Answer::Value(value)),
                Part::Rows { rows, more } => {
                    all.extend(rows);
                    if !more {
                        return Ok(Answer::Rows(all));
                    }
                    if all.len() > ROWS_MAX {
                        self.stop(token).await?;
                        return Err(Failure::Unknown(format!("more than {ROWS_MAX} rows")));
                    }
                    self.go_on(token).await?;
                }
            }
        }
    }

    pub(super) async fn start(&mut self, term: &Term) -> Result<Token, Failure> {
        let token = Token(self.next_token);
        self.next_token += 1;
        // A frame that was cut off may have arrived whole for all the client knows.
        self.send(token, &json!([1, term]).to_string()).await.map_err(lost)?;
        Ok(token)
    }

    pub(super) async fn go_on(&mut self, token: Token) -> Result<(), Failure> {
        self.send(token, CONTINUE).await.map_err(lost)
    }

    /// Ends a stream; reads the answers that were still under way for it.
    pub(super) async fn stop(&mut self, token: Token) -> Result<(), Failure> {
        self.send(token, STOP).await.map_err(lost)?;
        while let Part::Rows { more: true, .. } = self.part(token).await? {}
        Ok(())
    }

    /// The next part of the answer to `token`.
    pub(super) async fn part(&mut self, token: Token) -> Result<Part, Failure> {
        let (answered, mut answer) = self.receive().await.map_err(lost)?;
        if answered != token {
            return Err(Failure::Unknown(format!("{answered:?} was answered instead of {token:?}: {answer}")));
        }
        let kind = answer["t"].as_u64().unwrap_or(0);
        let results = match answer["r"].take() {
            Value::Array(results) => results,
            other => return Err(Failure::Unknown(format!("an answer with the results {other}"))),
        };
        match kind {
            ATOM => Ok(Part::Value(results.into_iter().next().unwrap_or(Value::Null))),
            SEQUENCE => Ok(Part::Rows { rows: results, more: false }),
            PARTIAL => Ok(Part::Rows { rows: results, more: true }),
            _ => {
                let message = results.first().and_then(Value::as_str).unwrap_or_default().to_owned();
                Err(Failure::of(ServerError { kind: ErrorKind::of(kind, answer["e"].as_u64()), message }))
            }
        }
    }

    async fn send(&mut self, token: Token, body: &str) -> io::Result<()> {
        let length = u32::try_from(body.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        let mut frame = token.0.to_le_bytes().to_vec();
        frame.extend(length.to_le_bytes());
        frame.extend(body.bytes());
        self.stream.write_all(&frame).await?;
        self.stream.flush().await
    }

    async fn receive(&mut self) -> io::Result<(Token, Value)> {
        loop {
            if let Some(frame) = self.take_frame()? {
                return Ok(frame);
            }
            if self.stream.read_buf(&mut self.arrived).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    fn take_frame(&mut self) -> io::Result<Option<(Token, Value)>> {
        let Some(mut head) = self.arrived.get(..HEADER_BYTES) else { return Ok(None) };
        let token = Token(head.get_u64_le());
        let length = head.get_u32_le() as usize;
        if length > ANSWER_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("an answer of {length} bytes")));
        }
        if self.arrived.len() < HEADER_BYTES + length {
            return Ok(None);
        }
        self.arrived.advance(HEADER_BYTES);
        let body = self.arrived.split_to(length);
        let answer =
            serde_json::from_slice(&body).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        Ok(Some((token, answer)))
    }
}

fn lost(error: io::Error) -> Failure {
    Failure::Unknown(format!("connection lost: {error}"))
}
