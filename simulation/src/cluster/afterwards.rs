//! What is tried when a run has been judged and everything rests, where nodes have zones: tables are placed anew, in as many zones as there
//! are, and a table that loses the majority of its replicas for good goes on with what one of them has.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use photondb_cluster_state::{ClusterState, Node, Role, Shard};
use photondb_proto::{GroupId, MemberId, NodeId};
use photondb_runtime::task;
use serde_json::{Value, json};

use super::fault::Place;
use super::observe::Living;
use super::plan::ClusterPlan;
use super::{Cluster, Power};
use crate::client::{Answer, Client, Failure};
use crate::random::Random;
use crate::term::{self, Term};
use crate::workload::cluster::limits::{INSIST_MAX, INSIST_PAUSE, REPLICAS};

const ANSWERED: &str = "what is asked for is done when everything rests";
const SPREAD: &str = "replicas are in as many zones as there are";
const REPAIRED: &str = "a repair keeps what a replica has";

/// The table that loses its majority, by the loss of one of two replicas.
const TABLE: &str = "repaired";

/// The documents of that table.
const DOCUMENTS: u64 = 20;

/// One run in so many ends with such a loss.
const LOSES_ONE_OF: u64 = 4;

/// For how long an errand may take: how long the client insists, and what the last try takes.
const ERRAND_MAX: Duration = Duration::from_secs(120);

/// How long replicas may take to lie where they are wanted.
const REST_MAX: Duration = Duration::from_secs(120);

/// Between two looks at that.
const LOOK: Duration = Duration::from_millis(200);

/// After this time without a word a node is known to be away.
const MISSED: Duration = Duration::from_secs(15);

/// How long a client that runs errands tries to reach a node before it goes to another one.
const CONNECT_MAX: Duration = Duration::from_millis(500);

/// What the first client is asked for when its workload is done, and what it says.
#[derive(Debug, Default)]
pub(super) struct Errands {
    asked: RefCell<Option<Errand>>,
    answered: RefCell<Option<Result<Answer, String>>>,
}

/// A query that may be carried out more than once.
#[derive(Clone, Debug)]
struct Errand {
    term: Term,
    /// Who is refused with these words has been answered before.
    done: Option<&'static str>,
}

impl Errands {
    /// Does what is asked for, if anything is.
    pub async fn run(&self, client: &mut Client) {
        let Some(errand) = self.asked.take() else { return };
        client.set_connect_wait(CONNECT_MAX);
        let answer = errand.insist(client).await.map_err(|failure| failure.to_string());
        self.answered.replace(Some(answer));
    }
}

impl Errand {
    async fn insist(&self, client: &mut Client) -> Result<Answer, Failure> {
        let began = client.now();
        loop {
            let failure = match client.query(&self.term).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let said = failure.to_string();
            if self.done.is_some_and(|done| said.contains(done)) {
                return Ok(Answer::Value(Value::Null));
            }
            if client.now().0 - began.0 > INSIST_MAX.as_micros() as u64 {
                return Err(failure);
            }
            task::sleep(INSIST_PAUSE).await;
            client.leave();
        }
    }
}

/// What is tried in a run.
pub(super) struct Afterwards<'a> {
    cluster: &'a mut Cluster,
    errands: &'a Errands,
    random: Random,
}

impl<'a> Afterwards<'a> {
    /// In that run.
    pub fn new(plan: &ClusterPlan, cluster: &'a mut Cluster, errands: &'a Errands) -> Afterwards<'a> {
        // Nothing that others draw changes with it.
        Afterwards { cluster, errands, random: Random::new(plan.seed ^ 0x00ad_015d) }
    }

    /// Every table is placed anew, and then the replicas of each of its shards are in as many zones as can be.
    pub fn spread(&mut self) {
        // What is being joined is not to be cut again: there may be too little in it.
        let Some(state) = self.rest() else { return };
        let there = zones(open(&state));
        let replicas = REPLICAS.min(open(&state).count() as u64);
        for table in state.tables() {
            let Some(database) = state.database(table.database) else { continue };
            let placed =
                term::reconfigure(term::table_in(&database.name, &table.name), table.shards.len() as u64, replicas);
            if self.ask(placed, None).is_none() {
                return;
            }
        }
        let Some(state) = self.rest() else { return };
        // Others would do for a node that was away for a moment.
        if zones(open(&state)) != there {
            return;
        }
        for shard in state.tables().flat_map(|table| &table.shards) {
            let nodes: Vec<&Arc<Node>> = shard.placement.nodes().filter_map(|node| state.node(node)).collect();
            let (count, found) = (nodes.len(), zones(nodes.into_iter()).len());
            if found < count.min(there.len()) {
                let evidence = format!("shard {} is in {found} of {there:?}: {:?}", shard.id, shard.placement);
                return self.cluster.judge().accuse(SPREAD, evidence);
            }
        }
        let shards = state.tables().map(|table| table.shards.len()).sum::<usize>();
        self.cluster.trace().event(format_args!("{shards} shards are in as many of {} zones as can be", there.len()));
    }

    /// In some runs a table of two replicas loses one of them, and is repaired: all that it had is still there.
    pub fn lose_and_repair(&mut self) {
        if !self.random.once_in(LOSES_ONE_OF) || !self.cluster.bears_a_loss() {
            return;
        }
        // Those that are drained take nothing.
        if self.cluster.newest_state().is_none_or(|state| open(&state).count() < 2) {
            return;
        }
        let table = || term::table(TABLE);
        let documents: Vec<Value> = (0..DOCUMENTS).map(|id| json!({ "id": id })).collect();
        let steps = [
            (term::table_create_with(TABLE, 1, 2), Some("already exists")),
            (term::wait(table(), 30), None),
            (term::insert(table(), term::make_array(documents.clone()), "replace", false), None),
        ];
        for (step, done) in steps {
            let Some(answer) = self.ask(step, done) else { return };
            let answer = answer.into_value();
            if answer["errors"].as_u64().is_some_and(|errors| errors > 0) {
                return self.cluster.judge().accuse(ANSWERED, answer.to_string());
            }
        }
        let Some(state) = self.rest() else { return };
        let stored = state.tables().find(|table| table.name == TABLE);
        let Some(shard) = stored.and_then(|table| table.shards.first()) else { return };
        let goes = self.random.pick(&shard.placement.voters);
        let Some(place) = self.cluster.place_of_living(goes).filter(|_| self.cluster.bears_a_loss()) else { return };
        self.cluster.lose_for_good(place);
        self.pass(MISSED);
        if self.ask(term::repair(table()), Some("doesn't need to be repaired")).is_none() {
            return;
        }
        let Some(rows) = self.ask(table(), None) else { return };
        let found: BTreeSet<String> = rows.into_rows().into_iter().flatten().map(|row| row.to_string()).collect();
        let wanted: BTreeSet<String> = documents.iter().map(Value::to_string).collect();
        if found != wanted {
            let evidence = format!("{} of {} documents are left: {found:?}", found.len(), wanted.len());
            self.cluster.judge().accuse(REPAIRED, evidence);
        }
    }

    /// Has the client ask, and waits for what it says. `None`: that was no answer, which is a violation, or the run has failed.
    fn ask(&mut self, term: Term, done: Option<&'static str>) -> Option<Answer> {
        let asked = term.to_string();
        self.errands.asked.replace(Some(Errand { term, done }));
        let until = self.cluster.now() + ERRAND_MAX;
        while self.cluster.judge().is_content() {
            match self.errands.answered.take() {
                Some(Ok(answer)) => return Some(answer),
                Some(Err(said)) => self.refuse(format!("{asked}: {said}")),
                None if self.cluster.now() >= until => {
                    self.refuse(format!("{asked} is not answered within {ERRAND_MAX:?}"));
                }
                None => {
                    self.cluster.step();
                }
            }
        }
        None
    }

    /// That was no answer. What is on its way may have been waited for.
    fn refuse(&mut self, evidence: String) {
        let state = self.cluster.newest_state();
        let tables = state.iter().flat_map(|state| state.tables());
        let astir: Vec<&Shard> =
            tables.flat_map(|table| &table.shards).filter(|shard| !lies_as_wanted(shard)).collect();
        self.cluster.judge().accuse(ANSWERED, format!("{evidence}; on their way: {astir:?}"));
    }

    fn pass(&mut self, time: Duration) {
        let until = self.cluster.now() + time;
        while self.cluster.now() < until && self.cluster.judge().is_content() {
            self.cluster.step();
        }
    }

    /// The cluster state when every replica is where it is wanted. `None`: that did not come, which is a violation.
    fn rest(&mut self) -> Option<Arc<ClusterState>> {
        let until = self.cluster.now() + REST_MAX;
        while self.cluster.judge().is_content() {
            let state = self.cluster.newest_state()?;
            let astir = state.tables().flat_map(|table| &table.shards).find(|shard| !lies_as_wanted(shard));
            let Some(astir) = astir else { return Some(state) };
            if self.cluster.now() >= until {
                self.cluster.judge().accuse(ANSWERED, format!("not within {REST_MAX:?}: {astir:?}"));
            }
            self.pass(LOOK);
        }
        None
    }
}

fn open(state: &ClusterState) -> impl Iterator<Item = &Arc<Node>> {
    state.nodes().filter(|node| node.is_open())
}

/// The zones of these nodes, in the order of their names. Those that were given none are in one.
fn zones<'a>(nodes: impl Iterator<Item = &'a Arc<Node>>) -> BTreeSet<Option<String>> {
    nodes.map(|node| node.zone().map(str::to_owned)).collect()
}

fn lies_as_wanted(shard: &Shard) -> bool {
    let on = |role: Role| -> BTreeSet<NodeId> {
        shard.members.iter().filter(|member| member.role == role).map(|member| member.node).collect()
    };
    let voters: BTreeSet<NodeId> = shard.placement.voters.iter().copied().collect();
    shard.rests()
        && shard.joining.is_none()
        && (on(Role::Voter), on(Role::Nonvoting)) == (voters, shard.placement.nonvoting.clone())
}

impl Cluster {
    /// Whether the cluster state has its majority when any one node is lost, and no disk has lost anything before.
    fn bears_a_loss(&self) -> bool {
        let led = |living: &Living| living.groups.find(GroupId::META).filter(|group| group.led().is_some());
        let Some(meta) = self.living().find_map(|(_, living)| led(living)) else { return false };
        let members = meta.committed_membership();
        let voters = members.all_voters();
        let here: BTreeSet<NodeId> =
            self.living().filter_map(|(_, living)| living.engine.identity().node.map(NodeId)).collect();
        let lives = |voter: &MemberId| members.nodes.get(voter).is_some_and(|node| here.contains(node));
        let rotten = (0..self.machines.len()).any(|at| self.afflictions.is_rotten(at));
        !rotten && !members.is_joint() && voters.len() > 2 && voters.iter().all(lives)
    }

    fn place_of_living(&self, node: NodeId) -> Option<Place> {
        let place = self.afflictions.place_of(node)?;
        (self.power[place] == Power::On).then_some(place)
    }

    /// The process ends, and nobody ever starts it again.
    fn lose_for_good(&mut self, place: Place) {
        self.trace.event(format_args!("n{} is lost for good", place + 1));
        self.unwatch();
        self.kill(place, Duration::MAX);
    }
}
