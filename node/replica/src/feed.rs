//! Listening to a table: the shards' committed changes, decoded, with the fiber parked while there are none.

use std::collections::VecDeque;
use std::sync::Arc;

use photondb_query::table::{Change, Position, Subscription};
use photondb_reql::datum::Datum;
use photondb_reql::error::Result;
use photondb_runtime::fiber;
use photondb_shard::{ChangeBatch, DocumentChange, Listener};
use tokio::sync::Notify;

use crate::error::ReplicaError;
use crate::replica::TableReplicas;

/// A subscription to all shards of a table.
pub struct TableFeed {
    table: String,
    listeners: Vec<Listener>,
    arrived: Arc<Notify>,
}

impl TableFeed {
    /// Listens to everything applied after this call.
    pub fn open(table: &str, replicas: &TableReplicas) -> TableFeed {
        let arrived = Arc::new(Notify::new());
        let listeners = replicas
            .shards()
            .iter()
            .map(|replica| {
                let arrived = arrived.clone();
                replica.shard.listen(Box::new(move || arrived.notify_one()))
            })
            .collect();
        TableFeed { table: table.to_owned(), listeners, arrived }
    }

    fn take(&self) -> std::result::Result<VecDeque<ChangeBatch>, ReplicaError> {
        let mut batches = VecDeque::new();
        for listener in &self.listeners {
            batches.extend(listener.take()?);
        }
        Ok(batches)
    }
}

impl Subscription for TableFeed {
    fn next(&mut self) -> Result<Vec<Change>> {
        loop {
            let changes = self.try_next()?;
            if !changes.is_empty() {
                return Ok(changes);
            }
            fiber::wait(self.arrived.notified());
        }
    }

    fn try_next(&mut self) -> Result<Vec<Change>> {
        let batches = self.take().map_err(|error| error.for_query(&self.table))?;
        let mut changes = Vec::new();
        for batch in &batches {
            for change in batch.changes.iter() {
                let change = decode(change, batch).map_err(|error| error.for_query(&self.table))?;
                changes.push(change);
            }
        }
        Ok(changes)
    }
}

fn decode(change: &DocumentChange, batch: &ChangeBatch) -> std::result::Result<Change, ReplicaError> {
    let datum = |bytes: &Option<_>| bytes.as_ref().map(photondb_shard::secondary::decode_datum).transpose();
    Ok(Change { old: datum(&change.old)?, new: datum(&change.new)?, position: Position(batch.position.0) })
}

/// A document as the evaluator sees it; `Null` where there is none.
pub(crate) fn document_or_null(bytes: Option<&bytes::Bytes>) -> std::result::Result<Datum, ReplicaError> {
    Ok(match bytes {
        Some(bytes) => photondb_shard::secondary::decode_datum(bytes)?,
        None => Datum::Null,
    })
}
