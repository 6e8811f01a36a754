//! Why the model has no answer.

use std::fmt;

use crate::client::ErrorKind;

/// No answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The query must fail so. Only the kind counts; the words are for people.
    Error(ErrorKind, String),
    /// The model does not know what the answer is.
    Undefined(String),
}

impl Fault {
    /// A query that is wrong for its data.
    pub fn logic(message: impl Into<String>) -> Fault {
        Fault::Error(ErrorKind::Logic, message.into())
    }

    /// Something is not there; `default` takes its place.
    pub fn missing(message: impl Into<String>) -> Fault {
        Fault::Error(ErrorKind::NonExistence, message.into())
    }

    /// Not a part of the model.
    pub fn undefined(what: impl fmt::Display) -> Fault {
        Fault::Undefined(what.to_string())
    }

    /// Whether `default` takes the place of it.
    pub fn is_missing(&self) -> bool {
        matches!(self, Fault::Error(ErrorKind::NonExistence, _))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Error(kind, message) => write!(formatter, "{kind:?}: {message}"),
            Fault::Undefined(what) => write!(formatter, "undefined: {what}"),
        }
    }
}
