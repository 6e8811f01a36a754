//! Queries: one call, and its answers as they come.

use std::time::Duration;

use photondb_proto::convert::{CONTROL_VERSION, check_version};
use photondb_proto::v1;
use serde_json::{Map, Value, json};
use tokio::runtime::Runtime;
use tonic::Streaming;

use super::Client;
use crate::failure::Failure;
use crate::limits::ANSWER_BYTES_MAX;

/// A query that runs on the node. Dropping it ends the query.
pub struct Answers<'a> {
    client: &'a Client,
    runtime: Runtime,
    parts: Streaming<v1::QueryResponse>,
    /// How long each answer may take, if that is bounded; of a feed all but the first take as long as they take.
    limit: Option<Duration>,
    is_feed: bool,
    is_over: bool,
}

/// One answer to a query.
#[derive(Clone, Debug, PartialEq)]
pub enum Results {
    /// One value.
    Value(Value),
    /// The next rows of a sequence.
    Rows(Vec<Value>),
}

/// What ended the wait for an answer.
pub enum Waited {
    /// The answer; `None` behind the last one.
    Answer(Option<Results>),
    /// Ctrl-C.
    Interrupted,
}

impl Client {
    /// Runs a term as the user of this client; `limit`: how long each answer may take; `None`: as long as it takes, once the query
    /// has begun.
    pub fn query(
        &self,
        term: &Value,
        options: &Map<String, Value>,
        limit: Option<Duration>,
    ) -> Result<Answers<'_>, Failure> {
        let message = json!([1, term, options]).to_string().into_bytes();
        let mut request = self.request(v1::QueryRequest { version: CONTROL_VERSION, message });
        let begins_within = limit.unwrap_or(self.limit.answer);
        request.set_timeout(begins_within);
        let runtime = self.runtime()?;
        let parts = runtime.block_on(self.reach(begins_within, async |mut node| node.query(request).await))?;
        Ok(Answers { client: self, runtime, parts, limit, is_feed: false, is_over: false })
    }

    /// Runs a term that is soon done, and gives what it gives; of a sequence all rows.
    pub fn value(&self, term: &Value) -> Result<Value, Failure> {
        self.value_within(term, self.limit.answer)
    }

    /// The same with another limit.
    pub fn value_within(&self, term: &Value, limit: Duration) -> Result<Value, Failure> {
        let mut answers = self.query(term, &Map::new(), Some(limit))?;
        let mut all = Vec::new();
        while let Some(answer) = answers.next()? {
            match answer {
                Results::Value(value) => return Ok(value),
                Results::Rows(rows) => all.extend(rows),
            }
        }
        Ok(Value::from(all))
    }

    /// Runs a write of one document of a system table; how many were written. Its errors come as part of the answer.
    pub fn write(&self, term: &Value) -> Result<(Value, u64), Failure> {
        let answer = self.value(term)?;
        if let Some(message) = answer.get("first_error").and_then(Value::as_str) {
            return Err(Failure::Query { kind: "ReqlOpFailedError", message: message.to_owned(), is_denied: false });
        }
        let count = |name| answer.get(name).and_then(Value::as_u64).unwrap_or(0);
        let written = ["inserted", "replaced", "unchanged", "deleted"].into_iter().map(count).sum();
        Ok((answer, written))
    }
}

impl Answers<'_> {
    /// The next answer; `None` behind the last one.
    pub fn next(&mut self) -> Result<Option<Results>, Failure> {
        match self.wait(false)? {
            Waited::Answer(answer) => Ok(answer),
            Waited::Interrupted => Ok(None),
        }
    }

    /// The same; with `interruptible` also Ctrl-C ends the wait, and from then on no longer ends this program.
    pub fn wait(&mut self, interruptible: bool) -> Result<Waited, Failure> {
        if self.is_over {
            return Ok(Waited::Answer(None));
        }
        let (client, parts) = (self.client, &mut self.parts);
        let (address, limit) = (client.address(), self.limit.filter(|_| !self.is_feed));
        let body = self.runtime.block_on(async {
            let read = read_answer(parts);
            let read = async {
                let late = |limit| Failure::Late { address: address.clone(), limit };
                let read = match limit {
                    None => read.await,
                    Some(limit) => tokio::time::timeout(limit, read).await.map_err(|_| late(limit))?,
                };
                match read {
                    Ok(body) => Ok(Some(body)),
                    Err(Broken::Status(status)) => {
                        Err(Failure::of_status(address, limit.unwrap_or(client.limit.answer), status))
                    }
                    Err(Broken::Version(source)) => Err(client.malformed(source)),
                    Err(Broken::TooLong) => Err(Failure::Strange { address: address.clone(), what: "it is too long" }),
                }
            };
            if !interruptible {
                return read.await;
            }
            tokio::select! {
                biased;
                read = read => read,
                _ = tokio::signal::ctrl_c() => Ok(None),
            }
        })?;
        match body {
            Some(body) => self.understand(&body).map(|answer| Waited::Answer(Some(answer))),
            None => Ok(Waited::Interrupted),
        }
    }

    fn understand(&mut self, body: &[u8]) -> Result<Results, Failure> {
        let strange = |what| Failure::Strange { address: self.client.address().clone(), what };
        let mut answer: Value = serde_json::from_slice(body).map_err(|_| strange("it is no JSON"))?;
        let mut results = match answer["r"].take() {
            Value::Array(results) => results,
            _ => return Err(strange("it has no results")),
        };
        let results = match answer["t"].as_u64() {
            Some(ATOM) => Results::Value(results.pop().ok_or_else(|| strange("it has no value"))?),
            Some(SEQUENCE | PARTIAL) => Results::Rows(results),
            Some(kind @ 16..=18) => {
                let message = results.first().and_then(Value::as_str).unwrap_or("no reason is given").to_owned();
                let number = answer["e"].as_u64();
                return Err(Failure::Query { kind: name_of(kind, number), message, is_denied: number == Some(DENIED) });
            }
            _ => return Err(strange("it is of no kind that is known")),
        };
        self.is_over = answer["t"] != PARTIAL;
        self.is_feed |=
            answer["n"].as_array().is_some_and(|notes| notes.iter().any(|note| note.as_u64() < Some(STATES)));
        Ok(results)
    }

    /// Whether it goes on for ever.
    pub fn is_feed(&self) -> bool {
        self.is_feed
    }
}

const ATOM: u64 = 1;
const SEQUENCE: u64 = 2;
const PARTIAL: u64 = 3;

/// The number of errors of who may not.
const DENIED: u64 = 6_000_000;

/// Notes below this one say that it is a feed, and of which kind.
const STATES: u64 = 5;

enum Broken {
    Status(tonic::Status),
    Version(photondb_proto::convert::ConvertError),
    TooLong,
}

async fn read_answer(parts: &mut Streaming<v1::QueryResponse>) -> Result<Vec<u8>, Broken> {
    let mut body = Vec::new();
    loop {
        let part = parts.message().await.map_err(Broken::Status)?;
        let part = part.ok_or_else(|| Broken::Status(tonic::Status::internal("the answer ends in the middle")))?;
        check_version(part.version).map_err(Broken::Version)?;
        body.extend_from_slice(&part.part);
        if body.len() > ANSWER_BYTES_MAX {
            return Err(Broken::TooLong);
        }
        if part.ends {
            return Ok(body);
        }
    }
}

/// What drivers call the error.
fn name_of(kind: u64, number: Option<u64>) -> &'static str {
    match (kind, number) {
        (16, _) => "ReqlDriverError",
        (17, _) => "ReqlCompileError",
        (_, Some(1_000_000)) => "ReqlInternalError",
        (_, Some(2_000_000)) => "ReqlResourceLimitError",
        (_, Some(3_000_000)) => "ReqlQueryLogicError",
        (_, Some(3_100_000)) => "ReqlNonExistenceError",
        (_, Some(4_100_000)) => "ReqlOpFailedError",
        (_, Some(4_200_000)) => "ReqlOpIndeterminateError",
        (_, Some(5_000_000)) => "ReqlUserError",
        (_, Some(DENIED)) => "ReqlPermissionError",
        _ => "ReqlRuntimeError",
    }
}
