//! `shards`, `replicas`, `primary_replica_tag`, `nonvoting_replica_tags` of `table_create` and `reconfigure`.

use photondb_reql::Str;
use photondb_reql::datum::Datum;
use photondb_reql::error::{Error, Result};
use photondb_reql::eval::Args;

use super::names;
use crate::catalog::{Layout, Replicas};

/// The tag that every server has unless it is told otherwise.
const DEFAULT_TAG: &str = "default";

/// The option `shards`.
pub(super) fn shards(args: &Args<'_>) -> Result<Option<u32>> {
    args.optarg_as("shards", |datum| match datum.as_integer()? {
        shards if shards > 0 => Ok(u32::try_from(shards).unwrap_or(u32::MAX)),
        _ => Err(Error::logic("Every table must have at least one shard.")),
    })
}

/// Reads the layout; what is not given is as [`Layout::default`]. Whether it makes sense says [`Layout::check`].
pub(super) fn read(args: &Args<'_>) -> Result<Layout> {
    let shards = shards(args)?;
    let primary_given = args.optarg_datum("primary_replica_tag")?.is_some();
    let nonvoting_given = args.optarg_datum("nonvoting_replica_tags")?.is_some();
    let replicas = args.optarg_as("replicas", |datum| replicas(datum, primary_given, nonvoting_given))?;
    let nonvoting = args.optarg_as("nonvoting_replica_tags", tags)?;
    let primary = args.optarg_as("primary_replica_tag", tag)?;
    let replicas = match replicas {
        None if primary.is_none() && nonvoting.is_none() => Replicas::Default,
        None => tagged(vec![(Str::from_static(DEFAULT_TAG), 1)], primary, nonvoting),
        Some(Wanted::Count(count)) => Replicas::Count(count),
        Some(Wanted::Tagged(counts)) => tagged(counts, primary, nonvoting),
    };
    Ok(Layout { shards: shards.unwrap_or(1), replicas })
}

enum Wanted {
    Count(u64),
    Tagged(Vec<(Str, u64)>),
}

fn replicas(datum: &Datum, primary_given: bool, nonvoting_given: bool) -> Result<Wanted> {
    match datum {
        Datum::Object(fields) => {
            if !primary_given {
                return Err(Error::logic("`primary_replica_tag` must be specified when `replicas` is an OBJECT."));
            }
            let mut counts = Vec::with_capacity(fields.len());
            for (name, count) in fields.iter() {
                names::check(&name, "Server tag")?;
                counts.push((name, count_of(&count)?));
            }
            Ok(Wanted::Tagged(counts))
        }
        Datum::Number(_) => {
            if primary_given {
                return Err(Error::logic("`replicas` must be an OBJECT if `primary_replica_tag` is specified."));
            }
            if nonvoting_given {
                return Err(Error::logic("`replicas` must be an OBJECT if `nonvoting_replica_tags` is specified."));
            }
            Ok(Wanted::Count(count_of(datum)?))
        }
        other => Err(Error::logic(format!(
            "Expected type OBJECT or NUMBER but found {}:\n{}",
            other.type_name(),
            other.print()
        ))),
    }
}

fn count_of(datum: &Datum) -> Result<u64> {
    u64::try_from(datum.as_integer()?).map_err(|_| Error::logic("Can't have a negative number of replicas"))
}

fn tags(datum: &Datum) -> Result<Vec<Str>> {
    let Datum::Array(items) = datum else {
        let message = format!("Expected type ARRAY but found {}:\n{}", datum.type_name(), datum.print());
        return Err(Error::logic(message));
    };
    items.iter().map(|item| tag(&item)).collect()
}

fn tag(datum: &Datum) -> Result<Str> {
    let Datum::String(name) = datum else {
        let message = format!("Expected type STRING but found {}:\n{}", datum.type_name(), datum.print());
        return Err(Error::logic(message));
    };
    names::check(name, "Server tag")?;
    Ok(name.clone())
}

fn tagged(counts: Vec<(Str, u64)>, primary: Option<Str>, nonvoting: Option<Vec<Str>>) -> Replicas {
    let primary = primary.unwrap_or_else(|| Str::from_static(DEFAULT_TAG));
    Replicas::Tagged { counts, primary, nonvoting: nonvoting.unwrap_or_default() }
}
