//! How a query ended, as far as its client knows.

use std::fmt;

use serde_json::Value;

/// What a query answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// One value.
    Value(Value),
    /// All rows of a stream.
    Rows(Vec<Value>),
}

impl Answer {
    /// The value, or the rows as an array.
    pub fn into_value(self) -> Value {
        match self {
            Answer::Value(value) => value,
            Answer::Rows(rows) => Value::Array(rows),
        }
    }

    /// The rows, or the elements of an array. `None`: it is neither.
    pub fn into_rows(self) -> Option<Vec<Value>> {
        match self {
            Answer::Value(Value::Array(rows)) | Answer::Rows(rows) => Some(rows),
            Answer::Value(_) => None,
        }
    }
}

/// The kind of an error answer, by its numbers on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The message is malformed.
    Client,
    /// The query does not compile.
    Compile,
    /// A bug of the node.
    Internal,
    /// More than a limit.
    ResourceLimit,
    /// The query is wrong for its data.
    Logic,
    /// A field, element or document is missing.
    NonExistence,
    /// It certainly did not happen.
    OpFailed,
    /// It may have happened.
    OpIndeterminate,
    /// `r.error`.
    User,
    /// The user may not.
    Permission,
    /// A number that the protocol does not have.
    Strange,
}

impl ErrorKind {
    /// By the `t` and `e` of an answer.
    pub fn of(response: u64, error: Option<u64>) -> ErrorKind {
        match (response, error) {
            (16, _) => ErrorKind::Client,
            (17, _) => ErrorKind::Compile,
            (18, Some(1_000_000)) => ErrorKind::Internal,
            (18, Some(2_000_000)) => ErrorKind::ResourceLimit,
            (18, Some(3_000_000)) => ErrorKind::Logic,
            (18, Some(3_100_000)) => ErrorKind::NonExistence,
            (18, Some(4_100_000)) => ErrorKind::OpFailed,
            (18, Some(4_200_000)) => ErrorKind::OpIndeterminate,
            (18, Some(5_000_000)) => ErrorKind::User,
            (18, Some(6_000_000)) => ErrorKind::Permission,
            _ => ErrorKind::Strange,
        }
    }
}

/// An error answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerError {
    /// Which.
    pub kind: ErrorKind,
    /// For people.
    pub message: String,
}

impl fmt::Display for ServerError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}: {}", self.kind, self.message)
    }
}

/// Why there is no answer, and what that says about the query's effect. Of a query that writes several documents even
/// [`Failure::Refused`] says only that not all of them were written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It never left the client.
    NotSent(String),
    /// It was sent, and nobody knows.
    Unknown(String),
    /// The node says that nobody knows.
    Indeterminate(ServerError),
    /// The node says that it certainly was not carried out.
    Refused(ServerError),
}

impl Failure {
    /// What an error answer says.
    pub fn of(error: ServerError) -> Failure {
        match error.kind {
            // A node that is at fault itself is not believed; one that gave up for lack of something may have begun.
            ErrorKind::OpIndeterminate | ErrorKind::Internal | ErrorKind::ResourceLimit | ErrorKind::Strange => {
                Failure::Indeterminate(error)
            }
            ErrorKind::Client
            | ErrorKind::Compile
            | ErrorKind::Logic
            | ErrorKind::NonExistence
            | ErrorKind::OpFailed
            | ErrorKind::User
            | ErrorKind::Permission => Failure::Refused(error),
        }
    }

    /// Whether one document that it was to write is certainly as before.
    pub fn is_definite(&self) -> bool {
        matches!(self, Failure::NotSent(_) | Failure::Refused(_))
    }

    /// The error answer, if one came.
    pub fn server_error(&self) -> Option<&ServerError> {
        match self {
            Failure::Refused(error) | Failure::Indeterminate(error) => Some(error),
            Failure::NotSent(_) | Failure::Unknown(_) => None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::NotSent(reason) => write!(formatter, "not sent ({reason})"),
            Failure::Unknown(reason) => write!(formatter, "fate unknown ({reason})"),
            Failure::Indeterminate(error) => write!(formatter, "fate unknown ({error})"),
            Failure::Refused(error) => write!(formatter, "not carried out ({error})"),
        }
    }
}
