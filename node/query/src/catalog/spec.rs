//! What DDL asks for, and what it answers.

use photondb_reql::Str;
use photondb_reql::datum::Datum;
use photondb_reql::error::{Error, Result};

/// How a table is spread: what `table_create` and `reconfigure` ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// At least one.
    pub shards: u32,
    /// How many replicas each shard has, and where.
    pub replicas: Replicas,
}

/// How many replicas a shard has, and on servers of which tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replicas {
    /// As many as the cluster thinks right: no `replicas` was given.
    Default,
    /// So many on servers with the tag `default`.
    Count(u64),
    /// By tag.
    Tagged {
        /// How many on servers of each tag, by tag.
        counts: Vec<(Str, u64)>,
        /// The tag of the servers that hold primaries.
        primary: Str,
        /// The tags whose replicas do not vote.
        nonvoting: Vec<Str>,
    },
}

impl Layout {
    /// RethinkDB's limit.
    const SHARDS_MAX: u32 = 64;

    /// Refuses one that no servers could fulfil.
    pub fn check(&self) -> Result<()> {
        let total = match &self.replicas {
            Replicas::Default => 1,
            Replicas::Count(count) => *count,
            Replicas::Tagged { counts, .. } => counts.iter().fold(0, |total, (_, count)| count.saturating_add(total)),
        };
        if total == 0 {
            return Err(Error::op_failed(
                "You must set `replicas` to at least one. `replicas` includes the primary replica; if there are zero \
                 replicas, there is nowhere to put the data.",
            ));
        }
        if self.shards > Layout::SHARDS_MAX {
            return Err(Error::op_failed(format!("Maximum number of shards is {}.", Layout::SHARDS_MAX)));
        }
        let Replicas::Tagged { counts, primary, nonvoting } = &self.replicas else { return Ok(()) };
        if !counts.iter().any(|(tag, count)| tag == primary && *count > 0) {
            return Err(Error::op_failed(format!(
                "Can't use server tag `{primary}` for primary replicas because you specified no replicas in server tag \
                 `{primary}`."
            )));
        }
        match nonvoting.iter().find(|tag| !counts.iter().any(|(known, _)| known == *tag)) {
            None => Ok(()),
            Some(unknown) => Err(Error::op_failed(format!(
                "You specified that the replicas in server tag `{unknown}` should be non-voting, but you didn't specify \
                 a number of replicas in server tag `{unknown}`."
            ))),
        }
    }
}

impl Default for Layout {
    fn default() -> Layout {
        Layout { shards: 1, replicas: Replicas::Default }
    }
}

/// A table to be made.
#[derive(Clone, Debug)]
pub struct TableSpec {
    /// The field that is the primary key.
    pub primary_key: Str,
    /// `durability: "soft"`: stored and shown, served as hard.
    pub soft: bool,
    /// How it is spread.
    pub layout: Layout,
    /// How its pages are written.
    pub compression: Compression,
}

/// `compression` of `table_create`, PhotonDB's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// `none`.
    None,
    /// `lz4`.
    #[default]
    Lz4,
    /// `zstd`.
    Zstd,
}

impl Compression {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Compression::None => "none",
            Compression::Lz4 => "lz4",
            Compression::Zstd => "zstd",
        }
    }

    /// The one of that name.
    pub fn named(name: &str) -> Option<Compression> {
        match name {
            "none" => Some(Compression::None),
            "lz4" => Some(Compression::Lz4),
            "zstd" => Some(Compression::Zstd),
            _ => None,
        }
    }
}

/// What dropping a database did.
#[derive(Clone, Debug)]
pub struct Dropped {
    /// The `db_config` document it had.
    pub config: Datum,
    /// How many tables went with it.
    pub tables: u64,
}

/// What `reconfigure` did or would do.
#[derive(Clone, Debug)]
pub struct Reconfigured {
    /// The `table_config` documents before and after.
    pub config: (Datum, Datum),
    /// The `table_status` documents before and after; `None` for a dry run.
    pub status: Option<(Datum, Datum)>,
}

/// What `rebalance` did: the `table_status` documents before and after.
#[derive(Clone, Debug)]
pub struct Rebalanced {
    /// Before and after.
    pub status: (Datum, Datum),
}

/// How ready a table is; each level includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Readiness {
    /// Outdated reads are answered.
    OutdatedReads,
    /// Reads are answered.
    Reads,
    /// Writes are answered.
    Writes,
    /// Every replica is there.
    AllReplicas,
}

/// `emergency_repair` of `reconfigure`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmergencyRepair {
    /// `unsafe_rollback`: goes on with the replicas that are left.
    UnsafeRollback,
    /// `unsafe_rollback_or_erase`: and gives up shards that have none.
    UnsafeRollbackOrErase,
    /// `_debug_recommit`.
    DebugRecommit,
}

/// An index to be made.
#[derive(Clone, Debug)]
pub struct IndexSpec {
    /// Its name.
    pub name: Str,
    /// The function as `reql::format` bytes.
    pub definition: Vec<u8>,
    /// One entry for each element of an array.
    pub multi: bool,
    /// Geospatial.
    pub geo: bool,
}

/// A write hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteHook {
    /// The function as `reql::format` bytes.
    pub definition: Vec<u8>,
}
