//! Changes of a member of this node.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use photondb_proto::MemberId;
use photondb_proto::v1::shard as wire;
use photondb_proto::v1::shard::request::Ask;
use photondb_runtime::{fiber, task};
use photondb_shard::{ChangeBatch, Cursor, DocumentChange, Listener, Position, Reader, ShardError};
use photondb_storage::fault::buggify;
use tokio::sync::Notify;

use super::there::There;
use super::{Joined, News, Note, Others, Told as ToldChange, notes, pass};
use crate::error::ReplicaError;
use crate::forward::Told;
use crate::limits::{FEED_MESSAGE_BYTES, ROUTE_PAUSE_MAX, TOKEN_AHEAD_TIME_MAX};
use crate::message::Malformed;
use crate::replica::{Replica, check_exact};
use crate::router::{Reached, Router, Search};
use crate::routes::Route;

/// One shard, listened to here.
pub(super) struct Here {
    route: Arc<Route>,
    router: Option<Arc<Router>>,
    replica: Arc<Replica>,
    listener: Listener,
    cursor: Cursor,
    /// The listener was not given everything from `cursor` on: the change log has the rest.
    behind: bool,
    /// What has come and is not told yet. Between two looks there is something only while it waits at a join, which is the first of it;
    /// then nothing more is taken, and the log of changes and what a listener may be behind are all there can be.
    untold: VecDeque<Heard>,
    /// The join at which it waits.
    waits_at: Option<Joined>,
}

/// What has come.
enum Heard {
    /// An entry, from the listener.
    Entry(ChangeBatch),
    /// A change of an entry, with its number there, from the log; and whether it is the last one of the entry.
    Logged(Position, u32, DocumentChange, bool),
    /// What an entry says of another shard, from the log.
    Noted(Position, Note),
    /// The log has nothing else up to there.
    UpTo(Position),
}

impl Heard {
    fn joined(&self) -> Option<Joined> {
        match self {
            Heard::Entry(batch) => {
                let position = batch.position;
                batch.joined.map(|(shard, end)| Joined { position, shard, end })
            }
            Heard::Noted(_, Note::Joined(joined)) => Some(*joined),
            Heard::Noted(..) | Heard::Logged(..) | Heard::UpTo(_) => None,
        }
    }
}

impl Here {
    /// Listens to everything committed from now on.
    pub fn open(
        replica: &Arc<Replica>,
        route: &Arc<Route>,
        router: Option<&Arc<Router>>,
        arrived: &Arc<Notify>,
    ) -> Result<Here, ReplicaError> {
        let listener = listen(replica, arrived);
        // A member that does not lead may not have applied yet what is committed already.
        let position = position_of(router, route, true)?;
        Ok(Here::of(replica, route, router, listener, Cursor::after(position), false))
    }

    /// Goes on at `cursor`. Errors: [`ShardError::ChangesTrimmed`].
    pub fn resume(
        replica: &Arc<Replica>,
        route: &Arc<Route>,
        router: Option<&Arc<Router>>,
        cursor: Cursor,
        arrived: &Arc<Notify>,
    ) -> Result<Here, ReplicaError> {
        replica.shard.read()?.check_has_changes(cursor)?;
        Ok(Here::go_on(replica, route, router, cursor, arrived))
    }

    /// The same, where it is found out later whether what is behind `cursor` is still there.
    pub fn go_on(
        replica: &Arc<Replica>,
        route: &Arc<Route>,
        router: Option<&Arc<Router>>,
        cursor: Cursor,
        arrived: &Arc<Notify>,
    ) -> Here {
        let listener = listen(replica, arrived);
        // Nobody wakes the reader for what is in the log already.
        arrived.notify_one();
        Here::of(replica, route, router, listener, cursor, true)
    }

    fn of(
        replica: &Arc<Replica>,
        route: &Arc<Route>,
        router: Option<&Arc<Router>>,
        listener: Listener,
        cursor: Cursor,
        behind: bool,
    ) -> Here {
        let (route, router, replica) = (route.clone(), router.cloned(), replica.clone());
        Here { route, router, replica, listener, cursor, behind, untold: VecDeque::new(), waits_at: None }
    }

    /// Where it stands: what was taken is before it.
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// Who began the group that the cursor is of, if that took the place of another.
    pub fn rescued(&self) -> Option<MemberId> {
        self.replica.rescued
    }

    /// The join at which it waits.
    pub fn waits_at(&self) -> Option<Joined> {
        self.waits_at
    }

    /// The same shard, listened to at its leader.
    pub fn elsewhere(&self) -> Result<Option<There>, ReplicaError> {
        match &self.router {
            Some(router) => There::resume(router, &self.route, self.replica.rescued, self.cursor),
            None => Ok(None),
        }
    }

    /// Takes what has come.
    pub fn collect(&mut self, news: &mut News, others: &Others<'_>) -> Result<(), ReplicaError> {
        self.tell(news, others)?;
        if self.behind && self.untold.is_empty() {
            self.catch_up()?;
            self.tell(news, others)?;
        }
        if !self.untold.is_empty() {
            return Ok(());
        }
        let batches = match self.listener.take() {
            Err(ShardError::Replaced) => {
                photondb_storage::probe!("feed of a member whose state was replaced");
                self.behind = true;
                return self.collect(news, others);
            }
            batches => batches?,
        };
        self.untold.extend(batches.into_iter().map(Heard::Entry));
        self.tell(news, others)
    }

    /// Tells what has come, up to a join at which it has to wait.
    fn tell(&mut self, news: &mut News, others: &Others<'_>) -> Result<(), ReplicaError> {
        self.waits_at = None;
        while let Some(heard) = self.untold.pop_front() {
            if let Some(joined) = heard.joined().filter(|joined| joined.position >= self.cursor.position) {
                if !others.have_told(&joined, &news.children)? {
                    self.cursor = self.cursor.max(Cursor { position: joined.position, given: 0 });
                    self.waits_at = Some(joined);
                    self.untold.push_front(heard);
                    return Ok(());
                }
                news.joined.push(joined);
            }
            self.tell_one(heard, news);
        }
        Ok(())
    }

    fn tell_one(&mut self, heard: Heard, news: &mut News) {
        match heard {
            Heard::Entry(batch) => self.tell_entry(&batch, news),
            Heard::Logged(position, number, change, is_last) => {
                self.cursor = Cursor { position, given: number + 1 };
                news.changes.push(ToldChange::new(position.0, number, change, is_last));
            }
            Heard::Noted(position, note) => {
                self.cursor = self.cursor.max(Cursor::after(position));
                if let Note::Child(child) = note {
                    news.children.push((position.0, child));
                }
            }
            Heard::UpTo(position) => self.cursor = self.cursor.max(Cursor::after(position)),
        }
    }

    fn tell_entry(&mut self, batch: &ChangeBatch, news: &mut News) {
        if let Some(child) = batch.child.filter(|_| batch.position >= self.cursor.position) {
            news.children.push((batch.position.0, child));
        }
        let count = u32::try_from(batch.changes.len()).unwrap_or(u32::MAX);
        let known = pass(&mut self.cursor, batch.position.0, 0, count, true);
        let new = (known..count).zip(&batch.changes[known as usize..]);
        let told = |(number, change): (u32, &DocumentChange)| {
            ToldChange::new(batch.position.0, number, change.clone(), number + 1 == count)
        };
        news.changes.extend(new.map(told));
    }

    /// Reads from the change log up to now. What the listener is given from now on and is in there too is passed over.
    fn catch_up(&mut self) -> Result<(), ReplicaError> {
        let reader = self.replica.shard.read()?;
        let mut cursor = self.cursor;
        loop {
            let bytes = if buggify!("replica/feed-read-one-by-one") { 1 } else { FEED_MESSAGE_BYTES };
            let logged = reader.changes(cursor, bytes)?;
            let mut notes = notes(&logged).into_iter().peekable();
            let mut changes = logged.changes.into_iter().peekable();
            while let Some((position, number, change)) = changes.next() {
                while let Some((at, note)) = notes.next_if(|(at, _)| *at < position) {
                    self.untold.push_back(Heard::Noted(at, note));
                }
                cursor = Cursor { position, given: number + 1 };
                let is_last = changes.peek().map_or(!logged.goes_on, |(next, _, _)| *next != position);
                self.untold.push_back(Heard::Logged(position, number, change, is_last));
            }
            for (at, note) in notes {
                cursor = cursor.max(Cursor::after(at));
                self.untold.push_back(Heard::Noted(at, note));
            }
            if !logged.more {
                break;
            }
        }
        self.untold.push_back(Heard::UpTo(reader.position()));
        self.behind = false;
        Ok(())
    }
}

fn listen(replica: &Replica, arrived: &Arc<Notify>) -> Listener {
    let arrived = arrived.clone();
    replica.shard.listen(Box::new(move || arrived.notify_one()))
}

/// Everything acknowledged until now is at or below it. `exact`: the shard has just the keys of the route by then, so that all that
/// happens to these from there on, and to no others, is told by it.
fn position_of(router: Option<&Arc<Router>>, route: &Arc<Route>, exact: bool) -> Result<Position, ReplicaError> {
    let here = route.here.as_ref().ok_or(ReplicaError::NotLeading);
    let position = here.and_then(|replica| position_in(&replica.read()?, route, exact));
    match (position, router) {
        (Err(ReplicaError::NotLeading), Some(router)) => position_of_leader(router, route, exact),
        (position, _) => position,
    }
}

fn position_in(reader: &Reader, route: &Route, exact: bool) -> Result<Position, ReplicaError> {
    if exact {
        check_exact(reader, &route.range, route.epoch)?;
    }
    Ok(reader.position())
}

/// Waits until the shard has come as far as `cursor`. Errors: [`ReplicaError::TokenAhead`] if it does not.
pub(super) fn wait_for(router: Option<&Arc<Router>>, route: &Arc<Route>, cursor: Cursor) -> Result<(), ReplicaError> {
    let mut waited = Duration::ZERO;
    while cursor > Cursor::after(position_of(router, route, false)?) {
        // Of a shard that was set back, what happens now is not what comes behind the token.
        if waited >= TOKEN_AHEAD_TIME_MAX {
            return Err(ReplicaError::TokenAhead);
        }
        photondb_storage::probe!("feed goes on where the leader has not come yet");
        fiber::wait(task::sleep(ROUTE_PAUSE_MAX));
        waited += ROUTE_PAUSE_MAX;
    }
    Ok(())
}

fn position_of_leader(router: &Arc<Router>, route: &Arc<Route>, exact: bool) -> Result<Position, ReplicaError> {
    let mut search = if exact { Search::new(router, route) } else { Search::of_changes(router, route) };
    loop {
        match fiber::wait(search.read(&Ask::Sync(wire::Sync { exact })))? {
            Reached::Told(Told::Synced(synced)) => return Ok(Position(synced.position)),
            Reached::Told(_) => return Err(Malformed("another answer than to `sync`").into()),
            Reached::Here(replica) => {
                let reader = fiber::wait(replica.read_confirmed());
                match reader.and_then(|reader| position_in(&reader, route, exact)) {
                    Err(ReplicaError::NotLeading) => {}
                    position => return position,
                }
            }
        }
    }
}
