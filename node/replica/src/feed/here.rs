//! Changes of a member of this node.

use std::sync::Arc;

use photondb_proto::v1::shard as wire;
use photondb_proto::v1::shard::request::Ask;
use photondb_query::table::Change;
use photondb_runtime::fiber;
use photondb_shard::{Cursor, Listener, Position, ShardError};
use photondb_storage::fault::buggify;
use tokio::sync::Notify;

use super::there::There;
use super::{decode, pass};
use crate::error::ReplicaError;
use crate::forward::Told;
use crate::limits::FEED_MESSAGE_BYTES;
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
        let position = match (replica.read(), router) {
            (Err(ReplicaError::NotLeading), Some(router)) => position_of_leader(router, route)?,
            (reader, _) => reader?.position(),
        };
        let (route, router) = (route.clone(), router.cloned());
        Ok(Here { route, router, replica: replica.clone(), listener, cursor: Cursor::after(position), behind: false })
    }

    /// Goes on at `cursor`.
    pub fn resume(
        replica: &Arc<Replica>,
        route: &Arc<Route>,
        router: &Arc<Router>,
        cursor: Cursor,
        arrived: &Arc<Notify>,
    ) -> Here {
        let listener = listen(replica, arrived);
        // Nobody wakes the reader for what is in the log already.
        arrived.notify_one();
        let (route, router) = (route.clone(), Some(router.clone()));
        Here { route, router, replica: replica.clone(), listener, cursor, behind: true }
    }

    /// The same shard, listened to at its leader.
    pub fn elsewhere(&self) -> Option<There> {
        There::resume(self.router.as_ref()?, &self.route, self.cursor)
    }

    /// Takes what has come.
    pub fn collect(&mut self, ready: &mut Vec<Change>) -> Result<(), ReplicaError> {
        if self.behind {
            self.catch_up(ready)?;
        }
        let batches = match self.listener.take() {
            Err(ShardError::Replaced) => {
                photondb_storage::probe!("feed of a member whose state was replaced");
                self.behind = true;
                return self.collect(ready);
            }
            batches => batches?,
        };
        for batch in batches {
            let count = u32::try_from(batch.changes.len()).unwrap_or(u32::MAX);
            let known = pass(&mut self.cursor, batch.position.0, 0, count, true);
            for change in &batch.changes[known as usize..] {
                ready.push(decode(self.route.number(), batch.position.0, change)?);
            }
        }
        Ok(())
    }

    /// Reads from the change log up to now. What the listener is given from now on and is in there too is passed over.
    fn catch_up(&mut self, ready: &mut Vec<Change>) -> Result<(), ReplicaError> {
        let reader = self.replica.shard.read()?;
        loop {
            let bytes = if buggify!("replica/feed-read-one-by-one") { 1 } else { FEED_MESSAGE_BYTES };
            let logged = reader.changes(self.cursor, bytes)?;
            for (position, number, change) in &logged.changes {
                self.cursor = Cursor { position: *position, given: number + 1 };
                ready.push(decode(self.route.number(), position.0, change)?);
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

/// Everything acknowledged until now is at or below it.
fn position_of_leader(router: &Arc<Router>, route: &Arc<Route>) -> Result<Position, ReplicaError> {
    let mut search = Search::new(router, route);
    loop {
        match fiber::wait(search.read(&Ask::Sync(wire::Sync {})))? {
            Reached::Told(Told::Synced(synced)) => return Ok(Position(synced.position)),
            Reached::Told(_) => return Err(Malformed("another answer than to `sync`").into()),
            Reached::Here(replica) => match fiber::wait(replica.read_confirmed()) {
                Err(ReplicaError::NotLeading) => {}
                reader => return Ok(reader?.position()),
            },
        }
    }
}
