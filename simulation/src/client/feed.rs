//! A changefeed, on a connection of its own.

use std::collections::VecDeque;
use std::time::Duration;

use photondb_history::answer::Failure;
use photondb_history::feed::{FeedEvent, token_of};
use photondb_runtime::task;

use super::connection::{Connection, Part, Token};
use crate::term::Term;

/// An open feed.
pub struct Feed {
    connection: Connection,
    token: Token,
    /// Each event with its token.
    arrived: VecDeque<(FeedEvent, Option<String>)>,
    /// Where it can go on behind the last event that was given, if that said so.
    at: Option<String>,
    /// Whether CONTINUE has been sent and not answered.
    asked: bool,
}

impl Feed {
    pub(super) async fn open(mut connection: Connection, term: &Term) -> Result<Feed, Failure> {
        let token = connection.start(term).await?;
        let mut feed = Feed { connection, token, arrived: VecDeque::new(), at: None, asked: true };
        feed.receive().await?;
        Ok(feed)
    }

    /// The next event, or `None` when none comes within `wait`. After an error the feed is of no use.
    pub async fn next(&mut self, wait: Duration) -> Result<Option<FeedEvent>, Failure> {
        if self.arrived.is_empty() {
            if !self.asked {
                self.connection.go_on(self.token).await?;
                self.asked = true;
            }
            match task::timeout(wait, Box::pin(self.receive())).await {
                Ok(received) => received?,
                Err(_) => return Ok(None),
            }
        }
        let Some((event, at)) = self.arrived.pop_front() else { return Ok(None) };
        self.at = at;
        Ok(Some(event))
    }

    /// The token of the event that was given last.
    pub fn token(&self) -> Option<&str> {
        self.at.as_deref()
    }

    /// Ends the feed, as a driver's `close` does.
    pub async fn close(mut self) -> Result<(), Failure> {
        self.connection.stop(self.token).await
    }

    async fn receive(&mut self) -> Result<(), Failure> {
        match self.connection.part(self.token).await? {
            Part::Rows { rows, more: true } => {
                self.asked = false;
                self.arrived.extend(rows.into_iter().map(|row| {
                    let token = token_of(&row);
                    (FeedEvent::of(row), token)
                }));
                Ok(())
            }
            other => Err(Failure::Unknown(format!("a feed answered {other:?}"))),
        }
    }
}
