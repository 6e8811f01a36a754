//! What a changefeed says.

use serde_json::Value;

/// What comes out of a feed.
#[derive(Clone, Debug, PartialEq)]
pub enum FeedEvent {
    /// A document of the initial content.
    Initial(Value),
    /// What the document was, and what it is; `Null` for none.
    Change {
        /// Before.
        old: Value,
        /// After.
        new: Value,
    },
    /// The initial content begins, or is complete.
    State(String),
    /// Something else.
    Strange(Value),
}

impl FeedEvent {
    /// What a row of the answer says.
    pub fn of(mut row: Value) -> FeedEvent {
        if let Some(state) = row.get("state").and_then(Value::as_str) {
            return FeedEvent::State(state.to_owned());
        }
        let Some(fields) = row.as_object_mut() else { return FeedEvent::Strange(row) };
        match (fields.remove("old_val"), fields.remove("new_val")) {
            (None, Some(new)) => FeedEvent::Initial(new),
            (Some(old), Some(new)) => FeedEvent::Change { old, new },
            _ => FeedEvent::Strange(row),
        }
    }
}

/// Where the feed can go on behind a row of the answer, if it says so.
pub fn token_of(row: &Value) -> Option<String> {
    row.get("resume_token").and_then(Value::as_str).map(str::to_owned)
}
