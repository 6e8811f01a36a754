//! What this node does not lead: somebody who does is looked for, and asked.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use photondb_proto::v1::shard as wire;
use photondb_proto::v1::shard::request::Ask;
use photondb_query::table::{ReadMode, WriteResult};
use photondb_reql::datum::Datum;
use photondb_runtime::fiber;
use photondb_shard::secondary::decode_datum;
use photondb_shard::{Reader, ShardError};
use photondb_storage::fault::fault_point;

use super::ReplicaResult;
use crate::error::ReplicaError;
use crate::forward::Told;
use crate::limits::WRITE_TIME_MAX;
use crate::message::{self, Failure, Malformed, read_datum};
use crate::replica::Replica;
use crate::router::{Place, Reached, Router, Search};
use crate::routes::{Route, TableRoutes};
use crate::writer::{KeyedWrite, Request, write_shard};

#[cold]
pub(super) fn get_elsewhere(
    routes: &TableRoutes,
    route: &Arc<Route>,
    key: &Bytes,
    mode: ReadMode,
) -> ReplicaResult<Option<Datum>> {
    let here = |reader: &Reader| Ok(reader.get(key)?.as_ref().map(decode_datum).transpose()?);
    let told = |told| match told {
        Told::Got(got) => Ok(got.document.map(read_datum).transpose()?),
        _ => Err(Malformed("no document where one was asked for").into()),
    };
    let ask = Ask::Get(wire::Get { mode: message::mode(mode), key: key.clone() });
    read_elsewhere(routes, route, mode, here, &ask, told)
}

/// Asks whoever leads the shard (of `outdated` whoever has it), which may be this node after all.
#[cold]
pub(super) fn read_elsewhere<T>(
    routes: &TableRoutes,
    route: &Arc<Route>,
    mode: ReadMode,
    here: impl Fn(&Reader) -> ReplicaResult<T>,
    ask: &Ask,
    told: impl FnOnce(Told) -> ReplicaResult<T>,
) -> ReplicaResult<T> {
    let router = routes.router().ok_or(ReplicaError::NotLeading)?;
    let mut search = Search::new(&router, route);
    loop {
        match fiber::wait(search.read(ask))? {
            Reached::Told(answer) => return told(answer),
            Reached::Here(replica) => match fiber::wait(replica.read_range_in(&route.range, route.epoch, mode)) {
                Err(ReplicaError::NotLeading) => {}
                reader => return here(&reader?),
            },
        }
    }
}

/// Carries out those writes of these shards that have no result yet, at all shards at once. They are sent again only as
/// long as they are known not to have been proposed.
///
/// Errors: of one of the shards; what became of the writes at the others is noted all the same.
#[cold]
pub(super) fn write_elsewhere(
    routes: &TableRoutes,
    at: &[&Arc<Route>],
    all: &[KeyedWrite],
    request: &Request<'_>,
    results: &mut [Option<WriteResult>],
) -> ReplicaResult<()> {
    let router = routes.router().ok_or(ReplicaError::NotLeading)?;
    let mut searches: Vec<Search> = at.iter().map(|route| Search::new(&router, route)).collect();
    let mut failure = None;
    loop {
        let mut sending = Vec::with_capacity(searches.len());
        for mut search in searches.drain(..) {
            let is_open = |index: &usize| results[*index].is_none() && search.route().range.contains(&all[*index].key);
            let open: Vec<usize> = (0..all.len()).filter(is_open).collect();
            if open.is_empty() {
                continue;
            }
            let writes = open.iter().map(|index| &all[*index].write);
            let Request { primary_key, options, cx } = request;
            let ask = Ask::Write(message::write::write(writes, primary_key, options, cx)?);
            let router = &router;
            sending.push(async move {
                let sent = send(router, &mut search, &ask).await;
                (search, open, sent)
            });
        }
        if sending.is_empty() {
            // A search goes on with what its shard has by now; what it has no more is another's.
            let is_open =
                |index: usize| results[index].is_none() && at.iter().any(|route| route.range.contains(&all[index].key));
            let moved = (0..all.len()).any(is_open).then(|| ShardError::Moved.into());
            return failure.or(moved).map_or(Ok(()), Err);
        }
        for (mut search, open, sent) in fiber::wait(join_all(sending)) {
            let done = match sent {
                Ok(Asked::Here(replica)) => write_shard(&replica.proposer, all, open, request, results),
                Ok(Asked::Written(written)) => {
                    note(written.outcomes, &open, all, results).and_then(|()| refused(written.failed, &mut search))
                }
                Ok(Asked::Failed(failed)) => refused(Some(failed), &mut search),
                Ok(Asked::NotSent) => Ok(()),
                Err(error) => Err(error),
            };
            match done {
                Ok(()) | Err(ReplicaError::NotLeading) => searches.push(search),
                // That one is not known to have failed is what the query must hear first.
                Err(error @ ReplicaError::Unknown(_)) => {
                    photondb_storage::probe!("unknown outcome reported");
                    failure = Some(error);
                }
                Err(error) => failure = failure.or(Some(error)),
            }
        }
    }
}

/// What became of a request to write.
enum Asked {
    /// It is this node's member that is to be asked.
    Here(Arc<Replica>),
    Written(wire::Written),
    Failed(wire::Failed),
    /// Nobody has got it.
    NotSent,
}

async fn send(router: &Router, search: &mut Search, ask: &Ask) -> ReplicaResult<Asked> {
    let node = match search.next().await {
        None => return Err(search.failure()),
        Some(Place::Here(replica)) => return Ok(Asked::Here(replica)),
        Some(Place::Node(node)) => node,
    };
    match router.caller().ask(node, search.route(), ask, WRITE_TIME_MAX).await {
        Ok(Told::Failed(failed)) => Ok(Asked::Failed(failed)),
        Ok(Told::Written(written)) => {
            search.found();
            Ok(Asked::Written(written))
        }
        Ok(_) => Err(ReplicaError::Unknown("another answer than to a write".to_owned())),
        Err(error) if error.is_harmless() || fault_point!("unknown-sent-again") => {
            photondb_storage::probe!("write sent again, nobody had got it");
            Ok(Asked::NotSent)
        }
        Err(error) => Err(ReplicaError::Unknown(error.to_string())),
    }
}

/// Whether somebody else is to be asked.
fn refused(failed: Option<wire::Failed>, search: &mut Search) -> ReplicaResult<()> {
    match failed.map(message::failure) {
        None => Ok(()),
        Some(Failure::Elsewhere { leader }) => {
            search.redirected(leader);
            Ok(())
        }
        Some(Failure::Error(error)) => Err(error),
    }
}

/// Notes what became of the writes that `open` names.
fn note(
    outcomes: Vec<wire::Outcome>,
    open: &[usize],
    all: &[KeyedWrite],
    results: &mut [Option<WriteResult>],
) -> ReplicaResult<()> {
    // What cannot be read may have been done all the same.
    let unknown = |error: Malformed| ReplicaError::Unknown(error.to_string());
    if outcomes.len() != open.len() {
        return Err(unknown(Malformed("more or fewer outcomes than writes")));
    }
    for (outcome, index) in outcomes.into_iter().zip(open) {
        results[*index] = message::write::read_outcome(outcome, &all[*index].write).map_err(unknown)?;
    }
    Ok(())
}
