//! Where the replicas of a table go: spread over zones and nodes, by tag and by what the nodes have to bear already.

use std::collections::BTreeMap;

use photondb_proto::{NodeId, TableId};

use super::burden::Burdens;
use super::loads::Loads;
use crate::membership::{Node, Service};
use crate::schema::Table;
use crate::shard::{Placement, Shard};
use crate::state::ClusterState;

/// The tag of nodes that were given none.
pub const DEFAULT_TAG: &str = "default";

/// A tag that begins so names the node's zone: what fails together, a rack or an availability zone.
pub const ZONE_TAG_PREFIX: &str = "zone-";

/// So many replicas of each shard on nodes of one tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tagged {
    /// The tag.
    pub tag: String,
    /// How many.
    pub count: usize,
    /// Whether they vote.
    pub votes: bool,
}

/// How a table is to lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// How many shards.
    pub shards: usize,
    /// The replicas of each.
    pub replicas: Vec<Tagged>,
    /// On nodes of which tag the primaries are.
    pub primary: String,
}

/// Why a table cannot lie so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// There are fewer nodes of the tag than replicas are wanted there.
    #[error("{wanted} replicas cannot lie on the {there} servers with the tag `{tag}`")]
    TooFew {
        /// The tag.
        tag: String,
        /// Replicas that were wanted.
        wanted: usize,
        /// Nodes that are up and free.
        there: usize,
    },
    /// No replica that votes is wanted where primaries are.
    #[error("there is no voting replica with the tag `{tag}`")]
    NoPrimary {
        /// The tag.
        tag: String,
    },
}

impl Node {
    /// Whether it has the tag; without any, beside that of its zone, it has the default one.
    pub fn has_tag(&self, tag: &str) -> bool {
        self.tags.contains(tag) || tag == DEFAULT_TAG && self.tags_beside_zone().next().is_none()
    }

    /// The zone that its tag names, the first one of several. `None`: it was given none.
    pub fn zone(&self) -> Option<&str> {
        self.tags.iter().find_map(|tag| tag.strip_prefix(ZONE_TAG_PREFIX))
    }

    /// The tags that name no zone.
    pub fn tags_beside_zone(&self) -> impl Iterator<Item = &str> {
        self.tags.iter().map(String::as_str).filter(|tag| !tag.starts_with(ZONE_TAG_PREFIX))
    }
}

/// How many of `nodes` are in the zone of `node`. Those that were given no zone are in one.
pub(super) fn crowd(state: &ClusterState, nodes: impl Iterator<Item = NodeId>, node: &Node) -> usize {
    nodes.filter(|other| state.node(*other).is_some_and(|other| other.zone() == node.zone())).count()
}

/// One placement for each shard. The replicas of a shard are in as many zones as there are. Beyond that, those that `table` has stay
/// where they are as long as no node gets more than its share, whatever the nodes bear; the others are spread evenly, and go first where
/// least is to be borne. Only nodes that are up and in full service get any, and a drained one keeps what it has.
pub fn place(
    state: &ClusterState,
    wish: &Wish,
    table: Option<&Table>,
    burdens: &Burdens,
) -> Result<Vec<Placement>, PlaceError> {
    let loads = Loads::of(state, burdens, table.map(|table| table.id));
    let mut given = BTreeMap::new();
    let led = leads(state, table.map(|table| table.id));
    let mut primaries = BTreeMap::new();
    let mut placements = Vec::with_capacity(wish.shards);
    for number in 0..wish.shards {
        let present = table.and_then(|table| table.shards.get(number)).map(|shard| &shard.placement);
        let mut picked: Vec<(NodeId, &Tagged)> = Vec::new();
        let has_it = |node: &Node| present.is_some_and(|present| present.contains(node.id));
        let may_hold = |node: &Node| node.is_open() || node.is_up() && node.service == Service::Drained && has_it(node);
        for tagged in &wish.replicas {
            let is_taken = |picked: &[(NodeId, &Tagged)], node: NodeId| picked.iter().any(|(taken, _)| *taken == node);
            let mut free: Vec<&Node> =
                state.nodes().map(|node| &**node).filter(|node| may_hold(node) && node.has_tag(&tagged.tag)).collect();
            free.retain(|node| !is_taken(&picked, node.id));
            if free.len() < tagged.count {
                let (wanted, there) = (tagged.count, free.len());
                return Err(PlaceError::TooFew { tag: tagged.tag.clone(), wanted, there });
            }
            let share = (wish.shards * tagged.count).div_ceil(free.len().max(1));
            for _ in 0..tagged.count {
                let best = free.iter().filter(|node| !is_taken(&picked, node.id)).min_by_key(|node| {
                    let crowd = crowd(state, picked.iter().map(|(node, _)| *node), node);
                    let has = given.get(&node.id).copied().unwrap_or(0);
                    let stays = present.is_some_and(|present| present.contains(node.id)) && has < share;
                    // Those who are compared by their score have got as many here: they need not be counted as loads.
                    (crowd, !stays, has, loads.score(node.id), node.id)
                });
                let Some(node) = best.map(|node| node.id) else { break };
                *given.entry(node).or_insert(0) += 1;
                picked.push((node, tagged));
            }
        }
        placements.push(shape(wish, present, &picked, &mut primaries, (&led, &loads))?);
    }
    Ok(placements)
}

/// Puts the primary first: the present one, unless others have fewer of this table; else one of those with fewest of all other tables, and
/// of several one on whose node least is done. It votes whatever its tag says.
fn shape(
    wish: &Wish,
    present: Option<&Placement>,
    picked: &[(NodeId, &Tagged)],
    primaries: &mut BTreeMap<NodeId, usize>,
    (led, loads): (&BTreeMap<NodeId, usize>, &Loads),
) -> Result<Placement, PlaceError> {
    let has = |primaries: &BTreeMap<NodeId, usize>, node: &NodeId| primaries.get(node).copied().unwrap_or(0);
    let suitable = picked.iter().filter(|(_, tagged)| tagged.tag == wish.primary);
    let primary = suitable
        .map(|(node, _)| *node)
        .min_by_key(|node| {
            let is_present = present.and_then(|present| present.voters.first()) == Some(node);
            (has(primaries, node), !is_present, has(led, node), loads.work(*node), *node)
        })
        .ok_or_else(|| PlaceError::NoPrimary { tag: wish.primary.clone() })?;
    *primaries.entry(primary).or_insert(0) += 1;
    let others = || picked.iter().filter(|(node, _)| *node != primary);
    let of_kind = |votes: bool| others().filter(move |(_, tagged)| tagged.votes == votes).map(|(node, _)| *node);
    Ok(Placement {
        voters: std::iter::once(primary).chain(of_kind(true)).collect(),
        nonvoting: of_kind(false).collect(),
    })
}

/// Where the upper half of a shard is wanted that is cut in two because it has grown: on the same nodes, so that nothing is copied, and led by
/// the voter that is to lead fewest shards, of several by the one on whose node least is done; not by the one that leads the lower half,
/// if there is another.
pub fn part_placement(state: &ClusterState, shard: &Shard, burdens: &Burdens) -> Placement {
    let loads = Loads::of(state, burdens, None);
    let leads = leads(state, None);
    let mut placement = shard.placement.clone();
    let may_lead = |node: &NodeId| state.node(*node).is_some_and(|node| node.is_open());
    let others = placement.voters.iter().enumerate().skip(1).filter(|(_, node)| may_lead(node));
    let rank = |node: &NodeId| (leads.get(node).copied().unwrap_or_default(), loads.work(*node));
    let next = others.min_by_key(|(_, node)| rank(node)).map_or(0, |(at, _)| at);
    placement.voters[..=next].rotate_right(1);
    placement
}

/// How many shards each node is to lead, without those of one table.
fn leads(state: &ClusterState, without: Option<TableId>) -> BTreeMap<NodeId, usize> {
    let mut leads = BTreeMap::new();
    for shard in state.tables().filter(|table| Some(table.id) != without).flat_map(|table| &table.shards) {
        for placement in std::iter::once(&shard.placement).chain(shard.cuts.iter().map(|cut| &cut.placement)) {
            placement.voters.first().into_iter().for_each(|node| *leads.entry(*node).or_default() += 1);
        }
    }
    leads
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use photondb_proto::{KeyRange, TableId};

    use super::*;
    use crate::command::{Command, NewShard};
    use crate::membership::{Incarnation, Liveness};
    use crate::schema::{Compression, Durability, WriteAcks};

    fn cluster(tags: &[&[&str]]) -> ClusterState {
        let mut state = ClusterState::at_birth();
        for (number, tags) in tags.iter().enumerate() {
            let register = Command::RegisterNode {
                id: NodeId(number as u128 + 1),
                name: format!("n{number}"),
                tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
                addresses: vec![],
                boots: 1,
                incarnation: Incarnation(1),
            };
            crate::apply(&mut state, &register).unwrap();
        }
        state
    }

    fn create(state: &ClusterState, shards: Vec<NewShard>) -> Command {
        Command::CreateTable {
            id: TableId(1),
            database: state.database_named("test").unwrap().id,
            name: "t".into(),
            primary_key: "id".into(),
            durability: Durability::Hard,
            write_acks: WriteAcks::Majority,
            shards,
            compression: Compression::None,
        }
    }

    fn wish(shards: usize, replicas: &[(&str, usize, bool)], primary: &str) -> Wish {
        let tagged =
            |(tag, count, votes): &(&str, usize, bool)| Tagged { tag: (*tag).to_owned(), count: *count, votes: *votes };
        Wish { shards, replicas: replicas.iter().map(tagged).collect(), primary: primary.to_owned() }
    }

    fn counts<'a>(nodes: impl Iterator<Item = NodeId> + 'a) -> BTreeMap<NodeId, usize> {
        let mut counts = BTreeMap::new();
        nodes.for_each(|node| *counts.entry(node).or_default() += 1);
        counts
    }

    #[test]
    fn replicas_and_primaries_are_spread_evenly() {
        let state = cluster(&[&[], &[], &[], &[]]);
        let placed = place(&state, &wish(8, &[("default", 3, true)], "default"), None, &Burdens::new()).unwrap();
        assert_eq!(placed.len(), 8);
        let replicas = counts(placed.iter().flat_map(Placement::nodes));
        assert!(replicas.values().all(|count| *count == 6), "{replicas:?}");
        let primaries = counts(placed.iter().map(|placement| placement.voters[0]));
        assert!(primaries.values().all(|count| *count == 2), "{primaries:?}");
    }

    #[test]
    fn the_replicas_of_a_shard_are_in_different_zones() {
        let state = cluster(&[&["zone-a"], &["zone-a"], &["zone-b"], &["zone-b"], &["zone-c"], &[]]);
        let zones = |placement: &Placement| -> BTreeSet<Option<String>> {
            placement.nodes().map(|node| state.node(node).unwrap().zone().map(str::to_owned)).collect()
        };
        let placed = place(&state, &wish(6, &[("default", 4, true)], "default"), None, &Burdens::new()).unwrap();
        assert!(placed.iter().all(|placement| zones(placement).len() == 4), "{placed:?}");
        let replicas = counts(placed.iter().flat_map(Placement::nodes));
        assert_eq!(replicas.into_values().collect::<Vec<_>>(), [3, 3, 3, 3, 6, 6], "evenly within a zone");
        // More than there are zones: the rest is spread as well.
        let placed = place(&state, &wish(1, &[("default", 6, true)], "default"), None, &Burdens::new()).unwrap();
        assert_eq!(placed[0].nodes().count(), 6);
    }

    #[test]
    fn a_zone_is_no_other_tag_and_a_table_is_moved_out_of_a_crowded_one() {
        let state = cluster(&[&["zone-a", "fast"], &["zone-a", "fast"], &["zone-b", "fast"], &["zone-b"]]);
        assert!(
            state.node(NodeId(4)).unwrap().has_tag("default") && !state.node(NodeId(1)).unwrap().has_tag("default")
        );
        let placed = place(&state, &wish(1, &[("fast", 2, true)], "fast"), None, &Burdens::new()).unwrap();
        assert_eq!(placed[0].nodes().collect::<BTreeSet<_>>(), [1, 3].map(NodeId).into());
        let placed = place(&state, &wish(1, &[("default", 1, true)], "default"), None, &Burdens::new()).unwrap();
        assert_eq!(placed[0].voters, [NodeId(4)]);

        let mut state = cluster(&[&["zone-a"], &["zone-a"], &["zone-b"]]);
        let shards = vec![NewShard::voting(KeyRange::all(), vec![NodeId(1), NodeId(2)])];
        let create = create(&state, shards);
        crate::apply(&mut state, &create).unwrap();
        let table = state.table(TableId(1)).unwrap().clone();
        let placed =
            place(&state, &wish(1, &[("default", 2, true)], "default"), Some(&table), &Burdens::new()).unwrap();
        assert_eq!(placed[0].voters, [NodeId(1), NodeId(3)], "the primary stays, and one goes to the other zone");
    }

    #[test]
    fn a_table_stays_where_it_is_and_a_node_that_is_down_gets_nothing() {
        let mut state = cluster(&[&[], &[], &[], &[]]);
        let shards = vec![NewShard::voting(KeyRange::all(), vec![NodeId(4), NodeId(2), NodeId(3)])];
        let create = create(&state, shards);
        crate::apply(&mut state, &create).unwrap();
        let three = wish(1, &[("default", 3, true)], "default");
        let table = state.table(TableId(1)).unwrap().clone();
        let placed = place(&state, &three, Some(&table), &Burdens::new()).unwrap();
        assert_eq!(placed[0].nodes().collect::<BTreeSet<_>>(), [2, 3, 4].map(NodeId).into());
        assert_eq!(placed[0].voters[0], NodeId(4), "its primary too");
        // Another table goes where this one is not.
        let one = place(&state, &wish(1, &[("default", 1, true)], "default"), None, &Burdens::new()).unwrap();
        assert_eq!(one[0].voters, [NodeId(1)]);
        let down = Command::SetLiveness { id: NodeId(3), boots: 1, liveness: Liveness::Down };
        crate::apply(&mut state, &down).unwrap();
        let placed = place(&state, &three, Some(&table), &Burdens::new()).unwrap();
        assert_eq!(placed[0].nodes().collect::<BTreeSet<_>>(), [1, 2, 4].map(NodeId).into());
        let four = place(&state, &wish(1, &[("default", 4, true)], "default"), None, &Burdens::new());
        assert_eq!(four, Err(PlaceError::TooFew { tag: "default".into(), wanted: 4, there: 3 }));
    }

    #[test]
    fn tables_are_led_by_different_nodes() {
        let mut state = cluster(&[&[], &[], &[]]);
        let mut led = BTreeSet::new();
        for number in 1..=3 {
            let placed = place(&state, &wish(1, &[("default", 3, true)], "default"), None, &Burdens::new()).unwrap();
            led.insert(placed[0].voters[0]);
            let Command::CreateTable { database, primary_key, durability, write_acks, compression, .. } =
                create(&state, Vec::new())
            else {
                unreachable!("that is what it makes")
            };
            let shards = vec![NewShard { range: KeyRange::all(), placement: placed[0].clone() }];
            let (id, name) = (TableId(number), format!("t{number}"));
            let create =
                Command::CreateTable { id, database, name, primary_key, durability, write_acks, shards, compression };
            crate::apply(&mut state, &create).unwrap();
        }
        assert_eq!(led.len(), 3);
    }

    #[test]
    fn the_upper_half_of_a_shard_is_led_by_who_leads_least() {
        let mut state = cluster(&[&[], &[], &[], &[]]);
        let nodes = |ids: &[u128]| ids.iter().copied().map(NodeId).collect::<Vec<_>>();
        let [left, right] = KeyRange::all().cut(b"m").unwrap();
        let shards = vec![NewShard::voting(left, nodes(&[1, 2, 3])), NewShard::voting(right, nodes(&[2, 1, 3]))];
        let create = create(&state, shards);
        crate::apply(&mut state, &create).unwrap();
        let part = |state: &ClusterState, number: usize| {
            part_placement(state, &state.table(TableId(1)).unwrap().shards[number], &Burdens::new()).voters
        };
        assert_eq!(part(&state, 0), nodes(&[3, 1, 2]));
        assert_eq!(part(&state, 1), nodes(&[3, 2, 1]));
        let down = Command::SetLiveness { id: NodeId(3), boots: 1, liveness: Liveness::Down };
        crate::apply(&mut state, &down).unwrap();
        assert_eq!(part(&state, 0), nodes(&[2, 1, 3]));
        let down = Command::SetLiveness { id: NodeId(2), boots: 1, liveness: Liveness::Down };
        crate::apply(&mut state, &down).unwrap();
        assert_eq!(part(&state, 0), nodes(&[1, 2, 3]), "nobody else can");
    }

    #[test]
    fn tags_say_where_replicas_go_and_which_vote() {
        let state = cluster(&[&["a"], &["a"], &["b"], &["b", "a"]]);
        let wanted = wish(2, &[("a", 2, true), ("b", 1, false)], "a");
        for placement in place(&state, &wanted, None, &Burdens::new()).unwrap() {
            assert_eq!((placement.voters.len(), placement.nonvoting.len()), (2, 1));
            assert!(placement.voters.iter().all(|node| state.node(*node).unwrap().has_tag("a")));
            assert!(placement.nonvoting.iter().all(|node| state.node(*node).unwrap().has_tag("b")));
        }
        let primary_elsewhere = place(&state, &wish(1, &[("a", 1, true)], "b"), None, &Burdens::new());
        assert_eq!(primary_elsewhere, Err(PlaceError::NoPrimary { tag: "b".into() }));
        // The primary votes, also where others with its tag do not.
        let placed = place(&state, &wish(1, &[("a", 2, false)], "a"), None, &Burdens::new()).unwrap();
        assert_eq!((placed[0].voters.len(), placed[0].nonvoting.len()), (1, 1));
    }
}
