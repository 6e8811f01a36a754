//! What is left when everything has healed: every shard accepts writes, replicas converge, indexes are as their tables.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use photondb_cluster_state::{ClusterState, Shard as StoredShard};
use photondb_consensus::{GroupState, Replicated};
use photondb_controller::{CLUSTER_STATE_SET, ReplicatedState};
use photondb_proto::{GroupId, KeyRange, MemberId};
use photondb_reql::datum::Datum;
use photondb_reql::key::PrimaryKey;
use photondb_runtime::task;
use photondb_shard::{Shard, verify};
use photondb_storage::TreeSetId;
use serde_json::{Value, json};

use super::observe::Living;
use super::{Cluster, Power};
use crate::client::{Client, Failure};
use crate::term;

/// What a shard that is healed may take to accept a write, in virtual time.
pub const ACCEPT_MAX: Duration = Duration::from_secs(10);

/// What replicas may take to become equal, in virtual time.
pub const CONVERGE_MAX: Duration = Duration::from_secs(30);

/// How long a write of a probe waits for its answer.
const ANSWER_MAX: Duration = Duration::from_secs(3);

/// How long a probe tries to reach a node before it goes to another one: a node that was wiped answers nobody before the rest
/// has given its former self up.
const CONNECT_MAX: Duration = Duration::from_millis(500);

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(50);

/// After a write whose fate is not known: by then it has happened or never will.
const SETTLES: Duration = Duration::from_secs(6);

/// Of what a probe was told, so much is kept.
const REFUSALS_SHOWN: usize = 12;

/// Keys that no workload has: they begin here.
const FIRST_KEY: u64 = 1 << 40;

/// A shard that must accept a write.
#[derive(Clone, Debug)]
pub struct Probed {
    /// Its table's database.
    database: String,
    table: String,
    /// A primary key of the shard that no workload uses. `None`: none is known.
    key: Option<Value>,
    range: KeyRange,
}

impl Probed {
    /// Writes to the shard until it accepts, and takes away what was written. Gives what is wrong after `until`.
    pub async fn accepts(&self, mut client: Client, until: Duration) -> Result<(), String> {
        let Probed { database, table, key, range } = self;
        let what = format!("the shard {range:?} of {database}.{table}");
        let Some(key) = key else { return Err(format!("{what} has no key that the probe knows")) };
        let documents = term::table_in(database, table);
        let document = json!({ "id": key });
        client.set_answer_wait(ANSWER_MAX);
        client.set_connect_wait(CONNECT_MAX);
        let (mut is_certain, mut refusals) = (true, Refusals::default());
        let insert = term::insert(documents.clone(), document, "replace", false);
        while let Err(failure) = write(&mut client, &insert).await {
            if is_gone(&failure) {
                return Ok(());
            }
            refusals.note(&client, &failure);
            if Duration::from_micros(client.now().0) >= until {
                return Err(format!("{what} accepts no write: {refusals}"));
            }
            is_certain &= failure.is_definite();
            client.leave();
            task::sleep(PAUSE).await;
        }
        if Duration::from_micros(client.now().0) > until {
            return Err(format!(
                "{what} accepted its first write {:?} late: {refusals}",
                Duration::from_micros(client.now().0) - until
            ));
        }
        if !is_certain {
            task::sleep(SETTLES).await;
        }
        let delete = term::delete(term::get(documents, key.clone()), false);
        while let Err(failure) = write(&mut client, &delete).await {
            if is_gone(&failure) {
                return Ok(());
            }
            refusals.note(&client, &failure);
            if Duration::from_micros(client.now().0) >= until + ACCEPT_MAX {
                return Err(format!("{what} accepts no second write: {refusals}"));
            }
            client.leave();
            task::sleep(PAUSE).await;
        }
        Ok(())
    }
}

/// What a probe was told, by whom and when: the newest, as evidence.
#[derive(Default)]
struct Refusals(VecDeque<String>);

impl Refusals {
    fn note(&mut self, client: &Client, failure: &Failure) {
        if self.0.len() == REFUSALS_SHOWN {
            self.0.pop_front();
        }
        let at = Duration::from_micros(client.now().0).as_secs_f64();
        self.0.push_back(format!("at {at:.3} n{}: {failure:?}", client.node().0 + 1));
    }
}

impl fmt::Display for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for refusal in &self.0 {
            write!(f, "[{refusal}]")?;
        }
        Ok(())
    }
}

/// Whether nothing of it was refused.
pub(super) async fn write(client: &mut Client, query: &term::Term) -> Result<(), Failure> {
    let answer = client.query(query).await?.into_value();
    match answer["errors"].as_u64() {
        Some(0) => Ok(()),
        _ => Err(Failure::Unknown(answer.to_string())),
    }
}

/// Whether the table was dropped meanwhile.
fn is_gone(failure: &Failure) -> bool {
    failure.server_error().is_some_and(|error| error.message.contains("does not exist"))
}

/// A group whose members have all applied the same.
struct Applied {
    group: GroupId,
    index: u64,
    /// And on which machines they are.
    members: Vec<(usize, MemberId)>,
}

impl Cluster {
    /// Every shard of every table.
    pub fn shards(&self) -> Vec<Probed> {
        let Some(state) = self.newest_state() else { return Vec::new() };
        let mut all = Vec::new();
        for table in state.tables() {
            let Some(database) = state.database(table.database) else { continue };
            all.extend(table.shards.iter().map(|shard| Probed {
                database: database.name.clone(),
                table: table.name.clone(),
                key: free_key(&shard.range),
                range: shard.range.clone(),
            }));
        }
        all
    }

    /// What is known of the cluster by whoever knows most.
    pub(super) fn newest_state(&self) -> Option<Arc<ClusterState>> {
        let known = self.living().filter_map(|(_, living)| known_state(living));
        known.max_by_key(|(applied, _)| *applied).map(|(_, state)| state)
    }

    /// The processes that run, by their machines.
    pub(super) fn living(&self) -> impl Iterator<Item = (usize, &Living)> {
        let on = self.observers.iter().enumerate().filter(|(at, _)| self.power[*at] == Power::On);
        on.filter_map(|(at, observer)| Some((at, observer.as_ref()?.living())))
    }

    /// Whether every member of every group has applied what its leader has, and has made the same of it. Errors: the first
    /// difference.
    pub fn converged(&self) -> Result<(), String> {
        let state = self.newest_state().ok_or("no node has the cluster state")?;
        let shards = state.tables().flat_map(|table| table.shards.iter());
        let mut groups: Vec<GroupId> = shards.map(|shard: &StoredShard| GroupId::from(shard.id)).collect();
        groups.push(GroupId::META);
        // What replicas have is read when there is nothing left to wait for, and not again and again meanwhile: a disk that is always
        // read lets nobody write.
        let applied: Vec<Applied> =
            groups.into_iter().map(|group| self.group_applied(group)).collect::<Result<_, _>>()?;
        applied.into_iter().try_for_each(|applied| self.group_agrees(&applied))
    }

    fn group_applied(&self, group: GroupId) -> Result<Applied, String> {
        let states: Vec<(usize, GroupState)> =
            self.living().filter_map(|(at, living)| Some((at, living.groups.find(group)?.observe()))).collect();
        let leader =
            states.iter().max_by_key(|(_, state)| (state.role == photondb_consensus::Role::Leader, state.term));
        let Some((first, leader)) = leader else { return Err(format!("{group:?} runs nowhere")) };
        if leader.role != photondb_consensus::Role::Leader {
            return Err(format!("{group:?} has no leader"));
        }
        if leader.members.is_joint() || leader.applied != leader.last {
            return Err(format!("{group:?}: its leader, on n{}, is not done: {leader:?}", first + 1));
        }
        let index = leader.applied.map_or(0, |applied| applied.index);
        let mut members = Vec::new();
        for member in leader.members.nodes.keys() {
            let found = states.iter().find(|(_, state)| state.member == *member);
            let Some((at, state)) = found else { return Err(format!("{group:?}: {member:?} does not run")) };
            if state.applied != leader.applied {
                return Err(format!("{group:?}: {member:?} on n{} is at {:?} and not {index}", at + 1, state.applied));
            }
            members.push((*at, *member));
        }
        Ok(Applied { group, index, members })
    }

    fn group_agrees(&self, Applied { group, index, members }: &Applied) -> Result<(), String> {
        let mut known = None;
        for (at, member) in members {
            // Nobody replaces it before the next start; a shard's member is replaced as soon as damage is met, here at the latest.
            if *group == GroupId::META && self.afflictions.is_rotten(*at) {
                continue;
            }
            let living = self.observers[*at].as_ref().ok_or("it has just ended")?.living();
            let digest = super::digest::of(&living.engine, *group, *index, true)
                .ok_or_else(|| format!("{group:?}: the state of {member:?} on n{} cannot be read", at + 1))?;
            if *known.get_or_insert(digest) != digest {
                return Err(format!("{group:?} at {index}: {member:?} on n{} has another state", at + 1));
            }
        }
        Ok(())
    }

    /// Compares the indexes of every replica with its documents. Errors: the first difference. Gives how many were compared.
    pub fn indexes_match(&self) -> Result<u64, String> {
        let Some(state) = self.newest_state() else { return Ok(0) };
        let mut compared = 0;
        for (at, living) in self.living().filter(|(at, _)| !self.afflictions.is_rotten(*at)) {
            for shard in state.tables().flat_map(|table| table.shards.iter()) {
                let Some(set) = living.engine.tree_set(TreeSetId(shard.id.0)).filter(|set| !set.meta().is_empty())
                else {
                    continue;
                };
                let failed = |error| format!("{} on n{}: {error}", shard.id, at + 1);
                let reader = Shard::open(set).and_then(|shard| shard.read()).map_err(failed)?;
                compared += reader.schema().indexes.values().filter(|index| index.is_usable()).count() as u64;
                if let Some(difference) = verify::indexes(&reader).map_err(failed)? {
                    return Err(format!("{} on n{} at {:?}: {difference}", shard.id, at + 1, reader.position()));
                }
            }
        }
        Ok(compared)
    }
}

/// What a process knows of the cluster, and how many changes of it that is.
pub(super) fn known_state(living: &Living) -> Option<(u64, Arc<ClusterState>)> {
    living.engine.tree_set(CLUSTER_STATE_SET)?;
    let replicated = ReplicatedState::open(living.engine.clone()).ok()?;
    let applied = replicated.applied().position().ok()??;
    Some((applied.index, replicated.state()))
}

/// A key of the range that no workload uses: they count from zero.
fn free_key(range: &KeyRange) -> Option<Value> {
    let numbers = (0..4).map(|number| (FIRST_KEY + number) as f64).chain((1..4).map(|number| -f64::from(number)));
    let between = (0..20_000).map(|number| f64::from(number) + 0.5);
    let lies = |key: &Datum| PrimaryKey::new(key).is_ok_and(|key| range.contains(key.as_bytes()));
    if let Some(number) = numbers.chain(between).find(|number| lies(&Datum::Number(*number))) {
        return Some(json!(number));
    }
    // Beside numbers only text: the first two letters of it decide.
    let texts = (0..=255).map(|number| format!("{number:02x} of a probe"));
    texts.into_iter().find(|text| lies(&Datum::from(text.as_str()))).map(|text| json!(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(number: f64) -> Vec<u8> {
        PrimaryKey::new(&Datum::Number(number)).unwrap().as_bytes().to_vec()
    }

    #[test]
    fn every_range_between_keys_of_workloads_has_a_key_that_none_uses() {
        assert_eq!(free_key(&KeyRange::all()), Some(json!(FIRST_KEY as f64)));
        let bounded = |from: Option<f64>, to: f64| {
            let range = KeyRange::new(from.map(encoded).unwrap_or_default(), Some(encoded(to))).unwrap();
            free_key(&range)
        };
        assert_eq!(bounded(None, 0.0), Some(json!(-1.0)));
        assert_eq!(bounded(Some(17.0), 18.0), Some(json!(17.5)));
        let text = |text: &str| PrimaryKey::new(&Datum::from(text)).unwrap().as_bytes().to_vec();
        let range = KeyRange::new(text("55"), Some(text("aa"))).unwrap();
        assert_eq!(free_key(&range), Some(json!("55 of a probe")));
    }
}
