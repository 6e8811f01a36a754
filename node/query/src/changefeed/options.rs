//! The options of `changes`.

use photondb_reql::datum::{Datum, Str};
use photondb_reql::error::{Error, Result};
use photondb_reql::eval::Args;

use crate::run::positive;

/// How a feed shows changes.
#[derive(Clone, Debug)]
pub(crate) struct FeedOptions {
    pub squash: Squash,
    pub include_initial: bool,
    pub include_states: bool,
    pub include_types: bool,
    pub include_offsets: bool,
    /// How many changes are held for a slow reader.
    pub queue_size: usize,
    /// Whether each element says where the feed can go on behind it.
    pub resume: Option<Resume>,
}

/// What `resume_token` says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Resume {
    /// `true`: elements have tokens.
    Tokens,
    /// A token: the feed goes on behind the element that it came with. Elements have tokens, too.
    Behind(Str),
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
            // Not for want of something, be it null.
            other => Err(Error::logic(format!("Expected BOOL or NUMBER but found {}.", other.type_name()))),
        })?;
        let (include_states, include_types) = (flag("include_states")?, flag("include_types")?);
        let (include_initial, include_offsets) = (flag("include_initial")?, flag("include_offsets")?);
        let queue = match args.optarg_as("changefeed_queue_size", |datum| datum.as_integer().map(|_| datum.clone()))? {
            // A size that is none is the fault of the whole term.
            Some(size) => Some(positive(&size, "changefeed queue size")?),
            None => None,
        };
        let resume = args.optarg_as("resume_token", |datum| match datum {
            Datum::Bool(false) => Ok(None),
            Datum::Bool(true) => Ok(Some(Resume::Tokens)),
            Datum::String(token) => Ok(Some(Resume::Behind(token.clone()))),
            other => Err(Error::wrong_type(other, format!("Expected BOOL or STRING but found {}.", other.type_name()))),
        })?;
        Ok(FeedOptions {
            squash: squash.unwrap_or(Squash::No),
            include_initial,
            include_states,
            include_types,
            include_offsets,
            queue_size: queue.unwrap_or(queue_size),
            resume: resume.flatten(),
        })
    }
}
