//! Changes of a member of this node.

use std::sync::Arc;
use std::time::Duration;

use photondb_proto::MemberId;
use photondb_proto::v1::shard as wire;
use photondb_proto::v1::shard::request::Ask;
use photondb_runtime::{fiber, task};
use photondb_shard::{Cursor, DocumentChange, Listener, Position, ShardError};
use photondb_storage::fault::buggify;
use tokio::sync::Notify;

use super::there::There;
use super::{News, Told as ToldChange, pass};
use crate::error::ReplicaError;
use crate::forward::Told;
use crate::limits::{FEED_MESSAGE_BYTES, ROUTE_PAUSE_MAX, TOKEN_AHEAD_TIME_MAX};
use crate::message::Malformed;
use crate::replica::Replica;
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
        let position = position_of(router, route)?;
        let (route, router) = (route.clone(), router.cloned());
        Ok(Here { route, router, replica: replica.clone(), listener, cursor: Cursor::after(position), behind: false })
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
        let (route, router) = (route.clone(), router.cloned());
        Here { route, router, replica: replica.clone(), listener, cursor, behind: true }
    }

    /// Where it stands: what was taken is before it.
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// Who began the group that the cursor is of, if that took the place of another.
    pub fn rescued(&self) -> Option<MemberId> {
        self.replica.rescued
    }

    /// The same shard, listened to at its leader.
    pub fn elsewhere(&self) -> Result<Option<There>, ReplicaError> {
        match &self.router {
            Some(router) => There::resume(router, &self.route, self.replica.rescued, self.cursor),
            None => Ok(None),
        }
    }

    /// Takes what has come.
    pub fn collect(&mut self, news: &mut News) -> Result<(), ReplicaError> {
        if self.behind {
            self.catch_up(news)?;
        }
        let batches = match self.listener.take() {
            Err(ShardError::Replaced) => {
                photondb_storage::probe!("feed of a member whose state was replaced");
                self.behind = true;
                return self.collect(news);
            }
            batches => batches?,
        };
        for batch in batches {
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
        Ok(())
    }

    /// Reads from the change log up to now. What the listener is given from now on and is in there too is passed over.
    fn catch_up(&mut self, news: &mut News) -> Result<(), ReplicaError> {
        let reader = self.replica.shard.read()?;
        loop {
            let bytes = if buggify!("replica/feed-read-one-by-one") { 1 } else { FEED_MESSAGE_BYTES };
            let logged = reader.changes(self.cursor, bytes)?;
            let mut changes = logged.changes.into_iter().peekable();
            while let Some((position, number, change)) = changes.next() {
                self.cursor = Cursor { position, given: number + 1 };
                let is_last = changes.peek().map_or(!logged.goes_on, |(next, _, _)| *next != position);
                news.changes.push(ToldChange::new(position.0, number, change, is_last));
            }
            for (position, child) in logged.children {
                self.cursor = self.cursor.max(Cursor::after(position));
                news.children.push((position.0, child));
            }
            for (position, ..) in logged.joined {
                // Nothing proposes a join yet; who listens is not told of it.
                self.cursor = self.cursor.max(Cursor::after(position));
            }
            if !logged.more {
                break;
            }
        }
        self.cursor = self.cursor.max(Cursor::after(reader.position()));
        self.behind = false;
        Ok(())
    }
}

fn listen(replica: &Replica, arrived: &Arc<Notify>) -> Listener {
    let arrived = arrived.clone();
    replica.shard.listen(Box::new(move || arrived.notify_one()))
}

/// Everything acknowledged until now is at or below it, and of the shard's keys none has gone to another by then.
pub(super) fn position_of(router: Option<&Arc<Router>>, route: &Arc<Route>) -> Result<Position, ReplicaError> {
    let reader = match &route.here {
        Some(replica) => replica.read(),
        None => Err(ReplicaError::NotLeading),
    };
    match (reader, router) {
        (Err(ReplicaError::NotLeading), Some(router)) => position_of_leader(router, route),
        (reader, _) => {
            let reader = reader?;
            // What was cut off before is told by nobody here.
            reader.check_range(&route.range)?;
            Ok(reader.position())
        }
    }
}

/// Waits until the shard has come as far as `cursor`. Errors: [`ReplicaError::TokenAhead`] if it does not.
pub(super) fn wait_for(router: Option<&Arc<Router>>, route: &Arc<Route>, cursor: Cursor) -> Result<(), ReplicaError> {
    let mut waited = Duration::ZERO;
    while cursor > Cursor::after(position_of(router, route)?) {
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

fn position_of_leader(router: &Arc<Router>, route: &Arc<Route>) -> Result<Position, ReplicaError> {
    let mut search = Search::new(router, route);
    loop {
        match fiber::wait(search.read(&Ask::Sync(wire::Sync {})))? {
            Reached::Told(Told::Synced(synced)) => return Ok(Position(synced.position)),
            Reached::Told(_) => return Err(Malformed("another answer than to `sync`").into()),
            Reached::Here(replica) => match fiber::wait(replica.read_confirmed()) {
                Err(ReplicaError::NotLeading) => {}
                reader => {
                    let reader = reader?;
                    reader.check_range(&route.range)?;
                    return Ok(reader.position());
                }
            },
        }
    }
}
