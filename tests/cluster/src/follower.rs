//! A client that follows a table, or the first documents of one, by a changefeed, and applies what it says.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use photondb_history::feed::{FeedEvent, token_of};
use photondb_history::feed_replays_first::FirstReplay;
use photondb_history::feed_replays_table::{Documents, Replay, key};
use photondb_history::shown::Shown;
use photondb_history::term::{self, Term};
use serde_json::json;

use crate::connection::Connection;

/// What a feed has still to say when nobody writes any more comes within this time.
const QUIET_TIME: Duration = Duration::from_secs(2);

/// A feed that is followed from its initial content on.
pub struct Follower {
    /// What is followed, as a query.
    followed: Term,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Shown, String>>,
}

/// Elements that a follower who goes on by tokens reads before it leaves, at most.
const STAYS_MAX: u64 = 40;

/// How long it stays where nothing comes.
const STAYS_QUIET: Duration = Duration::from_millis(500);

/// A follower that goes from node to node, and what it has by its last token.
struct Roaming {
    table: String,
    /// What was shown by the last element that had a token, and the token.
    kept: Option<(Replay, String)>,
    replay: Replay,
    went_on: u64,
}

impl Roaming {
    /// Follows at one node until it likes to leave, or the connection breaks. Errors: what no feed may say. Whether it was quiet there.
    fn stay(&mut self, port: u16, elements: u64, stop: &AtomicBool) -> Result<bool, String> {
        let Some(mut connection) = Connection::try_open(port) else { return Ok(false) };
        self.replay = Replay::default();
        if let Some((shown, _)) = &self.kept {
            self.replay = shown.clone();
            self.replay.go_on();
        }
        let at = self.kept.as_ref().map(|(_, token)| token.as_str());
        let query = term::changes_with_tokens(term::table(&self.table), at);
        let Ok(token) = connection.send(&json!([1, query]).to_string()) else { return Ok(false) };
        let (mut read, mut opened) = (0, false);
        loop {
            let Ok(received) = connection.receive_within(STAYS_QUIET) else { return Ok(false) };
            let Some((_, answer)) = received else { return Ok(opened) };
            if answer["t"] != 3 {
                // A node that finds no leader in time says so; what it says of the token itself is wrong.
                let said = answer.to_string();
                return if said.contains("resume token") { Err(said) } else { Ok(false) };
            }
            self.went_on += u64::from(!opened && self.kept.is_some());
            opened = true;
            for row in answer["r"].as_array().into_iter().flatten() {
                let event = FeedEvent::of(row.clone());
                self.replay.take(&event).map_err(|violation| violation.to_string())?;
                if let Some(token) = token_of(row) {
                    self.kept = Some((self.replay.clone(), token));
                }
                read += 1;
                // Some elements of the same answer are read and forgotten. Initial content has no token, and is read to its end.
                if read >= elements && self.kept.is_some() && !stop.load(Ordering::Acquire) {
                    return Ok(false);
                }
            }
            if connection.send_as(token, "[2]").is_err() {
                return Ok(false);
            }
        }
    }
}

impl Follower {
    /// Follows a table, asked of the node with this driver port.
    pub fn start(port: u16, table: &str) -> Follower {
        Follower::follow(port, term::table(table), Shown::Table(Replay::default()))
    }

    /// Follows the first documents of a table in the order of an index, asked of the node with this driver port.
    pub fn start_first(port: u16, table: &str, index: &str, count: usize) -> Follower {
        let first = term::first(term::table(table), index, count as u64);
        Follower::follow(port, first, Shown::First(FirstReplay::new(count)))
    }

    fn follow(port: u16, followed: Term, mut shown: Shown) -> Follower {
        let mut connection = Connection::try_open(port).expect("the node answers");
        let feed = json!([1, term::changes(followed.clone(), true)]).to_string();
        let stop = Arc::new(AtomicBool::new(false));
        let asked_to_stop = stop.clone();
        let thread = std::thread::spawn(move || {
            let token = connection.send(&feed).map_err(|error| error.to_string())?;
            while !asked_to_stop.load(Ordering::Acquire) {
                let received = connection.receive_within(Duration::from_millis(100));
                let Some((_, answer)) = received.map_err(|error| format!("the feed broke: {error}"))? else { continue };
                if answer["t"] != 3 {
                    return Err(format!("the feed ended: {answer}"));
                }
                for row in answer["r"].as_array().into_iter().flatten() {
                    shown.take(&FeedEvent::of(row.clone())).map_err(|violation| violation.to_string())?;
                }
                connection.send_as(token, "[2]").map_err(|error| error.to_string())?;
            }
            Ok(shown)
        });
        Follower { followed, stop, thread }
    }

    /// Follows a table by resume tokens: at the nodes with these driver ports in turn, leaving each after some elements.
    pub fn roam(ports: Vec<u16>, table: &str, seed: u64) -> Follower {
        let stop = Arc::new(AtomicBool::new(false));
        let asked_to_stop = stop.clone();
        let mut roaming = Roaming { table: table.to_owned(), kept: None, replay: Replay::default(), went_on: 0 };
        let thread = std::thread::spawn(move || {
            for turn in 0u64.. {
                let drawn = (seed ^ turn).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
                let stopping = asked_to_stop.load(Ordering::Acquire);
                let port = ports[(turn + drawn) as usize % ports.len()];
                let was_quiet = roaming.stay(port, 1 + drawn % STAYS_MAX, &asked_to_stop)?;
                if was_quiet && stopping {
                    break;
                }
                if !was_quiet && roaming.kept.is_none() {
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
            match roaming.went_on {
                0..=2 => Err(format!("it went on {} times only", roaming.went_on)),
                _ => Ok(Shown::Table(roaming.replay)),
            }
        });
        Follower { followed: term::table(table), stop, thread }
    }

    /// Waits a moment for what is under way, when nobody writes any more, and compares with a read of the same. Panics unless they are
    /// equal; says how much there was.
    pub fn finish(self, other: &mut Connection) -> String {
        let begun = Instant::now();
        while begun.elapsed() < QUIET_TIME && !self.thread.is_finished() {
            std::thread::sleep(Duration::from_millis(50));
        }
        let followed = self.followed.to_string();
        let rows = other.rows(&followed);
        let documents: Documents = rows.into_iter().filter_map(|row| Some((key(&row).ok()?, row))).collect();
        self.stop.store(true, Ordering::Release);
        let shown = match self.thread.join() {
            Ok(shown) => shown.unwrap_or_else(|reason| panic!("the feed of {followed}: {reason}")),
            Err(panic) => std::panic::resume_unwind(panic),
        };
        if let Err(violation) = shown.check_end(&documents) {
            panic!("the feed of {followed}: {violation}");
        }
        format!("{} events of {followed}", shown.events())
    }
}
