//! Other placements for a table's shards, more shards, or fewer.
//!
//! Shards are cut where their documents are divided evenly; those with the most documents for each part are cut first. What has too
//! few documents is cut as a new table is, by the keys that are generated. Of neighbours that become one the first one stays.

mod rebalance;
mod together;

use photondb_cluster_state::{NewCut, Placement, Reshaped, Shard, Table};
use photondb_proto::{KeyRange, ShardId};
use photondb_query::table::ReadMode;
use photondb_replica::ShardTable;
use photondb_replica::table::Share;
use photondb_reql::error::{Error, Result};

use super::{Failure, cuts};
use together::Together;

/// Where the table's shards are cut and which are joined so that there are as many as placements, and what each one's placement is then.
/// Those that do not stay are joined to their left neighbours, or a join of them that was begun goes on. Nothing at all: all of them are
/// as they should be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Resize {
    /// Of the shards that stay.
    stay: Vec<(ShardId, Placement)>,
    /// Of some of them, and of those that are joined, what is cut off.
    cut: Vec<(ShardId, Vec<NewCut>)>,
}

/// Why there is no plan.
#[derive(Debug)]
pub(crate) enum Unplanned {
    /// For now, until what is under way has come to its end.
    Unsettled(Unsettled),
    /// It cannot be.
    Failed(Failure),
}

/// What is under way with a table's shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsettled {
    /// Some are cut off from others, so that nobody knows how many there will be.
    Splitting,
    /// Some become one, and are not to.
    Joining,
    /// Their members are on their way, or they are others than they were a moment ago.
    Changing,
}

impl From<Unsettled> for Unplanned {
    fn from(why: Unsettled) -> Unplanned {
        Unplanned::Unsettled(why)
    }
}

impl From<Error> for Unplanned {
    fn from(error: Error) -> Unplanned {
        Unplanned::Failed(Failure::Other(error))
    }
}

/// The table with those of its shards alone that stay when there are to be `wanted`.
pub(crate) fn staying(stored: &Table, table: &ShardTable, wanted: usize) -> Result<Table> {
    let together = Together::begun(stored).at_most(wanted, table)?;
    Ok(Table { shards: together.first().cloned().collect(), ..stored.clone() })
}

impl Resize {
    /// Errors: shards are being split, or joined where more are wanted; the documents are too few.
    pub fn plan(
        stored: &Table,
        table: &ShardTable,
        placements: Vec<Placement>,
    ) -> std::result::Result<Resize, Unplanned> {
        check_uncut(stored)?;
        let wanted = placements.len();
        let together = Together::begun(stored).at_most(wanted, table)?;
        let mut resize = Resize::default();
        if wanted == together.0.len() {
            resize.stay = together.first().map(|shard| shard.id).zip(placements).collect();
            return Ok(resize);
        }
        // Wishes alone are taken back.
        if together.0.len() < stored.shards.len() {
            return Err(Unsettled::Joining.into());
        }
        let shares = table.shares(ReadMode::Single)?;
        check_known(stored, &shares)?;
        let mut left = placements.into_iter();
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

    /// What becomes of each shard of the table that this was planned for.
    pub fn shards(&self, stored: &Table) -> Vec<Reshaped> {
        if *self == Resize::default() {
            return Vec::new();
        }
        let stays = |id: ShardId| self.stay.iter().find(|(stays, _)| *stays == id);
        let cuts = |id: ShardId| self.cut.iter().find(|(cut, _)| *cut == id);
        let reshaped = |shard: &Shard| Reshaped {
            shard: shard.id,
            epoch: shard.epoch,
            cuts: cuts(shard.id).map(|(_, cuts)| cuts.clone()).unwrap_or_default(),
            placement: stays(shard.id).map(|(_, placement)| placement.clone()),
        };
        stored.shards.iter().map(reshaped).collect()
    }
}

fn check_uncut(stored: &Table) -> std::result::Result<(), Unsettled> {
    if stored.shards.iter().all(|shard| shard.cuts.is_empty()) { Ok(()) } else { Err(Unsettled::Splitting) }
}

fn check_settled(stored: &Table) -> std::result::Result<(), Unsettled> {
    check_uncut(stored)?;
    if stored.shards.iter().any(|shard| shard.joining.is_some()) { Err(Unsettled::Joining) } else { Ok(()) }
}

/// What leaders said is of the shards that the state has.
fn check_known(stored: &Table, shares: &[Share]) -> std::result::Result<(), Unsettled> {
    let is_known = shares.iter().map(|share| share.shard).eq(stored.shards.iter().map(|shard| shard.id));
    if is_known { Ok(()) } else { Err(Unsettled::Changing) }
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
    use std::sync::Arc;

    use photondb_cluster_state::{ClusterState, Command, Reached, Stage, TableSettings};
    use photondb_proto::NodeId;

    use super::super::samples::{self, TABLE, run};
    use super::*;

    fn placement() -> Placement {
        Placement { voters: vec![NodeId(1)], nonvoting: Default::default() }
    }

    /// A table of so many shards on one node, all of which have reported.
    fn cluster(shards: usize) -> Arc<ClusterState> {
        let mut state = samples::cluster(cuts::new_shards(&vec![placement(); shards]));
        for shard in table(&state).shards {
            let (voters, at) = (shard.wanted_voters(), Reached { term: 1, index: 1 });
            let (shard, generation, learners) = (shard.id, shard.generation, Default::default());
            run(&mut state, Command::MembersReached { shard, generation, at, voters, learners });
        }
        state
    }

    fn table(state: &ClusterState) -> Table {
        Table::clone(state.table(TABLE).expect("is there"))
    }

    fn resize(stored: &Table, together: &Together<'_>) -> Resize {
        let stay = together.first().map(|shard| (shard.id, shard.placement.clone())).collect();
        assert!(together.0.iter().flatten().map(|shard| shard.id).eq(stored.shards.iter().map(|shard| shard.id)));
        Resize { stay, cut: Vec::new() }
    }

    fn carry_out(state: &mut Arc<ClusterState>, resize: &Resize) {
        let shards = resize.shards(&table(state));
        run(state, Command::Reshape { table: TABLE, named: None, settings: TableSettings::default(), shards });
    }

    fn shown(state: &ClusterState) -> usize {
        let config = crate::catalog::table_config(state, &table(state), Default::default());
        config
            .as_object()
            .ok()
            .and_then(|config| Some(config.get("shards")?.as_array().ok()?.len()))
            .expect("has shards")
    }

    #[test]
    fn who_asks_for_other_shards_takes_back_what_has_not_begun() {
        let mut state = cluster(4);
        let stored = table(&state);
        let shards: Vec<_> = stored.shards.iter().collect();
        let fewer = Together(vec![shards[..3].to_vec(), shards[3..].to_vec()]);
        carry_out(&mut state, &resize(&stored, &fewer));
        let joining = |state: &ClusterState| -> Vec<Option<Stage>> {
            table(state).shards.iter().map(|shard| shard.joining).collect()
        };
        assert_eq!(joining(&state), [None, Some(Stage::Wanted), Some(Stage::Wanted), None]);
        assert_eq!(shown(&state), 2, "as it is wanted");
        // The first join begins, and cannot be taken back any more.
        let stored = table(&state);
        let [left, right] = [0, 1].map(|number: usize| (stored.shards[number].id, stored.shards[number].generation));
        run(
            &mut state,
            Command::BeginJoin { shard: right.0, generation: right.1, left: left.0, left_generation: left.1 },
        );
        let stored = table(&state);
        let begun = Together::begun(&stored);
        assert_eq!(begun.0.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1, 1]);
        carry_out(&mut state, &resize(&stored, &begun));
        assert_eq!(joining(&state), [None, Some(Stage::Freezing), None, None]);
        assert_eq!(shown(&state), 3);
    }

    #[test]
    fn a_boundary_that_moves_is_a_cut_and_a_join() {
        let mut state = cluster(3);
        let stored = table(&state);
        let share = |(shard, documents): (&photondb_cluster_state::Shard, u64)| Share {
            shard: shard.id,
            range: shard.range.clone(),
            documents,
        };
        let shares: Vec<Share> = stored.shards.iter().zip([200, 80, 20]).map(share).collect();
        let divide = |share: &Share, parts: usize| Ok(generated(&share.range, parts));
        let resize = Resize::with_documents(&stored, &shares, divide).expect("can be done");
        assert_eq!(resize.cut.iter().map(|(_, cuts)| cuts.len()).collect::<Vec<_>>(), [1]);
        let stay: Vec<bool> = resize.shards(&stored).iter().map(|shard| shard.placement.is_some()).collect();
        assert_eq!(stay, [true, true, false]);
        carry_out(&mut state, &resize);
        assert_eq!(shown(&state), 3, "as many as there were");
        let after = table(&state);
        assert_eq!(after.shards[2].joining, Some(Stage::Wanted));
        let cut = after.shards[0].next_cut().expect("is cut");
        let child = Command::ShardCut { shard: after.shards[0].id, child: cut.shard };
        run(&mut state, child);
        assert_eq!((shown(&state), table(&state).shards.len()), (3, 4));
    }

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
