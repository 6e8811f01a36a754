//! Results that do not end: the changes of a selection.
//!
//! A feed subscribes before it reads anything. Initial content is read in chunks, each from a snapshot that knows its
//! position in the log of its shard. A change whose position the snapshot of its document includes is dropped, every other
//! one is given: no gap, no double ([`initial`]).
//!
//! Who asks for it is told with each element where the feed can go on behind it ([`trail`]), as a text ([`token`]) with which
//! another feed of the same query begins there, at any node.

mod change;
mod fingerprint;
mod initial;
mod limit;
mod members;
mod options;
mod queue;
mod range;
mod resume;
mod token;
mod trail;
mod union;

use crate::table::ReadMode;

pub(crate) use limit::LimitFeed;
pub(crate) use options::{FeedOptions, Resume, Squash};
pub(crate) use range::RangeFeed;
pub(crate) use resume::not_exact;
pub(crate) use union::{of_feeds, union};

/// How a feed reads its table. What lags behind may be older than where the feed began to listen, and what came between would
/// be missing from both.
fn current(mode: ReadMode) -> ReadMode {
    match mode {
        ReadMode::Outdated => ReadMode::Single,
        mode => mode,
    }
}
