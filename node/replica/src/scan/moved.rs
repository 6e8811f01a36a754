//! A scan goes on after shards were split or joined under it.
//!
//! What was read of a lane stays read: each row is from a snapshot that had it. If several shards have the lane's keys now, it is cut: it
//! keeps the lowest keys, and there is a new lane for those of each other shard. By the primary key each gets its part of what is left;
//! by an index each gets the whole rest, because entries of all of them may lie anywhere in it. If it is one shard, the lane
//! goes on there, though that has other keys, too: the one that its shard was joined to, or the same one again after a freeze that was
//! given up.

use std::sync::Arc;

use photondb_proto::KeyRange;
use photondb_query::table::Progress;
use photondb_runtime::fiber;
use photondb_shard::ShardError;
use photondb_storage::Direction;

use super::merge::Merge;
use super::{Lane, Stage, TableScan};
use crate::error::ReplicaError;
use crate::routes::{Route, TableRoutes};

impl TableScan {
    /// The shard of a lane has said that it has not all of the lane's keys any more, or none for the time being.
    #[cold]
    pub(super) fn moved(&mut self, lane: usize) -> Result<(), ReplicaError> {
        let asked = self.lanes[lane].route.clone();
        let heirs = loop {
            let heirs = heirs(&self.routes, &asked.range);
            if !is_known(&heirs, &asked) {
                break heirs;
            }
            let router = self.routes.router().ok_or(ShardError::Moved)?;
            self.routes = fiber::wait(router.newer(&self.routes))?;
        };
        photondb_storage::probe!("scan goes on after a split", heirs.len() > 1);
        photondb_storage::probe!("scan goes on after a join", heirs.iter().all(|heir| heir.id != asked.id));
        self.cut(lane, heirs);
        Ok(())
    }

    /// The keys of a lane are read of these from now on, each of which has some.
    fn cut(&mut self, lane: usize, heirs: Vec<Arc<Route>>) {
        let new = self.lanes.len();
        for (number, route) in heirs.into_iter().enumerate() {
            let keys = route.range.clone();
            if number == 0 {
                self.lanes[lane] = Lane { route, left: 0 };
                self.progress[lane].keys = keys;
                continue;
            }
            self.lanes.push(Lane { route, left: 0 });
            self.progress.push(Progress { keys, of: Some(lane), ..self.progress[lane].clone() });
        }
        let parts: Vec<usize> = std::iter::once(lane).chain(new..self.lanes.len()).collect();
        for stage in std::mem::take(&mut self.stages) {
            self.divide(stage, &parts);
        }
        parts.into_iter().for_each(|part| self.note_end(part));
    }

    /// What is left of a lane is to be read by all that it was cut into, of which it is the first.
    fn divide(&mut self, stage: Stage, lanes: &[usize]) {
        let (cut, others) = lanes.split_first().expect("the lane itself is one of them");
        match stage {
            Stage::Part(of, part) if of == *cut && self.merges && !others.is_empty() => {
                lanes.iter().for_each(|lane| self.lanes[*lane].left += 1);
                self.stages.push(Stage::Merge(Merge::of(lanes.iter().map(|lane| (*lane, part.clone())))));
            }
            Stage::Part(of, part) if of == *cut => {
                let by_index = self.look.index.is_some();
                let of_lane = |lane: &usize| Some((*lane, part.of_keys(&self.lanes[*lane].route.range, by_index)?));
                let mut parts: Vec<_> = lanes.iter().filter_map(of_lane).collect();
                // The next one is the last.
                if self.look.direction == Direction::Forward {
                    parts.reverse();
                }
                for (lane, part) in parts {
                    self.lanes[lane].left += 1;
                    self.stages.push(Stage::Part(lane, part));
                }
            }
            Stage::Merge(mut merge) => {
                for lane in others {
                    if merge.share(*cut, *lane) {
                        self.lanes[*lane].left += 1;
                    }
                }
                self.lanes[*cut].left += usize::from(merge.has(*cut));
                self.stages.push(Stage::Merge(merge));
            }
            other => self.stages.push(other),
        }
    }
}

/// Who has the keys of a range, as far as is known, in their order: the ways to those of them.
fn heirs(routes: &TableRoutes, range: &KeyRange) -> Vec<Arc<Route>> {
    let has = |route: &Arc<Route>| Some(route.to(&route.range.intersect(range)?));
    routes.all().iter().filter_map(has).collect()
}

/// Whether nothing more is known than who was asked knew.
fn is_known(heirs: &[Arc<Route>], asked: &Route) -> bool {
    matches!(heirs, [heir] if heir.id == asked.id && heir.epoch == asked.epoch)
}

#[cfg(test)]
mod tests;
