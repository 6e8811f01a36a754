//! Writers, and followers who replay a changefeed of the table; one that breaks is opened anew. Every other follower asks for resume
//! tokens, goes away now and then by himself, and goes on where the last token says, at whichever node he comes to. In some runs one
//! of several follows the first documents in the order of an index alone.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use photondb_history::shown::Shown;
use photondb_runtime::network::LocalFuture;
use photondb_runtime::task;
use serde_json::{Value, json};

use super::insisting::{insist, insist_on_table, insist_to_create};
use super::limits::{FEED_SETTLES, LISTEN};
use super::{ClusterWorkload, Found};
use crate::checker::Violation;
use crate::checker::feed_replays_first::FirstReplay;
use crate::checker::feed_replays_table::{Documents, Replay, key};
use crate::client::{Client, ClientId, Failure, Feed, FeedEvent};
use crate::random::Random;
use crate::term::{self, Term};

const TABLE: &str = "feed_replay";

/// The field by which documents are ordered, and the index on it.
const VERSION: &str = "v";

/// How many of the first documents are followed.
const FIRST: usize = 3;

/// The workload.
pub struct FeedReplay {
    keys: u64,
    /// Clients below this number follow, the others write.
    followers_max: u64,
    /// The first of several followers follows the first documents.
    is_ordered: bool,
    next_version: Cell<u64>,
    /// Open feeds that nobody is reading from at the moment.
    feeds: RefCell<BTreeMap<ClientId, Feed>>,
    /// What each open feed has shown.
    replays: RefCell<BTreeMap<ClientId, Shown>>,
    /// The last token of each follower that asks for them, and what the feed had shown by then.
    kept: RefCell<BTreeMap<ClientId, (Replay, String)>>,
    opened: Cell<u64>,
    found: Found,
}

/// The documents of a table that come first by their versions, of which no two are equal.
fn first(table: &Documents) -> Documents {
    let mut documents: Vec<(&String, &Value)> = table.iter().collect();
    documents.sort_by_key(|(_, document)| document[VERSION].as_u64());
    documents.into_iter().take(FIRST).map(|(key, document)| (key.clone(), document.clone())).collect()
}

impl FeedReplay {
    /// On so many documents, with so many of the clients following, the first of several of them the first documents, if it `is_ordered`.
    pub fn new(keys: u64, followers: u64, is_ordered: bool) -> FeedReplay {
        FeedReplay {
            keys,
            followers_max: followers,
            is_ordered: is_ordered && followers > 1,
            next_version: Cell::new(1),
            feeds: RefCell::default(),
            replays: RefCell::default(),
            kept: RefCell::default(),
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

    /// Opens a feed, from the last token if there is one.
    async fn open(&self, client: &mut Client) -> Option<Feed> {
        let kept = self.kept.borrow().get(&client.id).cloned();
        let query = match (&kept, goes_on(client.id)) {
            (_, false) if self.follows_first(client.id) => {
                term::changes(term::first(term::table(TABLE), VERSION, FIRST as u64), true)
            }
            (_, false) => term::changes(term::table(TABLE), true),
            (kept, true) => {
                let token = kept.as_ref().map(|(_, token)| token.as_str());
                term::changes_with_tokens(term::table(TABLE), token)
            }
        };
        match client.feed(&query).await {
            Ok(feed) => {
                self.opened.set(self.opened.get() + 1);
                let mut replay = Replay::default();
                if let Some((shown, _)) = kept {
                    replay = shown;
                    replay.go_on();
                }
                let shown = match self.follows_first(client.id) {
                    true => Shown::First(FirstReplay::new(FIRST)),
                    false => Shown::Table(replay),
                };
                self.replays.borrow_mut().insert(client.id, shown);
                Some(feed)
            }
            Err(failure) => {
                let said = failure.to_string();
                if said.contains("resume token are no longer kept") {
                    self.kept.borrow_mut().remove(&client.id);
                } else if said.contains("resume token") {
                    self.found.strange(format_args!("a token of the same feed is refused: {said}"));
                }
                None
            }
        }
    }

    /// Listens for `LISTEN`, or until nothing more comes within `quiet`.
    async fn follow(&self, client: &mut Client, until_quiet: bool) {
        let open = self.feeds.borrow_mut().remove(&client.id);
        let mut feed = match open {
            Some(feed) => feed,
            None => match self.open(client).await {
                Some(feed) => feed,
                None => return,
            },
        };
        let wait = if until_quiet { FEED_SETTLES } else { LISTEN };
        let began = client.now();
        loop {
            match feed.next(wait).await {
                Ok(Some(event)) => {
                    if !self.replay(client.id, &event) {
                        return;
                    }
                    if let Some(token) = feed.token()
                        && let Some(Shown::Table(replay)) = self.replays.borrow().get(&client.id)
                    {
                        self.kept.borrow_mut().insert(client.id, (replay.clone(), token.to_owned()));
                    }
                }
                Ok(None) => break,
                // It ends with its connection, or with the leader it followed.
                Err(_) => {
                    self.replays.borrow_mut().remove(&client.id);
                    return;
                }
            }
            if !until_quiet && client.now().0 - began.0 > LISTEN.as_micros() as u64 {
                break;
            }
        }
        self.feeds.borrow_mut().insert(client.id, feed);
    }

    /// Whether the event follows what the client's feed has shown; if not, the feed is given up.
    fn replay(&self, of: ClientId, event: &FeedEvent) -> bool {
        let mut replays = self.replays.borrow_mut();
        let Some(shown) = replays.get_mut(&of) else { return false };
        let result = shown.take(event);
        let follows = result.is_ok();
        if !follows {
            replays.remove(&of);
        }
        self.found.take(result);
        follows
    }

    fn follows_first(&self, follower: ClientId) -> bool {
        self.is_ordered && follower.0 == 0
    }

    /// Compares every open feed with the table.
    fn ends(&self, table: &Documents) -> Vec<Result<(), Violation>> {
        let ends = |shown: &Shown| match shown {
            Shown::Table(_) => shown.check_end(table),
            Shown::First(_) => shown.check_end(&first(table)),
        };
        self.replays.borrow().values().map(ends).collect()
    }
}

/// Whether a follower asks for tokens.
fn goes_on(follower: ClientId) -> bool {
    follower.0 % 2 == 1
}

fn documents(answer: Option<Vec<Value>>) -> Option<Documents> {
    answer?.into_iter().map(|document| Some((key(&document).ok()?, document))).collect()
}

impl ClusterWorkload for FeedReplay {
    fn name(&self) -> &'static str {
        "feed_replay"
    }

    fn setup<'a>(&'a self, client: &'a mut Client) -> LocalFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            insist_on_table(client, TABLE).await?;
            if self.is_ordered {
                insist_to_create(client, &term::index_create(term::table(TABLE), VERSION)).await?;
                insist(client, &term::index_wait(term::table(TABLE), VERSION)).await?;
            }
            Ok(())
        })
    }

    fn step<'a>(&'a self, client: &'a mut Client, random: &'a mut Random) -> LocalFuture<'a, ()> {
        Box::pin(async move {
            if client.id.0 < self.followers_max {
                self.follow(client, false).await;
                // Its connection ends with it.
                if goes_on(client.id) && random.once_in(2) {
                    self.feeds.borrow_mut().remove(&client.id);
                    self.replays.borrow_mut().remove(&client.id);
                }
            } else {
                self.write(client, random).await;
            }
        })
    }

    fn linger<'a>(&'a self, client: &'a mut Client) -> LocalFuture<'a, ()> {
        Box::pin(async move {
            if client.id.0 < self.followers_max {
                self.follow(client, false).await;
            }
        })
    }

    fn finish<'a>(&'a self, client: &'a mut Client) -> LocalFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            let whole: Term = term::table(TABLE);
            insist(client, &whole).await?;
            let wanted = self.followers_max + u64::from(client.id.0 >= self.followers_max);
            for _ in 0..3 {
                // The other followers listen meanwhile.
                self.follow(client, true).await;
                // A feed that broke just now is opened once more; those that stay have to be right.
                let Some(table) = documents(insist(client, &whole).await?.into_rows()) else {
                    self.found.strange("a read of the table without documents in it");
                    break;
                };
                let ends = self.ends(&table);
                if ends.iter().all(Result::is_ok) && ends.len() as u64 == wanted {
                    return Ok(());
                }
                task::sleep(FEED_SETTLES).await;
            }
            let table = documents(insist(client, &whole).await?.into_rows()).unwrap_or_default();
            let ends = self.ends(&table);
            let none = ends.is_empty();
            ends.into_iter().for_each(|end| self.found.take(end));
            match none {
                true => Err(Failure::Unknown("no feed stays open".to_owned())),
                false => Ok(()),
            }
        })
    }

    fn check(&self, _: &mut u64) -> Vec<Violation> {
        self.found.all()
    }
}
