//! Other placements for a table's shards, and more shards.
//!
//! Shards are cut where their documents are divided evenly; those with the most documents for each part are cut first. What has too
//! few documents is cut as a new table is, by the keys that are generated.

use std::time::Duration;

use photondb_cluster_state::{ClusterState, Command, NewCut, Placement, StateError, Table};
use photondb_proto::{KeyRange, ShardId};
use photondb_query::catalog::Readiness;
use photondb_query::table::ReadMode;
use photondb_replica::ShardTable;
use photondb_replica::table::Share;
use photondb_reql::error::{Error, Result};

use super::{Failure, Ground, cuts};

/// How long it is waited for a shard to come to rest that is to be cut.
const REST_TIME_MAX: Duration = Duration::from_secs(10);

/// Where the table's shards are cut so that there are as many as placements, and what each one's placement is then.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Resize {
    /// Of the shards that there are. By their numbers: others come between them while the last ones are still being placed.
    stay: Vec<(ShardId, Placement)>,
    /// Of each of them what is cut off.
    cut: Vec<(ShardId, Vec<NewCut>)>,
}

impl Resize {
    /// Errors: fewer shards are wanted than there are; the documents are too few.
    pub fn plan(stored: &Table, table: &ShardTable, placements: Vec<Placement>) -> Result<Resize> {
        let wanted = placements.len();
        if stored.shards.iter().any(|shard| !shard.cuts.is_empty()) {
            return Err(Error::op_failed(format!(
                "The shards of table `{}` are being split; wait for the table, and try again.",
                stored.name
            )));
        }
        if wanted < stored.shards.len() {
            return Err(Error::op_failed(format!(
                "The table has {} shards, and shards cannot be joined yet: it cannot have {wanted}. Make a table with {wanted} \
                 shards and copy the documents.",
                stored.shards.len()
            )));
        }
        if wanted == stored.shards.len() {
            let stay = stored.shards.iter().map(|shard| shard.id).zip(placements).collect();
            return Ok(Resize { stay, cut: Vec::new() });
        }
        let shares = table.shares(ReadMode::Single)?;
        let mut left = placements.into_iter();
        let mut resize = Resize::default();
        for (share, parts) in shares.iter().zip(parts(&shares, wanted)) {
            resize.stay.extend(left.next().map(|placement| (share.shard, placement)));
            if parts > 1 {
                let keys = keys(table, share, parts, wanted)?;
                let cut = |(at, placement)| NewCut { at, placement };
                resize.cut.push((share.shard, keys.into_iter().zip(left.by_ref()).map(cut).collect()));
            }
        }
        Ok(resize)
    }

    /// The commands that carry it out on `stored`, for those who only look what would be.
    pub fn commands(&self, stored: &Table) -> Vec<Command> {
        let cut = |(shard, cuts): &(ShardId, Vec<NewCut>)| {
            let generation = stored.shards.iter().find(|stored| stored.id == *shard)?.generation;
            Some(Command::CutShard { shard: *shard, generation, cuts: cuts.clone() })
        };
        self.cut.iter().filter_map(cut).chain(self.places(stored)).collect()
    }

    /// Changes the state so. The planner and the shards' leaders do the rest.
    pub fn carry_out(self, ground: &Ground, stored: &Table) -> Result<()> {
        let places = self.places(stored);
        if !self.cut.is_empty() {
            // A shard whose members are on their way is not cut; a new one has to begin first.
            ground.wait_for_replicas(stored.id, Readiness::Writes, Some(REST_TIME_MAX))?;
        }
        for (shard, cuts) in self.cut {
            cut(ground, shard, &cuts)?;
        }
        places.into_iter().try_for_each(|place| ground.propose(place).map(drop))
    }

    /// What takes shards to other places than they are wanted at.
    fn places(&self, stored: &Table) -> Vec<Command> {
        let differs = |(id, placement): &&(ShardId, Placement)| {
            stored.shards.iter().any(|shard| shard.id == *id && shard.placement != *placement)
        };
        let place = |(shard, placement): &(ShardId, Placement)| Command::PlaceShard {
            shard: *shard,
            placement: placement.clone(),
        };
        self.stay.iter().filter(differs).map(place).collect()
    }
}

fn cut(ground: &Ground, shard: ShardId, cuts: &[NewCut]) -> Result<()> {
    let rests = |state: &ClusterState| state.shard(shard).is_none_or(|(_, shard)| !shard.is_changing());
    let mut attempts = 0;
    loop {
        ground.settle(rests)?;
        let state = ground.newest_state()?;
        let Some((_, stored)) = state.shard(shard) else {
            return Err(Error::op_failed("The table was dropped meanwhile."));
        };
        let command = Command::CutShard { shard, generation: stored.generation, cuts: cuts.to_vec() };
        match ground.propose_raw(command) {
            Ok(_) => return Ok(()),
            Err(Failure::Refused(StateError::ShardBusy { .. } | StateError::OtherGeneration { .. }))
                if attempts < 8 =>
            {
                attempts += 1;
            }
            Err(failure) => return Err(failure.into_error()),
        }
    }
}

/// Into how many parts each shard is cut.
fn parts(shares: &[Share], wanted: usize) -> Vec<usize> {
    let mut parts = vec![1; shares.len()];
    for _ in shares.len()..wanted {
        // Of two with as much in each part the one that is cut into fewer.
        let most = (0..shares.len()).max_by_key(|number| {
            (shares[*number].documents / parts[*number] as u64, std::cmp::Reverse(parts[*number]))
        });
        parts[most.expect("a table has a shard")] += 1;
    }
    parts
}

fn keys(table: &ShardTable, share: &Share, parts: usize, wanted: usize) -> Result<Vec<Vec<u8>>> {
    let mut keys = table.divide(share.shard, parts)?;
    keys.retain(|key| key.as_slice() > share.range.start() && share.range.contains(key));
    if keys.len() + 1 < parts {
        keys = generated(&share.range, parts);
    }
    if keys.len() + 1 < parts {
        return Err(Error::op_failed(format!(
            "There are too few documents in the table to divide it into {wanted} shards."
        )));
    }
    Ok(keys)
}

/// Keys within a range that divide those that are generated.
fn generated(range: &KeyRange, parts: usize) -> Vec<Vec<u8>> {
    let within = |key: &Vec<u8>| key.as_slice() > range.start() && range.contains(key);
    let all: Vec<Vec<u8>> = (1..64 * parts).map(|number| cuts::generated(number, 64 * parts)).filter(within).collect();
    if all.len() + 1 < parts {
        return Vec::new();
    }
    (1..parts).map(|part| all[part * (all.len() + 1) / parts - 1].clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(shard: u64, documents: u64) -> Share {
        Share { shard: ShardId(shard), range: KeyRange::all(), documents }
    }

    #[test]
    fn the_largest_shards_are_cut_into_most_parts() {
        assert_eq!(parts(&[share(1, 0)], 4), [4]);
        assert_eq!(parts(&[share(1, 100), share(2, 100)], 4), [2, 2]);
        assert_eq!(parts(&[share(1, 10), share(2, 90)], 5), [1, 4]);
        assert_eq!(parts(&[share(1, 0), share(2, 0)], 5), [2, 3]);
    }

    #[test]
    fn keys_that_are_generated_are_divided_evenly_and_differ() {
        for parts in [2, 3, 7, 64] {
            let keys = generated(&KeyRange::all(), parts);
            assert_eq!(keys.len(), parts - 1);
            assert!(keys.windows(2).all(|pair| pair[0] < pair[1]));
            let whole = KeyRange::all();
            let [left, _] = whole.cut(&keys[0]).expect("within");
            assert_eq!(generated(&left, 2).len(), 1, "a part of them can be divided again");
        }
        let narrow = KeyRange::new(b"zzz".to_vec(), None).expect("has keys");
        assert!(generated(&narrow, 2).is_empty());
    }
}
