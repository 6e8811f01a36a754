//! Other placements for a table's shards, more shards, or fewer.
//!
//! Shards are cut where their documents are divided evenly; those with the most documents for each part are cut first. What has too
//! few documents is cut as a new table is, by the keys that are generated. Of neighbours that become one the first one stays.

mod rebalance;
mod together;

use std::time::Duration;

use photondb_cluster_state::{ClusterState, Command, NewCut, Placement, Stage, StateError, Table};
use photondb_proto::{KeyRange, ShardId, TableId};
use photondb_query::catalog::Readiness;
use photondb_query::table::ReadMode;
use photondb_replica::ShardTable;
use photondb_replica::table::Share;
use photondb_reql::error::{Error, Result};

use photondb_runtime::{fiber, task};

use super::{Failure, Ground, cuts};
use crate::limits::SHARDS_LOOK_PERIOD;
use together::Together;

/// How long it is waited for a shard to come to rest that is to be cut, or placed elsewhere.
const REST_TIME_MAX: Duration = Duration::from_secs(10);

/// How often a command is planned again that was planned for what has changed since.
const ATTEMPTS_MAX: usize = 8;

/// Where the table's shards are cut and which are joined so that there are as many as placements, and what each one's placement is then.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Resize {
    /// Of the shards that there are and that stay. By their numbers: others come between them while the last ones are still being placed.
    stay: Vec<(ShardId, Placement)>,
    /// Of each of them what is cut off.
    cut: Vec<(ShardId, Vec<NewCut>)>,
    /// Those that are to be joined to their left neighbours.
    join: Vec<ShardId>,
}

/// The table with those of its shards alone that stay when there are to be `wanted`.
pub(crate) fn staying(stored: &Table, table: &ShardTable, wanted: usize) -> Result<Table> {
    let together = Together::begun(stored).at_most(wanted, table)?;
    Ok(Table { shards: together.first().cloned().collect(), ..stored.clone() })
}

impl Resize {
    /// Errors: shards are being split, or joined where more are wanted; the documents are too few.
    pub fn plan(stored: &Table, table: &ShardTable, placements: Vec<Placement>) -> Result<Resize> {
        check_uncut(stored)?;
        let wanted = placements.len();
        let together = Together::begun(stored).at_most(wanted, table)?;
        let mut resize = Resize { join: together.joined(), ..Resize::default() };
        if wanted == together.0.len() {
            resize.stay = together.first().map(|shard| shard.id).zip(placements).collect();
            return Ok(resize);
        }
        // Wishes alone are taken back.
        if together.0.len() < stored.shards.len() {
            return Err(joining(stored));
        }
        let shares = table.shares(ReadMode::Single)?;
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

    /// The commands that carry it out on `stored`, for those who only look what would be.
    pub fn commands(&self, stored: &Table) -> Vec<Command> {
        let generation =
            |id: ShardId| stored.shards.iter().find(|stored| stored.id == id).map(|shard| shard.generation);
        let cut = |(shard, cuts): &(ShardId, Vec<NewCut>)| {
            Some(Command::CutShard { shard: *shard, generation: generation(*shard)?, cuts: cuts.clone() })
        };
        let joined = self.join.iter().filter_map(|id| Some((*id, generation(*id)?))).collect();
        let join = Command::JoinShards { table: stored.id, shards: joined };
        let [taken_back, places] = self.places(stored);
        taken_back.into_iter().chain(self.cut.iter().filter_map(cut)).chain([join]).chain(places).collect()
    }

    /// Changes the state so. The planner and the shards' leaders do the rest.
    pub fn carry_out(self, ground: &Ground, stored: &Table) -> Result<()> {
        let [taken_back, places] = self.places(stored);
        taken_back.into_iter().try_for_each(|place| self::place(ground, stored, place))?;
        if !self.cut.is_empty() {
            // A shard whose members are on their way is not cut; a new one has to begin first.
            ground.wait_for_replicas(stored.id, Readiness::Writes, Some(REST_TIME_MAX))?;
        }
        for (shard, cuts) in self.cut {
            cut(ground, shard, &cuts)?;
        }
        // What is being cut off is waited for by the joins.
        join(ground, stored.id, &self.join)?;
        places.into_iter().try_for_each(|place| self::place(ground, stored, place))
    }

    /// What takes back that shards which stay were to be joined, and what takes others to places where they are not wanted yet.
    fn places(&self, stored: &Table) -> [Vec<Command>; 2] {
        let [mut taken_back, mut places] = [Vec::new(), Vec::new()];
        for (id, placement) in &self.stay {
            let Some(shard) = stored.shards.iter().find(|shard| shard.id == *id) else { continue };
            let place = Command::PlaceShard { shard: *id, placement: placement.clone() };
            if shard.joining == Some(Stage::Wanted) {
                taken_back.push(place);
            } else if shard.placement != *placement {
                places.push(place);
            }
        }
        [taken_back, places]
    }
}

fn check_uncut(stored: &Table) -> Result<()> {
    if stored.shards.iter().all(|shard| shard.cuts.is_empty()) {
        return Ok(());
    }
    Err(Error::op_failed(format!(
        "The shards of table `{}` are being split; wait for the table, and try again.",
        stored.name
    )))
}

fn check_settled(stored: &Table) -> Result<()> {
    check_uncut(stored)?;
    if stored.shards.iter().any(|shard| shard.joining.is_some()) { Err(joining(stored)) } else { Ok(()) }
}

fn joining(stored: &Table) -> Error {
    Error::op_failed(format!(
        "The shards of table `{}` are being joined; wait for the table, and try again.",
        stored.name
    ))
}

/// A join that was begun goes on; it is waited for.
fn place(ground: &Ground, stored: &Table, place: Command) -> Result<()> {
    let began = ground.now();
    loop {
        match ground.propose_raw(place.clone()) {
            Ok(_) => return Ok(()),
            Err(Failure::Refused(StateError::ShardJoining { .. })) if ground.now().since(began) < REST_TIME_MAX => {
                fiber::wait(task::sleep(SHARDS_LOOK_PERIOD));
            }
            Err(Failure::Refused(StateError::ShardJoining { .. })) => return Err(joining(stored)),
            Err(failure) => return Err(failure.into_error()),
        }
    }
}

/// Those of the shards that are there still.
fn join(ground: &Ground, id: TableId, shards: &[ShardId]) -> Result<()> {
    let mut attempts = 0;
    loop {
        let state = ground.newest_state()?;
        let Some(table) = state.table(id) else { return Err(Error::op_failed("The table was dropped meanwhile.")) };
        let is_wanted = |id: &ShardId| shards.contains(id);
        let free = table.shards.iter().filter(|shard| is_wanted(&shard.id) && !shard.joining.is_some_and(Stage::binds));
        let planned: Vec<_> = free.map(|shard| (shard.id, shard.generation)).collect();
        if planned.is_empty() {
            return Ok(());
        }
        match ground.propose_raw(Command::JoinShards { table: id, shards: planned }) {
            Ok(_) => return Ok(()),
            Err(Failure::Refused(StateError::ShardJoining { .. } | StateError::OtherGeneration { .. }))
                if attempts < ATTEMPTS_MAX =>
            {
                attempts += 1;
            }
            Err(failure) => return Err(failure.into_error()),
        }
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
                if attempts < ATTEMPTS_MAX =>
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
    use std::sync::Arc;

    use photondb_cluster_state::{Compression, Durability, Incarnation, Reached, WriteAcks};
    use photondb_proto::NodeId;

    use super::*;

    const TABLE: TableId = TableId(1);

    fn run(state: &mut Arc<ClusterState>, command: Command) {
        *state = state.applied(&command).unwrap_or_else(|error| panic!("{command:?}: {error}")).0;
    }

    fn placement() -> Placement {
        Placement { voters: vec![NodeId(1)], nonvoting: Default::default() }
    }

    /// A table of so many shards on one node, all of which have reported.
    fn cluster(shards: usize) -> Arc<ClusterState> {
        let mut state = Arc::new(ClusterState::at_birth());
        let (id, name, incarnation) = (NodeId(1), "n".to_owned(), Incarnation(1));
        let (tags, addresses) = (Default::default(), Vec::new());
        run(&mut state, Command::RegisterNode { id, name, tags, addresses, boots: 1, incarnation });
        let create = Command::CreateTable {
            id: TABLE,
            database: state.database_named("test").expect("is there from the beginning").id,
            name: "t".into(),
            primary_key: "id".into(),
            durability: Durability::Hard,
            write_acks: WriteAcks::Majority,
            shards: cuts::new_shards(&vec![placement(); shards]),
            compression: Compression::Lz4,
        };
        run(&mut state, create);
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
        Resize { stay, cut: Vec::new(), join: together.joined() }
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
        for command in resize(&stored, &fewer).commands(&stored) {
            run(&mut state, command);
        }
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
        assert_eq!(begun.joined(), []);
        for command in resize(&stored, &begun).commands(&stored) {
            run(&mut state, command);
        }
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
        assert_eq!(resize.join, [stored.shards[2].id]);
        for command in resize.commands(&stored) {
            // Planned for the generation before the cut, which the other shards have still.
            run(&mut state, command);
        }
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
