//! Errors as a ReQL client sees them: a kind with its wire numbers, RethinkDB's text, and where in the query it arose.

use crate::datum::Datum;
use crate::term::BacktraceId;

/// Who is to blame, which decides the response type and the error number on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorKind {
    /// The message itself is malformed (response type 16).
    Client,
    /// The query does not compile (response type 17).
    Compile,
    /// A bug of ours.
    Internal,
    ResourceLimit,
    QueryLogic,
    /// A missing field, element or document; `default` catches these.
    NonExistence,
    /// The operation certainly did not happen.
    OpFailed,
    /// The operation may or may not have happened.
    OpIndeterminate,
    /// `r.error(..)`.
    User,
    Permission,
}

/// Every kind, in the order of the wire numbers; the position is the stable code used by [`ErrorKind::code`].
const KINDS: [ErrorKind; 10] = [
    ErrorKind::Client,
    ErrorKind::Compile,
    ErrorKind::Internal,
    ErrorKind::ResourceLimit,
    ErrorKind::QueryLogic,
    ErrorKind::NonExistence,
    ErrorKind::OpFailed,
    ErrorKind::OpIndeterminate,
    ErrorKind::User,
    ErrorKind::Permission,
];

impl ErrorKind {
    /// The `t` of the response.
    pub fn response_type(self) -> u8 {
        match self {
            ErrorKind::Client => 16,
            ErrorKind::Compile => 17,
            _ => 18,
        }
    }

    /// The `e` of the response; only runtime errors carry one.
    pub fn number(self) -> Option<u32> {
        match self {
            ErrorKind::Client | ErrorKind::Compile => None,
            ErrorKind::Internal => Some(1_000_000),
            ErrorKind::ResourceLimit => Some(2_000_000),
            ErrorKind::QueryLogic => Some(3_000_000),
            ErrorKind::NonExistence => Some(3_100_000),
            ErrorKind::OpFailed => Some(4_100_000),
            ErrorKind::OpIndeterminate => Some(4_200_000),
            ErrorKind::User => Some(5_000_000),
            ErrorKind::Permission => Some(6_000_000),
        }
    }

    /// A stable small number for messages between nodes; see [`ErrorKind::from_code`].
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The kind that has this code.
    pub fn from_code(code: u8) -> Option<ErrorKind> {
        KINDS.get(usize::from(code)).copied()
    }
}

/// An error on its way to the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    pub kind: ErrorKind,
    pub message: String,
    /// The innermost term that knows better where the fault is; set once, see [`Error::at`].
    pub backtrace: Option<BacktraceId>,
}

/// The result of anything that may end a query.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Error {
        Error { kind, message: message.into(), backtrace: None }
    }

    pub fn client(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Client, message)
    }

    pub fn compile(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Compile, message)
    }

    pub fn internal(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Internal, message)
    }

    pub fn resource(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::ResourceLimit, message)
    }

    pub fn logic(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::QueryLogic, message)
    }

    pub fn non_existence(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::NonExistence, message)
    }

    pub fn op_failed(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::OpFailed, message)
    }

    pub fn op_indeterminate(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::OpIndeterminate, message)
    }

    pub fn user(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::User, message)
    }

    pub fn permission(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Permission, message)
    }

    /// A value of the wrong type. RethinkDB counts an unexpected null as something missing, so that `default` catches it.
    pub fn wrong_type(found: &Datum, message: impl Into<String>) -> Error {
        let kind = if matches!(found, Datum::Null) { ErrorKind::NonExistence } else { ErrorKind::QueryLogic };
        Error::new(kind, message)
    }

    /// `Expected type STRING but found NUMBER.`
    pub fn expected_type(expected: &str, found: &Datum) -> Error {
        Error::wrong_type(found, format!("Expected type {expected} but found {}.", found.type_name()))
    }

    /// The array is larger than `limit` allows.
    pub fn array_too_large(limit: usize) -> Error {
        Error::resource(format!(
            "Array over size limit `{limit}`.  To raise the number of allowed elements, modify the `array_limit` option \
             to `.run` (not available in the Data Explorer), or use an index."
        ))
    }

    /// The query holds more than `limit` bytes.
    pub fn query_too_large(limit: usize) -> Error {
        Error::resource(format!(
            "Query over memory limit `{limit}` bytes.  Use a smaller selection, a reduction (like `.reduce` or `.count`), \
             or an index."
        ))
    }

    /// All queries of the server together would hold more than `limit` bytes.
    pub fn queries_too_large(limit: usize) -> Error {
        Error::resource(format!(
            "All queries together over memory limit `{limit}` bytes of this server.  Try again when fewer run, use a smaller \
             selection or a reduction (like `.reduce` or `.count`), or give the server more memory or a smaller \
             `--cache-size`."
        ))
    }

    /// Names the term at fault unless a term further inside already has.
    #[must_use]
    pub fn at(mut self, id: BacktraceId) -> Error {
        if self.backtrace.is_none() {
            self.backtrace = Some(id);
        }
        self
    }

    /// Whether `default` replaces this error by its fallback.
    pub fn is_non_existence(&self) -> bool {
        self.kind == ErrorKind::NonExistence
    }
}

/// Adds the place to an error in passing: `evaluate(..).at(id)?`.
pub trait ResultExt<T> {
    fn at(self, id: BacktraceId) -> Result<T>;
}

impl<T> ResultExt<T> for Result<T> {
    fn at(self, id: BacktraceId) -> Result<T> {
        self.map_err(|error| error.at(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_round_trip() {
        for kind in KINDS {
            assert_eq!(ErrorKind::from_code(kind.code()), Some(kind));
        }
        assert_eq!(ErrorKind::from_code(10), None);
    }

    #[test]
    fn the_innermost_place_wins() {
        let error = Error::logic("x").at(BacktraceId::new(3)).at(BacktraceId::new(1));
        assert_eq!(error.backtrace, Some(BacktraceId::new(3)));
    }

    #[test]
    fn an_unexpected_null_counts_as_missing() {
        assert!(Error::expected_type("STRING", &Datum::Null).is_non_existence());
        assert_eq!(Error::expected_type("STRING", &Datum::Bool(true)).message, "Expected type STRING but found BOOL.");
    }
}
