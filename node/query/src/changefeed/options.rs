//! The options of `changes`.

use photondb_reql::datum::Datum;
use photondb_reql::error::{Error, Result};
use photondb_reql::eval::Args;

use crate::run::positive;

/// How a feed shows changes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FeedOptions {
    pub squash: Squash,
    pub include_initial: bool,
    pub include_states: bool,
    pub include_types: bool,
    pub include_offsets: bool,
    /// How many changes are held for a slow reader.
    pub queue_size: usize,
}

/// Whether several changes of one document become one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Squash {
    /// Each change is shown.
    No,
    /// Those that have come since the reader last asked.
    Waiting,
    /// Those of so many seconds.
    Seconds(f64),
}

impl FeedOptions {
    /// Reads and checks them.
    pub fn read(args: &Args<'_>, queue_size: usize) -> Result<FeedOptions> {
        let flag = |name: &str| Ok::<bool, Error>(args.optarg_bool(name)?.unwrap_or(false));
        let squash = args.optarg_as("squash", |datum| match datum {
            Datum::Bool(false) => Ok(Squash::No),
            Datum::Bool(true) => Ok(Squash::Waiting),
            Datum::Number(seconds) if *seconds >= 0.0 => Ok(Squash::Seconds(*seconds)),
            Datum::Number(_) => Err(Error::logic("Expected BOOL or a positive NUMBER but found a negative NUMBER.")),
            other => Err(Error::wrong_type(other, format!("Expected BOOL or NUMBER but found {}.", other.type_name()))),
        })?;
        let queue = match args.optarg_node("changefeed_queue_size") {
            Some(_) => args.optarg_as("changefeed_queue_size", |datum| positive(datum, "changefeed queue size"))?,
            None => None,
        };
        Ok(FeedOptions {
            squash: squash.unwrap_or(Squash::No),
            include_initial: flag("include_initial")?,
            include_states: flag("include_states")?,
            include_types: flag("include_types")?,
            include_offsets: flag("include_offsets")?,
            queue_size: queue.unwrap_or(queue_size),
        })
    }
}
