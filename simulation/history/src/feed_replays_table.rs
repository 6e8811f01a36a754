//! A changefeed with initial content, replayed, is the table: no gap, no double, in order for each document.
//!
//! Each change says what the document was before, and no two versions of a document are equal; so a change that is missing,
//! comes twice or comes early does not follow what was replayed. A feed that ends is opened anew, and replayed from nothing, or with a token
//! from where the token was given.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::Violation;
use crate::feed::FeedEvent;

const PROPERTY: &str = "feed replays table";

/// Documents by their primary key as text.
pub type Documents = BTreeMap<String, Value>;

/// One opening of a feed, replayed as it comes.
#[derive(Clone, Debug, Default)]
pub struct Replay {
    documents: Documents,
    is_ready: bool,
    /// It was opened with a token, which takes the place of initial content.
    goes_on: bool,
    events: u64,
}

impl Replay {
    /// The next event of the feed.
    pub fn take(&mut self, event: &FeedEvent) -> Result<(), Violation> {
        self.events += 1;
        let place = self.events;
        let result = match event {
            FeedEvent::State(state) => match (state.as_str(), self.is_ready) {
                ("initializing", false) => Ok(()),
                ("ready", false) => {
                    self.is_ready = true;
                    Ok(())
                }
                _ => Err(format!("the state {state} came, ready: {}", self.is_ready)),
            },
            FeedEvent::Initial(_) if self.goes_on => Err("initial content came to who goes on".to_owned()),
            FeedEvent::Initial(_) if self.is_ready => Err("initial content came after its end".to_owned()),
            FeedEvent::Initial(document) => {
                key(document).and_then(|key| match self.documents.insert(key, document.clone()) {
                    None => Ok(()),
                    Some(before) => Err(format!("it was there already as {before}")),
                })
            }
            FeedEvent::Change { old, new } => self.change(old, new),
            FeedEvent::Strange(_) => Err("it is no event of a feed".to_owned()),
        };
        let evidence = |reason| format!("event {place} of the feed, {event:?}: {reason}");
        result.map_err(|reason| Violation { property: PROPERTY, evidence: evidence(reason) })
    }

    /// The feed is opened anew, with the token of the last event.
    pub fn go_on(&mut self) {
        (self.is_ready, self.goes_on) = (false, true);
    }

    /// Whether the initial content is complete.
    pub fn is_ready(&self) -> bool {
        self.is_ready
    }

    /// How many events there were.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Compares with the table, read when nobody wrote any more and nothing was under way to the feed.
    pub fn check_end(&self, table: &Documents) -> Result<(), Violation> {
        if !self.is_ready {
            let evidence = "the initial content never ended".to_owned();
            return Err(Violation { property: PROPERTY, evidence });
        }
        if self.documents == *table {
            return Ok(());
        }
        let keys = self.documents.keys().chain(table.keys());
        let mut different = keys.filter(|key| self.documents.get(*key) != table.get(*key));
        let evidence = different.next().map_or_else(String::new, |key| {
            let (replayed, read) = (self.documents.get(key), table.get(key));
            format!("document {key} is {read:?}, and {replayed:?} by the {} events of the feed", self.events)
        });
        Err(Violation { property: PROPERTY, evidence })
    }

    fn change(&mut self, old: &Value, new: &Value) -> Result<(), String> {
        let key = key(if new.is_null() { old } else { new })?;
        let known = self.documents.get(&key).unwrap_or(&Value::Null);
        if known != old {
            return Err(format!("it does not follow {known}"));
        }
        if old == new {
            return Err("it changes nothing".to_owned());
        }
        match new {
            Value::Null => self.documents.remove(&key),
            new => self.documents.insert(key, new.clone()),
        };
        Ok(())
    }
}

/// The key of a document among [`Documents`]. Errors: it has none.
pub fn key(document: &Value) -> Result<String, String> {
    document.get("id").map(Value::to_string).ok_or_else(|| format!("{document} has no key"))
}
