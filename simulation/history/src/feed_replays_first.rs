//! A changefeed of the first documents in some order, replayed, is those documents: what leaves was there, what comes was not, and
//! there are never more than were asked for.
//!
//! A document that leaves and one that takes its place are one change. Which documents are the first ones at any moment the feed alone
//! knows; when nobody writes any more they are those that a read gives.

use serde_json::Value;

use crate::Violation;
use crate::feed::FeedEvent;
use crate::feed_replays_table::{Documents, key};

const PROPERTY: &str = "feed replays first documents";

/// One opening of a feed, replayed as it comes.
#[derive(Clone, Debug)]
pub struct FirstReplay {
    /// How many documents were asked for.
    limit: usize,
    documents: Documents,
    is_ready: bool,
    events: u64,
}

impl FirstReplay {
    /// Of a feed of the first `limit` documents.
    pub fn new(limit: usize) -> FirstReplay {
        FirstReplay { limit, documents: Documents::new(), is_ready: false, events: 0 }
    }

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
            FeedEvent::Initial(_) if self.is_ready => Err("initial content came after its end".to_owned()),
            FeedEvent::Initial(document) => self.comes(document),
            FeedEvent::Change { old, new } => self.change(old, new),
            FeedEvent::Strange(_) => Err("it is no event of a feed".to_owned()),
        };
        let evidence = |reason| format!("event {place} of the feed, {event:?}: {reason}");
        result.map_err(|reason| Violation { property: PROPERTY, evidence: evidence(reason) })
    }

    /// How many events there were.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Compares with the first documents, read when nobody wrote any more and nothing was under way to the feed.
    pub fn check_end(&self, first: &Documents) -> Result<(), Violation> {
        if self.is_ready && self.documents == *first {
            return Ok(());
        }
        let (replayed, events, is_ready) = (&self.documents, self.events, self.is_ready);
        let evidence =
            format!("they are {first:?}, and {replayed:?} by {events} events of the feed, ready: {is_ready}");
        Err(Violation { property: PROPERTY, evidence })
    }

    fn change(&mut self, old: &Value, new: &Value) -> Result<(), String> {
        if old == new {
            return Err("it changes nothing".to_owned());
        }
        if !old.is_null() {
            match self.documents.remove(&key(old)?) {
                Some(known) if known == *old => {}
                known => return Err(format!("it does not follow {known:?}")),
            }
        }
        if new.is_null() { Ok(()) } else { self.comes(new) }
    }

    fn comes(&mut self, document: &Value) -> Result<(), String> {
        if let Some(before) = self.documents.insert(key(document)?, document.clone()) {
            return Err(format!("it was there already as {before}"));
        }
        if self.documents.len() > self.limit {
            return Err(format!("{} documents are more than {}", self.documents.len(), self.limit));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn replayed(changes: &[(Value, Value)]) -> Result<FirstReplay, Violation> {
        let mut replay = FirstReplay::new(2);
        for event in [FeedEvent::State("initializing".to_owned()), FeedEvent::Initial(json!({"id": 1, "n": 1}))] {
            replay.take(&event)?;
        }
        replay.take(&FeedEvent::State("ready".to_owned()))?;
        for (old, new) in changes {
            replay.take(&FeedEvent::Change { old: old.clone(), new: new.clone() })?;
        }
        Ok(replay)
    }

    #[test]
    fn what_leaves_was_there_and_what_comes_was_not() {
        let document = |id: u64, n: u64| json!({"id": id, "n": n});
        let replay = replayed(&[
            (Value::Null, document(2, 5)),
            // One takes the place of another, one is changed, one goes and has no successor.
            (document(1, 1), document(3, 2)),
            (document(3, 2), document(3, 4)),
            (document(2, 5), Value::Null),
        ]);
        let replay = replay.unwrap();
        let first = |documents: &[Value]| documents.iter().map(|one| (key(one).unwrap(), one.clone())).collect();
        assert_eq!(replay.check_end(&first(&[document(3, 4)])), Ok(()));
        assert!(replay.check_end(&first(&[document(3, 5)])).is_err());
        assert!(replay.check_end(&first(&[document(3, 4), document(2, 5)])).is_err());
        for (wrong, old, new) in [
            ("its version is another one", document(1, 2), document(2, 2)),
            ("it is not there", document(2, 2), Value::Null),
            ("it is there", Value::Null, document(1, 1)),
            ("it changes nothing", document(1, 1), document(1, 1)),
        ] {
            assert!(replayed(&[(old, new)]).is_err(), "{wrong}");
        }
        assert!(
            replayed(&[(Value::Null, document(2, 2)), (Value::Null, document(3, 3))]).is_err(),
            "three are too many"
        );
    }

    #[test]
    fn initial_content_ends_once() {
        let mut replay = FirstReplay::new(2);
        assert!(replay.check_end(&Documents::new()).is_err(), "it has not ended");
        replay.take(&FeedEvent::State("ready".to_owned())).unwrap();
        assert!(replay.check_end(&Documents::new()).is_ok());
        assert!(replay.take(&FeedEvent::Initial(json!({"id": 1}))).is_err());
        assert!(replay.take(&FeedEvent::State("ready".to_owned())).is_err());
    }
}
