//! Shards that have grown too large, or are read or written too much, are cut in two by themselves.
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
use photondb_shard::traffic::Tally;
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
    /// The same of its leader's reads by key. `None`: never for that.
    pub reads_max: Option<u64>,
}

/// What a leader has seen of its shard's growth.
#[derive(Debug, Default)]
pub(super) struct Growth {
    writes: Pace,
    reads: Pace,
}

/// How fast a number has grown from look to look.
#[derive(Debug, Default)]
struct Pace {
    /// At the last look: when it was, and the number.
    last: Option<(Moment, u64)>,
    /// Since when each look found that it grew too fast.
    high_since: Option<Moment>,
}

/// What too much has been done of, for long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Busy {
    writes: bool,
    reads: bool,
}

impl Growth {
    /// Whether a look is due.
    fn is_due(&self, now: Moment) -> bool {
        self.writes.last.is_none_or(|(at, _)| now.since(at) >= GROWTH_LOOK_PERIOD)
    }

    /// One look. `written` and `read` count all that this member ever had to do.
    fn look(&mut self, now: Moment, written: u64, read: u64, policy: &SplitPolicy) -> Busy {
        Busy {
            writes: self.writes.look(now, written, policy.writes_max),
            reads: self.reads.look(now, read, policy.reads_max),
        }
    }

    /// The shard is cut. What was seen until now is of the one that it was.
    fn begin_anew(&mut self) {
        self.writes.high_since = None;
        self.reads.high_since = None;
    }
}

impl Pace {
    /// One look: whether more than `max` was added in each second, for long.
    fn look(&mut self, now: Moment, count: u64, max: Option<u64>) -> bool {
        let Some((at, before)) = self.last.replace((now, count)) else { return false };
        let took = now.since(at).as_secs_f64().max(f64::MIN_POSITIVE);
        let rate = count.saturating_sub(before) as f64 / took;
        if max.is_none_or(|max| rate <= max as f64) {
            self.high_since = None;
            return false;
        }
        let since = *self.high_since.get_or_insert(at);
        now.since(since) >= BUSY_FOR
    }
}

/// Why a shard is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    Large { bytes: u64 },
    Written,
    Read,
    Buggified,
}

/// What may speak for a cut.
struct Evidence {
    /// The shard's keys.
    range: KeyRange,
    /// The most that its documents may take.
    bytes_max: Option<u64>,
    /// Keys that were written lately, if too many were.
    written: Vec<Bytes>,
    /// Keys that were read lately, if too many were.
    read: Vec<Bytes>,
    is_buggified: bool,
}

impl Evidence {
    /// Why the shard is to be cut, and where.
    fn weigh(self, reader: &Reader) -> Result<Option<(Reason, Bytes)>, ShardError> {
        let middle = || Ok::<_, ShardError>(reader.divide(2)?.into_iter().next());
        let bytes = if self.bytes_max.is_some() { estimated_bytes(reader)? } else { 0 };
        let found = if self.bytes_max.is_some_and(|max| bytes > max) {
            middle()?.map(|key| (Reason::Large { bytes }, key))
        } else if let Some(key) = busy_middle(self.written, &self.range) {
            Some((Reason::Written, key))
        } else if let Some(key) = busy_middle(self.read, &self.range) {
            Some((Reason::Read, key))
        } else if self.is_buggified {
            middle()?.map(|key| (Reason::Buggified, key))
        } else {
            None
        };
        Ok(found.filter(|(_, key)| divides(&self.range, key)))
    }
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
        let has_few_parts = table.shards.len() < PARTS_OF_BUGGIFIED_MAX;
        let found_large = has_few_parts && buggify!("replica/shard-found-large");
        let found_busy = has_few_parts && buggify!("replica/shard-found-busy");
        let is_due = policy != SplitPolicy::default() && growth.is_due(now);
        if !(is_due || found_large || found_busy) {
            return Ok(());
        }
        let traffic = replica.shard.traffic().clone();
        let busy = growth.look(now, traffic.written.count(), traffic.read.count(), &policy);
        if !may_be_cut(table, shard) {
            return Ok(());
        }
        let Some(controller) = self.controller() else { return Ok(()) };
        let placement = part_placement(state, shard, &controller.burdens());
        // A node that leads both halves has as much to do as before.
        let is_relieved = placement.voters.first() != shard.placement.voters.first();
        let lately = |is_busy: bool, of: &Tally| if is_busy && is_relieved { of.recent_keys() } else { Vec::new() };
        let evidence = Evidence {
            range: shard.range.clone(),
            bytes_max: policy.bytes_max,
            written: lately(busy.writes, &traffic.written),
            read: lately(busy.reads || found_busy, &traffic.read),
            is_buggified: found_large,
        };
        let reader = replica.shard.read()?;
        // Documents are read, perhaps from the disk: not on the thread that heartbeats go out from.
        let looked = self.groups.blocking().run(move || evidence.weigh(&reader)).await;
        let Some((reason, at)) = looked.map_err(|error| ReplicaError::Unknown(error.to_string()))?? else {
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
        photondb_storage::probe!("shard cut in two because it is read much", reason == Reason::Read);
        let cuts = vec![NewCut { at: at.to_vec(), placement }];
        controller.propose(Command::CutShard { shard: shard.id, generation: shard.generation, cuts }).await?;
        growth.begin_anew();
        Ok(())
    }
}

/// Whether the shard rests.
pub(super) fn may_be_cut(table: &Table, shard: &StoredShard) -> bool {
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

/// A key with enough of what was done lately on both sides, of the keys that are still the shard's. `None`: one key, or a few, have nearly
/// all of it, and would in one half.
fn busy_middle(mut keys: Vec<Bytes>, range: &KeyRange) -> Option<Bytes> {
    keys.retain(|key| range.contains(key));
    keys.sort_unstable();
    let middle = keys.get(keys.len() / 2)?.clone();
    let below = keys.iter().filter(|key| **key < middle).count();
    let least = keys.len() / BUSY_SIDE_SHARE;
    (below >= least.max(1)).then_some(middle)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use photondb_reql::datum::Datum;

    use super::*;
    use crate::scan::fed::{Fed, key};

    fn at(seconds: u64) -> Moment {
        Moment::from_start(Duration::from_secs(seconds))
    }

    #[test]
    fn a_shard_is_busy_when_too_much_was_done_at_each_look_of_a_minute() {
        let mut pace = Pace::default();
        let max = Some(1_000);
        assert!(!pace.look(at(0), 500_000, max), "what was done before the first look says nothing");
        for turn in 1..=5 {
            assert!(!pace.look(at(turn * 10), 500_000 + turn * 11_000, max));
        }
        assert!(pace.look(at(60), 566_000, max));
        // A pause begins it anew.
        assert!(!pace.look(at(70), 566_000, max));
        assert!(!pace.look(at(80), 600_000, max), "one look tells nothing of a minute");
        assert!(!pace.look(at(140), 720_000, None));
    }

    #[test]
    fn reads_and_writes_are_looked_at_each_by_its_own_limit() {
        let policy = SplitPolicy { bytes_max: None, writes_max: Some(100), reads_max: Some(1_000) };
        let mut growth = Growth::default();
        assert!(growth.is_due(at(0)));
        let mut look = |seconds: u64, written: u64, read: u64| growth.look(at(seconds), written, read, &policy);
        let neither = Busy { writes: false, reads: false };
        assert_eq!(look(0, 0, 0), neither);
        assert_eq!(look(60, 6_000, 60_000), neither, "as many as may be");
        assert_eq!(look(120, 12_000, 120_060), Busy { reads: true, ..neither });
        assert_eq!(look(180, 18_060, 180_000), Busy { writes: true, ..neither });
        assert_eq!(look(240, 24_120, 300_000), Busy { writes: true, reads: true });
        assert!(!growth.is_due(at(249)) && growth.is_due(at(250)));
    }

    #[test]
    fn what_was_seen_of_a_shard_says_nothing_of_what_a_cut_has_left_of_it() {
        let policy = SplitPolicy { writes_max: Some(1), reads_max: Some(1), ..SplitPolicy::default() };
        let mut growth = Growth::default();
        growth.look(at(0), 0, 0, &policy);
        assert_eq!(growth.look(at(60), 600, 600, &policy), Busy { writes: true, reads: true });
        growth.begin_anew();
        assert_eq!(growth.look(at(110), 6_000, 6_000, &policy), Busy { writes: false, reads: false });
        assert_eq!(growth.look(at(120), 12_000, 12_000, &policy), Busy { writes: true, reads: true });
    }

    fn keys(numbers: &[u8]) -> Vec<Bytes> {
        numbers.iter().map(|number| Bytes::copy_from_slice(&[*number])).collect()
    }

    #[test]
    fn a_busy_shard_is_cut_where_as_much_is_done_on_both_sides() {
        let middle = |numbers: &[u8]| busy_middle(keys(numbers), &KeyRange::all());
        assert_eq!(middle(&[9, 1, 8, 2, 7, 3, 6, 4]), Some(Bytes::from_static(&[6])));
        assert_eq!(middle(&[5; 8]), None, "one key has all");
        assert_eq!(middle(&[1, 5, 5, 5, 5, 5, 5, 5]), None, "one key has nearly all");
        assert_eq!(middle(&[1, 1, 1, 5, 5, 5, 5, 5]), Some(Bytes::from_static(&[5])));
        assert_eq!(middle(&[]), None);
    }

    #[test]
    fn keys_that_went_with_a_cut_do_not_say_where_the_next_one_is() {
        let [left, _] = KeyRange::all().cut(&[5]).expect("within");
        assert_eq!(busy_middle(keys(&[1, 2, 3, 6, 7, 8, 9]), &left), Some(Bytes::from_static(&[2])));
        assert_eq!(busy_middle(keys(&[6, 7, 8, 9]), &left), None);
    }

    #[test]
    fn what_is_written_counts_before_what_is_read_and_its_size_before_both() {
        let mut fed = Fed::new(false);
        let weigh = |fed: &Fed, written: &[u8], read: &[u8]| {
            let (range, written, read) = (KeyRange::all(), keys(written), keys(read));
            let evidence = Evidence { range, bytes_max: Some(1), written, read, is_buggified: false };
            evidence.weigh(&fed.shard.read().expect("reads")).expect("weighs")
        };
        assert_eq!(weigh(&fed, &[], &[]), None);
        assert_eq!(weigh(&fed, &[], &[1, 2]), Some((Reason::Read, Bytes::from_static(&[2]))));
        assert_eq!(weigh(&fed, &[3, 4], &[1, 2]), Some((Reason::Written, Bytes::from_static(&[4]))));
        let one_is_written = weigh(&fed, &[3, 3], &[1, 2]);
        assert_eq!(one_is_written, Some((Reason::Read, Bytes::from_static(&[2]))));
        fed.put([1, 8].map(|id| (id, Datum::Null)));
        let (reason, middle) = weigh(&fed, &[3, 4], &[1, 2]).expect("is too large");
        assert!(matches!(reason, Reason::Large { bytes: 2.. }), "{reason:?}");
        assert_eq!(middle, key(8));
    }

    #[test]
    fn a_key_divides_a_range_that_goes_on_before_it() {
        let [left, right] = KeyRange::all().cut(b"m").expect("within");
        assert!(divides(&left, b"c") && !divides(&left, b"m") && !divides(&right, b"m") && divides(&right, b"n"));
        assert!(!divides(&right, &[b'n'; CUT_BYTES_MAX + 1]));
    }
}
