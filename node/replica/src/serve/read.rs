//! Reads for other nodes.

use std::sync::Arc;

use photondb_cluster_state::limits::SHARDS_PER_TABLE_MAX;
use photondb_proto::v1::shard as wire;
use photondb_proto::v1::shard::answer::Told;
use photondb_proto::v1::shard::request::Ask;
use photondb_proto::{Epoch, KeyRange};
use photondb_query::table::ReadMode;
use photondb_reql::datum::Str;
use photondb_runtime::fiber::{self, StackSize};
use photondb_shard::read::{GeoScan, KeyBounds};
use photondb_shard::{Reader, ShardError};
use photondb_storage::Direction;
use photondb_storage::fault::buggify;

use super::failed_at;
use crate::error::ReplicaError;
use crate::limits::LOOK_ROWS_MAX;
use crate::message::scan::{part, read_bounds, read_cells, read_part};
use crate::message::{Malformed, datum, failed, read_mode};
use crate::replica::{Replica, check_exact, check_no_more};
use crate::scan::Look;
use crate::table::indexes::{indexes_of, left_out};

/// Answers if this node's member is as fresh as is asked, and has all keys of `range`, at that epoch or a later one, where it is asked for
/// keys. Called on a worker's local set.
pub(super) async fn serve(replica: Arc<Replica>, range: &KeyRange, epoch: Epoch, ask: Ask) -> Told {
    let mode = match mode_of(&ask) {
        Ok(mode) => mode,
        Err(error) => return Told::Failed(failed(error.into(), None)),
    };
    let reader = match &ask {
        Ask::Sync(sync) => replica.read_confirmed().await.and_then(|reader| {
            // Who goes on somewhere in its changes does not ask for the keys that it has by now.
            if sync.exact {
                check_exact(&reader, range, epoch)?;
            }
            Ok(reader)
        }),
        _ => replica.read_range_in(range, epoch, mode).await,
    };
    let reader = match reader {
        Ok(reader) => reader,
        Err(error) => {
            let moved = matches!(error, ReplicaError::Shard(ShardError::Moved));
            photondb_storage::probe!("read of a shard that was split, by a node that did not know", moved);
            return Told::Failed(failed_at(&replica, error));
        }
    };
    // On a fiber, because a long look gives others their turn.
    let range = range.clone();
    match fiber::run(StackSize::SMALL, move || answer(&reader, &range, ask)).await {
        Ok(Ok(told)) => told,
        Ok(Err(error)) => Told::Failed(failed_at(&replica, error)),
        Err(panicked) => Told::Failed(failed(ReplicaError::Elsewhere(panicked.to_string()), None)),
    }
}

fn mode_of(ask: &Ask) -> Result<ReadMode, Malformed> {
    match ask {
        Ask::Get(get) => read_mode(get.mode),
        Ask::Scan(scan) => read_mode(scan.mode),
        Ask::Count(count) => read_mode(count.mode),
        Ask::LeftOut(left_out) => read_mode(left_out.mode),
        Ask::ListIndexes(_) | Ask::Sync(_) | Ask::Write(_) | Ask::Subscribe(_) | Ask::Divide(_) => Ok(ReadMode::Single),
    }
}

fn answer(reader: &Reader, range: &KeyRange, ask: Ask) -> Result<Told, ReplicaError> {
    if matches!(ask, Ask::Count(_) | Ask::LeftOut(_) | Ask::Divide(_)) {
        check_no_more(reader, range)?;
    }
    Ok(match ask {
        Ask::Get(get) => Told::Got(wire::Got { document: reader.get(&get.key)? }),
        Ask::Scan(scan) => Told::Scanned(Box::new(look(reader, range, scan)?)),
        Ask::Count(count) => Told::Counted(wire::Counted { count: Some(counted(reader, count)?) }),
        Ask::LeftOut(asked) => Told::Counted(wire::Counted { count: left_out(reader, &asked.index)? }),
        Ask::ListIndexes(_) => {
            let indexes = indexes_of(reader)?.into_iter().map(wire::Index::from).collect();
            Told::Indexes(wire::Indexes { indexes })
        }
        Ask::Divide(divide) => {
            let parts = (divide.parts as usize).min(SHARDS_PER_TABLE_MAX);
            Told::Divided(wire::Divided { keys: reader.divide(parts)? })
        }
        Ask::Sync(_) => Told::Synced(wire::Synced { position: reader.position().0 }),
        Ask::Write(_) | Ask::Subscribe(_) => return Err(Malformed("no read where one was expected").into()),
    })
}

fn counted(reader: &Reader, count: wire::Count) -> Result<u64, ReplicaError> {
    if let Some(index) = &count.index {
        reader.index(index)?;
    }
    let mut total = 0;
    for bounds in count.ranges {
        let bounds: KeyBounds = read_bounds(Some(bounds))?;
        total += match &count.index {
            None => reader.count_documents(&bounds)?,
            Some(index) => reader.count_index(index, &bounds)?,
        };
    }
    Ok(total)
}

fn look(reader: &Reader, keys: &KeyRange, scan: wire::Scan) -> Result<wire::Scanned, ReplicaError> {
    let mut left = read_part(scan.part)?;
    let cells = if scan.cells.is_empty() { None } else { Some(Arc::new(read_cells(&scan.cells)?)) };
    let direction = if scan.backward { Direction::Backward } else { Direction::Forward };
    let index = scan.index.as_deref().map(Str::from);
    let look = Look { index: index.clone(), cells, direction, ordered: scan.ordered };
    let want_max = if buggify!("replica/look-of-one") { 1 } else { LOOK_ROWS_MAX };
    let want = (scan.want as usize).clamp(1, want_max);
    let (rows, more) = match &index {
        None => {
            let found = look.documents(reader, &mut left, want, |_| false)?;
            let row = |(key, document)| wire::Row { document, value: None, entry: key };
            (found.rows.into_iter().map(row).collect(), found.last.is_some())
        }
        Some(index) => {
            let found = look.by_index(index, reader, keys, &mut left, want, &mut GeoScan::default())?;
            let row = |row: photondb_shard::IndexRow| wire::Row {
                document: row.document,
                value: Some(datum(&row.value)),
                entry: row.entry,
            };
            (found.rows.into_iter().map(row).collect(), found.more)
        }
    };
    Ok(wire::Scanned { rows, position: reader.position().0, rest: more.then(|| part(&left)) })
}
