//! Shards that have grown too large, or are written to too much, are cut in two by themselves.
//!
//! The leader of a shard looks now and then. What it finds is an estimate; that the cut is made once only, and of a shard that rests, the
//! cluster state sees to: `CutShard` names the generation that was looked at.

use std::sync::Arc;

use bytes::Bytes;
use photondb_cluster_state::limits::CUT_BYTES_MAX;
use photondb_cluster_state::plan::part_placement;
use photondb_cluster_state::{ClusterState, Command, NewCut, Shard as StoredShard, Table};
use photondb_proto::KeyRange;
use photondb_runtime::clock::Moment;
use photondb_shard::{Reader, ShardError};
use photondb_storage::fault::buggify;

use super::{Replicas, uncut};
use crate::error::ReplicaError;
use crate::limits::{BUSY_FOR, BUSY_SIDE_SHARE, GROWTH_LOOK_PERIOD, PARTS_OF_BUGGIFIED_MAX, SIZE_SAMPLES};
use crate::replica::Replica;

/// When shards are cut in two by themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SplitPolicy {
    /// When a shard's documents take more than so many bytes as they are stored, indexes not counted. `None`: never for that.
    pub bytes_max: Option<u64>,
    /// When more than so many documents of a shard have been written in each second, for a minute, and another node can lead the one
    /// half. `None`: never for that.
    pub writes_max: Option<u64>,
}

/// What a leader has seen of its shard's growth.
#[derive(Debug, Default)]
pub(super) struct Growth {
    /// At the last look: when it was, and how many documents had been written.
    last: Option<(Moment, u64)>,
    /// Since when each look found that too much was written.
    busy_since: Option<Moment>,
}

impl Growth {
    /// Whether a look is due.
    fn is_due(&self, now: Moment) -> bool {
        self.last.is_none_or(|(at, _)| now.since(at) >= GROWTH_LOOK_PERIOD)
    }

    /// One look: whether too much has been written for long. `written` counts all documents that this member ever had written.
    fn look(&mut self, now: Moment, written: u64, writes_max: Option<u64>) -> bool {
        let Some((at, before)) = self.last.replace((now, written)) else { return false };
        let took = now.since(at).as_secs_f64().max(f64::MIN_POSITIVE);
        let rate = written.saturating_sub(before) as f64 / took;
        if writes_max.is_none_or(|max| rate <= max as f64) {
            self.busy_since = None;
            return false;
        }
        let since = *self.busy_since.get_or_insert(at);
        now.since(since) >= BUSY_FOR
    }
}

/// Why a shard is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    Large { bytes: u64 },
    Busy,
    Buggified,
}

impl Replicas {
    /// When shards are cut in two by themselves; until this is said, never.
    pub fn split_by(&self, policy: SplitPolicy) {
        let is_new = self.split_policy.set(policy).is_ok();
        assert!(is_new, "a node has one policy");
    }

    /// Has the shard cut in two if it has grown so, as its leader.
    pub(super) async fn split_when_grown(
        &self,
        replica: &Arc<Replica>,
        state: &ClusterState,
        (table, shard): (&Table, &StoredShard),
        growth: &mut Growth,
    ) -> Result<(), ReplicaError> {
        let policy = self.split_policy.get().copied().unwrap_or_default();
        let now = replica.group.now();
        let is_buggified = table.shards.len() < PARTS_OF_BUGGIFIED_MAX && buggify!("replica/shard-found-large");
        if !is_buggified && (policy == SplitPolicy::default() || !growth.is_due(now)) {
            return Ok(());
        }
        let is_busy =
            growth.look(now, replica.proposer.written(), policy.writes_max) && shard.placement.voters.len() > 1;
        if !may_be_cut(table, shard) {
            return Ok(());
        }
        let Some(controller) = self.controller() else { return Ok(()) };
        let reader = replica.shard.read()?;
        let sample = replica.proposer.recent_keys();
        let range = shard.range.clone();
        // Documents are read, perhaps from the disk: not on the thread that heartbeats go out from.
        let looked = self.groups.blocking().run(move || -> Result<Option<(Reason, Bytes)>, ShardError> {
            let bytes = if policy.bytes_max.is_some() { estimated_bytes(&reader)? } else { 0 };
            let middle = |reader: &Reader| Ok::<_, ShardError>(reader.divide(2)?.into_iter().next());
            let found = if policy.bytes_max.is_some_and(|max| bytes > max) {
                middle(&reader)?.map(|key| (Reason::Large { bytes }, key))
            } else if is_busy {
                busy_middle(sample).map(|key| (Reason::Busy, key))
            } else if is_buggified {
                middle(&reader)?.map(|key| (Reason::Buggified, key))
            } else {
                None
            };
            Ok(found.filter(|(_, key)| divides(&range, key)))
        });
        let Some((reason, at)) = looked.await.map_err(|error| ReplicaError::Unknown(error.to_string()))?? else {
            replica.duty.note_uncut(None);
            return Ok(());
        };
        let full = uncut::full(state, table, shard);
        if replica.duty.note_uncut(full.filter(|_| reason != Reason::Buggified)) {
            tracing::warn!(shard = %shard.id, table = %table.name, ?reason, ?full, "a shard has grown too much for one and is not cut in two: there are as many shards as there may be");
        }
        if full.is_some() {
            photondb_storage::probe!("grown shard not cut in two because there are too many");
            return Ok(());
        }
        tracing::info!(shard = %shard.id, table = %table.name, ?reason, "a shard has grown too much for one: it is cut in two");
        photondb_storage::probe!("grown shard cut in two");
        let cuts = vec![NewCut { at: at.to_vec(), placement: part_placement(state, shard, &controller.burdens()) }];
        controller.propose(Command::CutShard { shard: shard.id, generation: shard.generation, cuts }).await?;
        Ok(())
    }
}

/// Whether the shard rests.
fn may_be_cut(table: &Table, shard: &StoredShard) -> bool {
    // A leader that has just been put elsewhere is on its way.
    let is_placed = shard.members.iter().all(|member| shard.placement.contains(member.node));
    shard.rests() && is_placed && !table.is_joining(shard)
}

/// Whether there are keys of the range on both sides of `key`, and storage can keep it.
fn divides(range: &KeyRange, key: &[u8]) -> bool {
    key > range.start() && range.contains(key) && key.len() <= CUT_BYTES_MAX
}

/// What the documents take, told from a few of them: each as likely as any other.
fn estimated_bytes(reader: &Reader) -> Result<u64, ShardError> {
    let sample = reader.sample_sizes(SIZE_SAMPLES)?;
    let sum: u64 = sample.sizes.iter().sum();
    let count = sample.sizes.len() as u64;
    Ok(if count == 0 { 0 } else { (u128::from(sum) * u128::from(sample.documents) / u128::from(count)) as u64 })
}

/// A key with enough of what was written lately on both sides. `None`: one key, or a few, have nearly all of it, and would in one half.
fn busy_middle(mut keys: Vec<Bytes>) -> Option<Bytes> {
    keys.sort_unstable();
    let middle = keys.get(keys.len() / 2)?.clone();
    let below = keys.iter().filter(|key| **key < middle).count();
    let least = keys.len() / BUSY_SIDE_SHARE;
    (below >= least.max(1)).then_some(middle)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::from_start(Duration::from_secs(seconds))
    }

    #[test]
    fn a_shard_is_busy_when_too_much_was_written_at_each_look_of_a_minute() {
        let mut growth = Growth::default();
        let max = Some(1_000);
        assert!(!growth.look(at(0), 500_000, max), "what was written before the first look says nothing");
        for turn in 1..=5 {
            assert!(!growth.look(at(turn * 10), 500_000 + turn * 11_000, max));
        }
        assert!(growth.look(at(60), 566_000, max));
        // A pause begins it anew.
        assert!(!growth.look(at(70), 566_000, max));
        assert!(!growth.look(at(80), 600_000, max), "one look tells nothing of a minute");
        assert!(!growth.look(at(140), 720_000, None));
    }

    #[test]
    fn a_busy_shard_is_cut_where_as_much_is_written_on_both_sides() {
        let keys = |numbers: &[u8]| numbers.iter().map(|number| Bytes::copy_from_slice(&[*number])).collect::<Vec<_>>();
        assert_eq!(busy_middle(keys(&[9, 1, 8, 2, 7, 3, 6, 4])), Some(Bytes::from_static(&[6])));
        assert_eq!(busy_middle(keys(&[5; 8])), None, "one key has all");
        assert_eq!(busy_middle(keys(&[1, 5, 5, 5, 5, 5, 5, 5])), None, "one key has nearly all");
        assert_eq!(busy_middle(keys(&[1, 1, 1, 5, 5, 5, 5, 5])), Some(Bytes::from_static(&[5])));
        assert_eq!(busy_middle(Vec::new()), None);
    }

    #[test]
    fn a_key_divides_a_range_that_goes_on_before_it() {
        let [left, right] = KeyRange::all().cut(b"m").expect("within");
        assert!(divides(&left, b"c") && !divides(&left, b"m") && !divides(&right, b"m") && divides(&right, b"n"));
        assert!(!divides(&right, &[b'n'; CUT_BYTES_MAX + 1]));
    }
}
