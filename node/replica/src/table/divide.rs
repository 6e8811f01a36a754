//! Where a table's shards could be cut.

use photondb_proto::v1::shard as wire;
use photondb_proto::v1::shard::request::Ask;
use photondb_proto::{KeyRange, ShardId};
use photondb_query::table::ReadMode;
use photondb_reql::error::Result;
use photondb_shard::Reader;
use photondb_shard::read::KeyBounds;

use super::ShardTable;
use crate::error::Doing;
use crate::forward::Told;
use crate::message::Malformed;
use crate::replica::check_no_more;
use crate::routes::TableRoutes;

/// A shard, and how much it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// Which.
    pub shard: ShardId,
    /// Its keys.
    pub range: KeyRange,
    /// Its documents.
    pub documents: u64,
}

impl ShardTable {
    /// How much each shard has, in the order of their keys.
    pub fn shares(&self, mode: ReadMode) -> Result<Vec<Share>> {
        let shares = |routes: &TableRoutes| {
            let share = |route| {
                let documents = self.count_in(routes, route, None, &[KeyBounds::all()], mode)?;
                Ok(Share { shard: route.id, range: route.range.clone(), documents })
            };
            routes.all().iter().map(share).collect()
        };
        self.at_shards(shares).map_err(|error| self.explain(error, Doing::Read))
    }

    /// Keys that divide the documents of a shard into `parts` of about the same number; fewer where it has too few.
    pub fn divide(&self, shard: ShardId, parts: usize) -> Result<Vec<Vec<u8>>> {
        let divide = |routes: &TableRoutes| {
            let Some(route) = routes.all().iter().find(|route| route.id == shard) else { return Ok(Vec::new()) };
            let ask = || Ask::Divide(wire::Divide { parts: u32::try_from(parts).unwrap_or(u32::MAX) });
            let told = |told| match told {
                Told::Divided(divided) => Ok(divided.keys),
                _ => Err(Malformed("no keys where they were asked for").into()),
            };
            let here = |reader: &Reader| {
                check_no_more(reader, &route.range)?;
                Ok(reader.divide(parts)?)
            };
            let keys = self.read(routes, route, ReadMode::Single, here, ask, told)?;
            Ok(keys.into_iter().map(|key| key.to_vec()).collect())
        };
        self.at_shards(divide).map_err(|error| self.explain(error, Doing::Read))
    }
}
