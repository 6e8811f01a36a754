//! Writers, and followers who replay a changefeed of the table; one that breaks is opened anew.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use photondb_runtime::network::LocalFuture;
use photondb_runtime::task;
use serde_json::{Value, json};

use super::insisting::{insist, insist_on_table};
use super::limits::{FEED_SETTLES, LISTEN};
use super::{ClusterWorkload, Found};
use crate::checker::Violation;
use crate::checker::feed_replays_table::{Documents, Replay};
use crate::client::{Client, ClientId, Failure, Feed};
use crate::random::Random;
use crate::term::{self, Term};

const TABLE: &str = "feed_replay";

/// An open feed and what it has shown.
struct Follower {
    feed: Feed,
    replay: Replay,
}

/// The workload.
pub struct FeedReplay {
    keys: u64,
    /// Clients below this number follow, the others write.
    followers_max: u64,
    next_version: Cell<u64>,
    followers: RefCell<BTreeMap<ClientId, Follower>>,
    opened: Cell<u64>,
    found: Found,
}

impl FeedReplay {
    /// On so many documents, with so many of the clients following.
    pub fn new(keys: u64, followers: u64) -> FeedReplay {
        FeedReplay {
            keys,
            followers_max: followers,
            next_version: Cell::new(1),
            followers: RefCell::default(),
            opened: Cell::new(0),
            found: Found::default(),
        }
    }

    /// Feeds opened so far.
    pub fn opened(&self) -> u64 {
        self.opened.get()
    }

    async fn write(&self, client: &mut Client, random: &mut Random) {
        let key = random.below(self.keys);
        let query = if random.once_in(4) {
            term::delete(term::get(term::table(TABLE), key), false)
        } else {
            // No two versions are equal.
            let version = self.next_version.replace(self.next_version.get() + 1);
            let conflict = random.pick(&["replace", "update", "error"]);
            term::insert(term::table(TABLE), json!({ "id": key, "v": version }), conflict, false)
        };
        // Whatever became of it, the feed says.
        drop(client.query(&query).await);
    }

    /// Listens for `LISTEN`, or until nothing more comes within `quiet`.
    async fn follow(&self, client: &mut Client, until_quiet: bool) {
        let open = self.followers.borrow_mut().remove(&client.id);
        let mut follower = match open {
            Some(follower) => follower,
            None => match client.feed(&term::changes(term::table(TABLE), true)).await {
                Ok(feed) => {
                    self.opened.set(self.opened.get() + 1);
                    Follower { feed, replay: Replay::default() }
                }
                Err(_) => return,
            },
        };
        let began = client.now();
        loop {
            let wait = if until_quiet { FEED_SETTLES } else { LISTEN };
            match follower.feed.next(wait).await {
                Ok(Some(event)) => {
                    let result = follower.replay.take(&event);
                    let is_over = result.is_err();
                    self.found.take(result);
                    if is_over {
                        return;
                    }
                }
                Ok(None) => break,
                // It ends with its connection, or with the leader it followed.
                Err(_) => return,
            }
            if !until_quiet && client.now().0 - began.0 > LISTEN.as_micros() as u64 {
                break;
            }
        }
        self.followers.borrow_mut().insert(client.id, follower);
    }
}

fn documents(answer: Option<Vec<Value>>) -> Option<Documents> {
    answer?.into_iter().map(|document| Some((document["id"].as_u64()?, document))).collect()
}

impl ClusterWorkload for FeedReplay {
    fn name(&self) -> &'static str {
        "feed_replay"
    }

    fn setup<'a>(&'a self, client: &'a mut Client) -> LocalFuture<'a, Result<(), Failure>> {
        Box::pin(insist_on_table(client, TABLE))
    }

    fn step<'a>(&'a self, client: &'a mut Client, random: &'a mut Random) -> LocalFuture<'a, ()> {
        Box::pin(async move {
            if client.id.0 < self.followers_max {
                self.follow(client, false).await;
            } else {
                self.write(client, random).await;
            }
        })
    }

    fn finish<'a>(&'a self, client: &'a mut Client) -> LocalFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            let whole: Term = term::table(TABLE);
            insist(client, &whole).await?;
            // Feeds that are open go on to the end; one more is opened by whoever looks.
            let own = client.id;
            let mut ids: Vec<ClientId> = self.followers.borrow().keys().copied().collect();
            ids.push(own);
            for _ in 0..3 {
                for id in &ids {
                    client.id = *id;
                    self.follow(client, true).await;
                }
                // A feed that broke just now is opened once more; those that stay have to be right.
                let table = documents(insist(client, &whole).await?.into_rows());
                let Some(table) = table else {
                    self.found.strange("a read of the table without documents in it");
                    break;
                };
                let ends = |followers: &BTreeMap<ClientId, Follower>| -> Vec<Result<(), Violation>> {
                    followers.values().map(|follower| follower.replay.check_end(&table)).collect()
                };
                let ends = ends(&self.followers.borrow());
                if ends.iter().all(Result::is_ok) && ends.len() == ids.len() {
                    client.id = own;
                    return Ok(());
                }
                task::sleep(FEED_SETTLES).await;
            }
            client.id = own;
            let table = documents(insist(client, &whole).await?.into_rows()).unwrap_or_default();
            let followers = self.followers.borrow();
            for follower in followers.values() {
                self.found.take(follower.replay.check_end(&table));
            }
            match followers.is_empty() {
                true => Err(Failure::Unknown("no feed stays open".to_owned())),
                false => Ok(()),
            }
        })
    }

    fn check(&self, _: &mut u64) -> Vec<Violation> {
        self.found.all()
    }
}
