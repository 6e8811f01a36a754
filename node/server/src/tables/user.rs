//! A user's table: the replicas' `query::Table` with what only the cluster state knows.

use std::sync::Arc;

use photondb_cluster_state::{ClusterState, Table as StoredTable};
use photondb_query::table::{
    Access, Glanced, IndexInfo, Progress, ReadMode, Row, Rows, Source, Subscription, Table, TableInfo, Write,
    WriteOptions, WriteResult,
};
use photondb_replica::ShardTable;
use photondb_reql::Str;
use photondb_reql::datum::Datum;
use photondb_reql::error::Result;
use photondb_reql::eval::{Cx, Glance, stored::compile_hook};

use crate::catalog::Ground;
use crate::node::activity::TableCounts;

/// A table under one state of the cluster.
pub(crate) struct UserTable {
    shards: ShardTable,
    stored: Arc<StoredTable>,
    counts: Arc<TableCounts>,
}

impl UserTable {
    /// Opens it. Whether its replicas run, here or elsewhere, is found when they are asked.
    pub fn open(ground: &Ground, state: &ClusterState, stored: &Arc<StoredTable>) -> Result<UserTable> {
        let db = state.database(stored.database);
        let db_name = db.map_or("__deleted_database__", |database| database.name.as_str());
        let hook = stored.write_hook.as_ref().map(|definition| compile_hook(definition)).transpose()?;
        let info = TableInfo {
            id: Str::from(stored.id.to_string()),
            name: Str::from(stored.name.as_str()),
            db_id: Str::from(stored.database.to_string()),
            db_name: Str::from(db_name),
            primary_key: Str::from(stored.primary_key.as_str()),
            write_hook: hook,
            system: false,
        };
        let counts = ground.counts(stored.id);
        Ok(UserTable { shards: ShardTable::new(info, ground.routes(stored)), stored: stored.clone(), counts })
    }
}

impl UserTable {
    /// Its shards.
    pub fn shards(&self) -> &ShardTable {
        &self.shards
    }
}

impl Table for UserTable {
    fn info(&self) -> &TableInfo {
        self.shards.info()
    }

    fn get(&self, key: &Datum, mode: ReadMode) -> Result<Option<Datum>> {
        let found = self.shards.get(key, mode)?;
        self.counts.read(usize::from(found.is_some()));
        Ok(found)
    }

    fn scan(&self, access: &Access, mode: ReadMode) -> Result<Box<dyn Rows>> {
        let rows = self.shards.scan(access, mode)?;
        Ok(Box::new(Counted { rows, counts: self.counts.clone() }))
    }

    fn count(&self, access: &Access, mode: ReadMode) -> Result<Option<u64>> {
        self.shards.count(access, mode)
    }

    fn count_by_shard(&self, mode: ReadMode) -> Result<Option<Vec<u64>>> {
        self.shards.count_by_shard(mode)
    }

    fn left_out(&self, index: &str, mode: ReadMode) -> Result<Option<u64>> {
        self.shards.left_out(index, mode)
    }

    fn write(&self, writes: Vec<Write>, options: &WriteOptions, cx: &Cx) -> Result<Vec<WriteResult>> {
        let results = self.shards.write(writes, options, cx)?;
        let changed = |result: &&WriteResult| matches!(result, WriteResult::Done { old, new } if old != new);
        self.counts.written(results.iter().filter(changed).count());
        Ok(results)
    }

    fn sync(&self) -> Result<()> {
        self.shards.sync()
    }

    fn subscribe(&self) -> Result<Box<dyn Subscription>> {
        self.shards.subscribe()
    }

    fn subscribe_from(&self, from: &[Source]) -> Result<Box<dyn Subscription>> {
        self.shards.subscribe_from(from)
    }

    fn indexes(&self) -> Result<Vec<IndexInfo>> {
        let mut indexes = self.shards.indexes()?;
        for index in &mut indexes {
            index.geo = self.stored.index(&index.name).is_some_and(|stored| stored.geo);
        }
        Ok(indexes)
    }
}

/// Rows that are counted as they are read.
struct Counted {
    rows: Box<dyn Rows>,
    counts: Arc<TableCounts>,
}

impl Rows for Counted {
    fn next_batch(&mut self, want: usize) -> Result<Vec<Row>> {
        let batch = self.rows.next_batch(want)?;
        self.counts.read(batch.len());
        Ok(batch)
    }

    fn glance_batch(&mut self, want: usize, glance: &mut Glance<'_>) -> Result<Glanced> {
        let found = self.rows.glance_batch(want, glance)?;
        self.counts.read(found.examined);
        Ok(found)
    }

    fn progress(&self) -> &[Progress] {
        self.rows.progress()
    }

    fn is_at_end(&self) -> bool {
        self.rows.is_at_end()
    }

    fn held_bytes(&self) -> usize {
        self.rows.held_bytes()
    }
}
