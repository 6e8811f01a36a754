//! Rules about where terms may stand that hold before anything is compiled, and which option names exist at all.

use super::TermKind;
use crate::error::{Error, Result};

/// Refuses a term where it must not stand: writes inside the functions of streams, `asc` and `desc` where
/// nothing is `ordered`.
pub(super) fn check(kind: TermKind, writes_allowed: bool, ordered: bool) -> Result<()> {
    if matches!(kind, TermKind::Asc | TermKind::Desc) && !ordered {
        return Err(Error::compile(format!("{} may only be used as an argument to ORDER_BY or UNION.", kind.name())));
    }
    if !writes_allowed && is_write_or_meta(kind) {
        return Err(Error::compile("Cannot nest writes or meta ops in stream operations.  Use FOR_EACH instead."));
    }
    Ok(())
}

/// Whether a term changes anything, or asks about databases and tables.
pub fn is_write_or_meta(kind: TermKind) -> bool {
    use TermKind::*;
    matches!(
        kind,
        Update
            | Delete
            | Insert
            | Replace
            | DbCreate
            | DbDrop
            | TableCreate
            | TableDrop
            | Wait
            | Reconfigure
            | Rebalance
            | Sync
            | IndexCreate
            | IndexDrop
            | IndexWait
            | IndexRename
            | SetWriteHook
            | Grant
    )
}

/// Whether writes are refused in all arguments but the first.
pub(super) fn forbids_writes(kind: TermKind) -> bool {
    use TermKind::*;
    matches!(
        kind,
        Reduce
            | Map
            | Fold
            | Filter
            | ConcatMap
            | Group
            | InnerJoin
            | OuterJoin
            | EqJoin
            | Update
            | Delete
            | Replace
            | Insert
            | Count
            | Sum
            | Avg
            | Min
            | Max
    )
}

/// Every name that some term, or a query as a whole, takes as an option. RethinkDB accepts any of them for the query, but for
/// `explain` and `use_index`, which are PhotonDB's own.
const OPTIONS: [&str; 75] = [
    "_EVAL_FLAGS_",
    "_NO_RECURSE_",
    "_SHORTCUT_",
    "array_limit",
    "attempts",
    "auth",
    "base",
    "binary_format",
    "changefeed_queue_size",
    "changefeeds",
    "conflict",
    "data",
    "db",
    "default",
    "default_timezone",
    "dry_run",
    "durability",
    "emergency_repair",
    "emit",
    "explain",
    "fill",
    "final_emit",
    "first_batch_scaledown_factor",
    "float",
    "geo",
    "geo_system",
    "group_format",
    "header",
    "identifier_format",
    "ignore_write_hook",
    "include_initial",
    "include_offsets",
    "include_states",
    "include_types",
    "index",
    "interleave",
    "left_bound",
    "max_batch_bytes",
    "max_batch_rows",
    "max_batch_seconds",
    "max_dist",
    "max_results",
    "method",
    "min_batch_rows",
    "multi",
    "non_atomic",
    "nonvoting_replica_tags",
    "noreply",
    "num_vertices",
    "ordered",
    "overwrite",
    "page",
    "page_limit",
    "params",
    "primary_key",
    "primary_replica_tag",
    "profile",
    "read_mode",
    "redirects",
    "replicas",
    "result_format",
    "resume_token",
    "return_changes",
    "return_vals",
    "right_bound",
    "shards",
    "squash",
    "step",
    "time_format",
    "timeout",
    "unit",
    "use_index",
    "use_outdated",
    "verify",
    "wait_for",
];

/// Whether a name may stand among the options of a query.
pub fn is_option(name: &str) -> bool {
    OPTIONS.binary_search(&name).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn option_names_are_sorted_for_the_search() {
        assert!(OPTIONS.is_sorted());
        assert!(is_option("array_limit") && is_option("use_outdated") && !is_option("bogus"));
    }
}
