//! The changes of a system table: two listings compared, whenever something may have changed.

mod log;

use std::collections::BTreeMap;
use std::sync::Arc;

use photondb_cluster_state::ClusterState;
use photondb_query::table::{Change, Position, Subscription};
use photondb_reql::datum::Datum;
use photondb_reql::error::{Error, Result};
use photondb_runtime::{fiber, task};
use tokio::sync::watch;

use super::{News, Source};
use crate::catalog::Scratch;
use crate::limits::SYSTEM_FEED_LOOK_PERIOD;

pub(super) use log::LogFeed;

/// A subscription to a system table.
pub(super) struct SystemFeed {
    source: Source,
    known: BTreeMap<Datum, Datum>,
    states: watch::Receiver<Arc<ClusterState>>,
    scratch: watch::Receiver<Scratch>,
    news: News,
    position: u64,
}

impl SystemFeed {
    pub fn open(source: Source) -> Result<SystemFeed> {
        let mut states = source.ground.watch();
        let mut scratch = source.ground.facts().scratch.subscribe();
        states.mark_unchanged();
        scratch.mark_unchanged();
        let news = source.entry.contents.news();
        let known = source.rows()?.into_iter().collect();
        Ok(SystemFeed { source, known, states, scratch, news, position: 0 })
    }
}

impl Subscription for SystemFeed {
    fn next(&mut self) -> Result<Vec<Change>> {
        loop {
            let changes = self.try_next()?;
            if !changes.is_empty() {
                return Ok(changes);
            }
            let changed = match self.news {
                News::OfTheState => {
                    let (states, scratch) = (&mut self.states, &mut self.scratch);
                    fiber::wait(async {
                        tokio::select! {
                            changed = states.changed() => changed,
                            changed = scratch.changed() => changed,
                        }
                    })
                }
                News::OfTheStateAndFromTimeToTime => {
                    let states = &mut self.states;
                    fiber::wait(async {
                        tokio::select! {
                            changed = states.changed() => changed,
                            () = task::sleep(SYSTEM_FEED_LOOK_PERIOD) => Ok(()),
                        }
                    })
                }
                News::FromTimeToTime | News::OfTheLog => {
                    fiber::wait(task::sleep(SYSTEM_FEED_LOOK_PERIOD));
                    Ok(())
                }
            };
            changed.map_err(|_| Error::op_failed("The server is shutting down."))?;
        }
    }

    fn try_next(&mut self) -> Result<Vec<Change>> {
        let now: BTreeMap<Datum, Datum> = self.source.rows()?.into_iter().collect();
        let mut changes = Vec::new();
        let mut change = |old: Option<&Datum>, new: Option<&Datum>| {
            self.position += 1;
            changes.push(Change {
                old: old.cloned(),
                new: new.cloned(),
                position: Position { index: self.position, ..Position::default() },
                then: Default::default(),
            });
        };
        for (key, old) in &self.known {
            match now.get(key) {
                None => change(Some(old), None),
                Some(new) if new != old => change(Some(old), Some(new)),
                Some(_) => {}
            }
        }
        for (_, new) in now.iter().filter(|(key, _)| !self.known.contains_key(key)) {
            change(None, Some(new));
        }
        self.known = now;
        Ok(changes)
    }
}
