//! A client that follows a table by its changefeed, and applies what it says.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use photondb_history::feed::FeedEvent;
use photondb_history::feed_replays_table::{Documents, Replay, key};
use photondb_history::term;
use serde_json::json;

use crate::connection::Connection;

/// What a feed has still to say when nobody writes any more comes within this time.
const QUIET_TIME: Duration = Duration::from_secs(2);

/// A feed that is followed from its initial content on.
pub struct Follower {
    table: String,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Replay, String>>,
}

impl Follower {
    /// Follows a table, asked of the node with this driver port.
    pub fn start(port: u16, table: &str) -> Follower {
        let mut connection = Connection::try_open(port).expect("the node answers");
        let feed = json!([1, term::changes(term::table(table), true)]).to_string();
        let stop = Arc::new(AtomicBool::new(false));
        let asked_to_stop = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut replay = Replay::default();
            let token = connection.send(&feed).map_err(|error| error.to_string())?;
            while !asked_to_stop.load(Ordering::Acquire) {
                let received = connection.receive_within(Duration::from_millis(100));
                let Some((_, answer)) = received.map_err(|error| format!("the feed broke: {error}"))? else { continue };
                if answer["t"] != 3 {
                    return Err(format!("the feed ended: {answer}"));
                }
                for row in answer["r"].as_array().into_iter().flatten() {
                    replay.take(&FeedEvent::of(row.clone())).map_err(|violation| violation.to_string())?;
                }
                connection.send_as(token, "[2]").map_err(|error| error.to_string())?;
            }
            Ok(replay)
        });
        Follower { table: table.to_owned(), stop, thread }
    }

    /// Waits a moment for what is under way, when nobody writes any more, and compares with the table. Panics unless they are
    /// equal; says how much there was.
    pub fn finish(self, other: &mut Connection) -> String {
        let begun = Instant::now();
        while begun.elapsed() < QUIET_TIME && !self.thread.is_finished() {
            std::thread::sleep(Duration::from_millis(50));
        }
        let rows = other.rows(&term::table(&self.table).to_string());
        let documents: Documents = rows.into_iter().filter_map(|row| Some((key(&row).ok()?, row))).collect();
        self.stop.store(true, Ordering::Release);
        let replay = match self.thread.join() {
            Ok(replay) => replay.unwrap_or_else(|reason| panic!("the feed of `{}`: {reason}", self.table)),
            Err(panic) => std::panic::resume_unwind(panic),
        };
        if let Err(violation) = replay.check_end(&documents) {
            panic!("the feed of `{}`: {violation}", self.table);
        }
        format!("{} events of `{}`", replay.events(), self.table)
    }
}
