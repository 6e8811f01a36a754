//! `photonctl cluster topology`: tags, the nodes that have them, and what each holds.

use std::collections::BTreeMap;

use photondb_proto::convert::ConvertError;
use photondb_proto::v1::{self, NodeService};
use serde_json::{Value, json};

use crate::command::service::node_of;
use crate::output::{Format, printable};

/// The tag that says nothing: every node has it unless it was told otherwise.
const DEFAULT_TAG: &str = "default";

/// A replica that a node holds.
struct Held<'a> {
    shard: &'a v1::ShardStatus,
    member: &'a v1::MemberStatus,
}

impl Held<'_> {
    fn leads(&self) -> bool {
        self.shard.leader().is_some_and(|leader| leader.member_id == self.member.member_id)
    }
}

pub fn topology(
    nodes: &v1::ListNodesResponse,
    shards: &v1::ListShardsResponse,
    format: Format,
) -> Result<String, ConvertError> {
    let mut held: BTreeMap<&str, Vec<Held<'_>>> = BTreeMap::new();
    for shard in &shards.shards {
        for member in &shard.members {
            held.entry(&member.node_id).or_default().push(Held { shard, member });
        }
    }
    let mut places: BTreeMap<String, Vec<&v1::NodeStatus>> = BTreeMap::new();
    for status in nodes.nodes.iter().filter(|status| status.service() != NodeService::Gone) {
        places.entry(place(node_of(status)?)).or_default().push(status);
    }
    if let Some(write) = format.writer() {
        let place = |(place, nodes): (&String, &Vec<&v1::NodeStatus>)| {
            let nodes = nodes.iter().map(|status| node_json(status, &held)).collect::<Result<Vec<_>, _>>()?;
            Ok(json!({ "tags": place, "nodes": nodes }))
        };
        let places = places.iter().map(place).collect::<Result<Vec<Value>, ConvertError>>()?;
        return Ok(write(&json!({ "cluster_id": nodes.cluster_id, "places": places })));
    }
    let mut text = format!("cluster {}\n", nodes.cluster_id);
    for (place, nodes) in &places {
        text.push_str(&format!("  {}\n", printable(place)));
        for status in nodes {
            text.push_str(&node_text(status, &held)?);
        }
    }
    Ok(text)
}

/// The tags that tell it from others.
fn place(node: &v1::Node) -> String {
    let tags: Vec<&str> = node.tags.iter().map(String::as_str).filter(|tag| *tag != DEFAULT_TAG).collect();
    match (tags.is_empty(), node.tags.is_empty()) {
        (false, _) => tags.join(", "),
        (true, false) => DEFAULT_TAG.to_owned(),
        (true, true) => "without tags".to_owned(),
    }
}

fn node_text(status: &v1::NodeStatus, held: &BTreeMap<&str, Vec<Held<'_>>>) -> Result<String, ConvertError> {
    let node = node_of(status)?;
    let mut said = vec![status.liveness().word()];
    if status.service() != NodeService::Full {
        said.push(status.service().word());
    }
    if status.leads_cluster {
        said.push("leads the cluster state");
    } else if status.votes {
        said.push("votes on the cluster state");
    }
    let mut text = format!("    {}: {}\n", printable(&node.name), said.join(", "));
    for held in held.get(node.node_id.as_str()).into_iter().flatten() {
        let (database, table) = (printable(&held.shard.database), printable(&held.shard.table));
        let role = if held.leads() { "leader" } else { held.member.role().word() };
        text.push_str(&format!("      shard {} of {database}.{table}: {role}\n", held.shard.shard_id));
    }
    Ok(text)
}

fn node_json(status: &v1::NodeStatus, held: &BTreeMap<&str, Vec<Held<'_>>>) -> Result<Value, ConvertError> {
    let node = node_of(status)?;
    let replica = |held: &Held<'_>| {
        json!({
            "shard": held.shard.shard_id,
            "database": held.shard.database,
            "table": held.shard.table,
            "role": held.member.role().word(),
            "leads": held.leads(),
        })
    };
    Ok(json!({
        "id": node.checked_id()?.to_string(),
        "name": node.name,
        "tags": node.tags,
        "state": status.liveness().word(),
        "service": status.service().word(),
        "leads_cluster": status.leads_cluster,
        "votes_on_cluster": status.votes,
        "replicas": held.get(node.node_id.as_str()).into_iter().flatten().map(replica).collect::<Vec<_>>(),
    }))
}

#[cfg(test)]
pub mod tests {
    use photondb_proto::NodeId;
    use photondb_proto::v1::NodeLiveness;

    use super::*;
    use crate::command::shard::tests::shards;

    /// `ada` in the east, which leads, and `bob`, which is down.
    pub fn nodes() -> v1::ListNodesResponse {
        let node = |id: u128, name: &str, tags: &[&str]| v1::NodeStatus {
            node: Some(v1::Node {
                node_id: NodeId(id).to_string(),
                name: name.to_owned(),
                tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
                ..v1::Node::default()
            }),
            liveness: if id == 1 { NodeLiveness::Up } else { NodeLiveness::Down }.into(),
            service: NodeService::Full.into(),
            replicas: 2,
            leading: (id == 1).then_some(1),
            to_hand_over: (id == 1).then_some(1),
            votes: id == 1,
            leads_cluster: id == 1,
            ..v1::NodeStatus::default()
        };
        v1::ListNodesResponse {
            version: 1,
            cluster_id: NodeId(9).to_string(),
            nodes: vec![node(1, "ada", &["default", "east", "ssd"]), node(2, "bob", &["default"])],
            asked: NodeId(1).to_string(),
        }
    }

    #[test]
    fn replicas_stand_below_their_nodes_and_those_below_their_tags() {
        let expected = "\
cluster 00000000-0000-0000-0000-000000000009
  default
    bob: down
      shard 1 of test.heroes: voter
      shard 2 of test.heroes: joining
  east, ssd
    ada: up, leads the cluster state
      shard 1 of test.heroes: leader
      shard 2 of test.heroes: voter
";
        assert_eq!(topology(&nodes(), &shards(), Format::Table).unwrap(), expected);
        let value: Value = serde_json::from_str(&topology(&nodes(), &shards(), Format::Json).unwrap()).unwrap();
        let ada = &value["places"][1]["nodes"][0];
        assert_eq!((&ada["name"], &ada["replicas"][0]["leads"]), (&json!("ada"), &json!(true)));
    }
}
