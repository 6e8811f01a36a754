//! `photonctl node list|status|drain|undrain|decommission|replace` and `cluster health`: nodes, and what is wanted of them.

use std::time::{Duration, Instant};

use photondb_proto::convert::ConvertError;
use photondb_proto::v1::{self, NodeLiveness, NodeService};
use serde_json::{Value, json};

use super::shard;
use crate::client::Client;
use crate::failure::Failure;
use crate::limits::POLL_PERIOD;
use crate::output::{Columns, Format, bytes, pairs};

pub fn list(list: &v1::ListNodesResponse, format: Format) -> Result<String, ConvertError> {
    if let Some(write) = format.writer() {
        let nodes = list.nodes.iter().map(node_json).collect::<Result<Vec<_>, _>>()?;
        return Ok(write(&Value::from(nodes)));
    }
    let mut columns = Columns::new([
        "NODE", "ID", "STATE", "SERVICE", "REPLICAS", "LEADING", "STORED", "DOCS/S", "CLUSTER", "ADDRESS", "TAGS",
    ]);
    for status in &list.nodes {
        let node = node_of(status)?;
        columns.row([
            node.name.clone(),
            node.checked_id()?.to_string(),
            status.liveness().word().to_owned(),
            status.service().word().to_owned(),
            status.replicas.to_string(),
            status.leading.map(|leading| leading.to_string()).unwrap_or_default(),
            // One word, as every cell of a number is.
            status.stored_bytes.map(|stored| bytes(stored).replace(' ', "")).unwrap_or_default(),
            status.documents_per_sec.map(|documents| documents.to_string()).unwrap_or_default(),
            part(status).to_owned(),
            node.addresses.first().map(address).unwrap_or_default(),
            node.tags.join(","),
        ]);
    }
    Ok(columns.finish())
}

pub fn status(client: &Client, name: Option<&str>, format: Format) -> Result<String, Failure> {
    let malformed = |source| client.malformed(source);
    let list = client.list_nodes()?;
    let status = find(client, &list, name)?;
    if let Some(write) = format.writer() {
        return Ok(write(&node_json(status).map_err(malformed)?));
    }
    let node = node_of(status).map_err(malformed)?;
    let addresses: Vec<String> = node.addresses.iter().map(address).collect();
    let leading = status.leading.map_or("not known: it does not answer".to_owned(), |leading| leading.to_string());
    Ok(pairs(&[
        ("Name", node.name.clone()),
        ("Id", node.checked_id().map_err(malformed)?.to_string()),
        ("State", status.liveness().word().to_owned()),
        ("Service", status.service().word().to_owned()),
        ("Replicas", status.replicas.to_string()),
        ("Leading", leading),
        ("Stored", status.stored_bytes.map_or("not known".to_owned(), bytes)),
        ("Documents", status.documents_per_sec.map_or("not known".to_owned(), |count| format!("{count} a second"))),
        ("Cluster", part(status).to_owned()),
        ("Addresses", addresses.join(", ")),
        ("Tags", node.tags.join(", ")),
        ("Boots", node.boots.to_string()),
    ]))
}

pub fn drain(client: &Client, name: Option<&str>, wait: Duration, format: Format) -> Result<String, Failure> {
    let id = client.set_node_service(name, NodeService::Drained, None)?;
    let status = wait_until(client, &id, wait, |status| match status.to_hand_over {
        Some(0) => Ok(()),
        Some(left) => Err(format!("it still leads {left} groups that others could lead")),
        None => Err("it does not answer".to_owned()),
    })?;
    done(client, &status, "leads nothing that another can lead; it can be stopped", format)
}

pub fn undrain(client: &Client, name: Option<&str>, format: Format) -> Result<String, Failure> {
    let id = client.set_node_service(name, NodeService::Full, None)?;
    let status = find(client, &client.list_nodes()?, Some(&id))?.clone();
    done(client, &status, "is in full service", format)
}

pub fn decommission(
    client: &Client,
    name: &str,
    by: Option<&str>,
    wait: Duration,
    format: Format,
) -> Result<String, Failure> {
    let list = client.list_nodes()?;
    let node = node_of(find(client, &list, Some(name))?).map_err(|source| client.malformed(source))?;
    if node.node_id == list.asked {
        return Err(client.ask_another(&node.name));
    }
    let id = client.set_node_service(Some(&node.node_id), NodeService::Leaving, by)?;
    let status = wait_until(client, &id, wait, |status| match status.service() {
        NodeService::Gone => Ok(()),
        NodeService::Leaving => Err(format!("it still has {} replicas", status.replicas)),
        _ => Err("somebody else took it back".to_owned()),
    })?;
    done(client, &status, "holds nothing any more and has left the cluster; its directory can be deleted", format)
}

/// The answer to `cluster health`, and whether all is well: every node is there, and everything is led.
pub fn health(
    list: &v1::ListNodesResponse,
    shards: &v1::ListShardsResponse,
    format: Format,
) -> Result<(String, bool), ConvertError> {
    let wrong = problems(list, shards)?;
    let up = up(list);
    let healthy = wrong.is_empty();
    let value = json!({
        "cluster_id": list.cluster_id,
        "healthy": healthy,
        "nodes": list.nodes.len(),
        "up": up,
        "problems": wrong,
    });
    let text = format.write(&value, || {
        let said = if healthy { "healthy".to_owned() } else { wrong.join("; ") };
        pairs(&[
            ("Cluster", list.cluster_id.clone()),
            ("Nodes", format!("{up} of {} up", list.nodes.len())),
            ("Health", said),
        ])
    });
    Ok((text, healthy))
}

/// What is not well, a sentence each.
pub(super) fn problems(
    list: &v1::ListNodesResponse,
    shards: &v1::ListShardsResponse,
) -> Result<Vec<String>, ConvertError> {
    let mut wrong = Vec::new();
    for status in list.nodes.iter().filter(|status| status.service() != NodeService::Gone) {
        let name = &node_of(status)?.name;
        match status.liveness() {
            NodeLiveness::Up if status.leading.is_none() => wrong.push(format!("server `{name}` does not answer")),
            NodeLiveness::Up => {}
            NodeLiveness::Down => wrong.push(format!("server `{name}` is down")),
            // What it had is elsewhere, or is on its way.
            NodeLiveness::Lost | NodeLiveness::Unspecified if status.replicas == 0 => {}
            NodeLiveness::Lost | NodeLiveness::Unspecified => {
                wrong.push(format!("server `{name}` is lost, and {} replicas are not replaced yet", status.replicas));
            }
        }
    }
    if !list.nodes.iter().any(|status| status.leads_cluster) {
        wrong.push("nobody is known to lead the cluster state".to_owned());
    }
    wrong.extend(shards.shards.iter().filter_map(shard::problem));
    Ok(wrong)
}

/// How many nodes are up.
pub(super) fn up(list: &v1::ListNodesResponse) -> usize {
    list.nodes.iter().filter(|status| status.liveness() == NodeLiveness::Up).count()
}

/// Looks at the node until `is_done`, which else says what is left.
fn wait_until(
    client: &Client,
    id: &str,
    wait: Duration,
    is_done: impl Fn(&v1::NodeStatus) -> Result<(), String>,
) -> Result<v1::NodeStatus, Failure> {
    let began = Instant::now();
    loop {
        let list = client.list_nodes()?;
        let status = find(client, &list, Some(id))?;
        match is_done(status) {
            Ok(()) => return Ok(status.clone()),
            Err(left) if began.elapsed() >= wait => return Err(client.unfinished(left, wait)),
            Err(_) => std::thread::sleep(POLL_PERIOD),
        }
    }
}

fn done(client: &Client, status: &v1::NodeStatus, said: &str, format: Format) -> Result<String, Failure> {
    let malformed = |source| client.malformed(source);
    let name = &node_of(status).map_err(malformed)?.name;
    Ok(format.write(&node_json(status).map_err(malformed)?, || format!("Server `{name}` {said}\n")))
}

/// The node of that name or id, or the one that was asked.
fn find<'a>(
    client: &Client,
    list: &'a v1::ListNodesResponse,
    name: Option<&str>,
) -> Result<&'a v1::NodeStatus, Failure> {
    let wanted = name.unwrap_or(&list.asked);
    let is_it = |status: &&v1::NodeStatus| {
        status.node.as_ref().is_some_and(|node| node.name == wanted || node.node_id == wanted)
    };
    list.nodes.iter().find(is_it).ok_or_else(|| client.no_such_node(wanted))
}

pub(super) fn node_of(status: &v1::NodeStatus) -> Result<&v1::Node, ConvertError> {
    status.node.as_ref().ok_or(ConvertError::Missing { field: "node" })
}

fn node_json(status: &v1::NodeStatus) -> Result<Value, ConvertError> {
    let node = node_of(status)?;
    let address = |address: &v1::Address| json!({ "host": address.host, "port": address.port });
    Ok(json!({
        "id": node.checked_id()?.to_string(),
        "name": node.name,
        "state": status.liveness().word(),
        "service": status.service().word(),
        "replicas": status.replicas,
        "leading": status.leading,
        "to_hand_over": status.to_hand_over,
        "votes_on_cluster": status.votes,
        "leads_cluster": status.leads_cluster,
        "stored_bytes": status.stored_bytes,
        "documents_per_sec": status.documents_per_sec,
        "addresses": node.addresses.iter().map(address).collect::<Vec<_>>(),
        "tags": node.tags,
        "boots": node.boots,
    }))
}

fn address(address: &v1::Address) -> String {
    format!("{}:{}", address.host, address.port)
}

/// What it has to do with the cluster state.
fn part(status: &v1::NodeStatus) -> &'static str {
    match (status.leads_cluster, status.votes) {
        (true, _) => "leads",
        (false, true) => "votes",
        (false, false) => "watches",
    }
}

#[cfg(test)]
mod tests {
    use photondb_proto::NodeId;

    use super::*;

    fn node(id: u128, name: &str) -> v1::NodeStatus {
        v1::NodeStatus {
            node: Some(v1::Node {
                node_id: NodeId(id).to_string(),
                name: name.to_owned(),
                tags: vec!["default".to_owned()],
                addresses: vec![v1::Address { host: name.to_owned(), port: 29015 }],
                boots: 2,
            }),
            liveness: NodeLiveness::Up.into(),
            service: NodeService::Full.into(),
            replicas: 3,
            leading: Some(1),
            to_hand_over: Some(1),
            votes: true,
            leads_cluster: id == 1,
            stored_bytes: Some(3 << 29),
            documents_per_sec: Some(250),
        }
    }

    fn three() -> v1::ListNodesResponse {
        let nodes = vec![node(1, "ada"), node(2, "bob"), node(3, "cleo")];
        v1::ListNodesResponse { version: 1, cluster_id: NodeId(9).to_string(), nodes, asked: NodeId(2).to_string() }
    }

    #[test]
    fn a_line_for_each_node() {
        let mut nodes = three();
        (nodes.nodes[2].leading, nodes.nodes[2].stored_bytes, nodes.nodes[2].documents_per_sec) = (None, None, None);
        nodes.nodes[2].set_liveness(NodeLiveness::Down);
        nodes.nodes[1].set_service(NodeService::Drained);
        let expected = "\
NODE  ID                                    STATE  SERVICE  REPLICAS  LEADING  STORED  DOCS/S  CLUSTER  ADDRESS     TAGS
ada   00000000-0000-0000-0000-000000000001  up     full     3         1        1.5GiB  250     leads    ada:29015   default
bob   00000000-0000-0000-0000-000000000002  up     drained  3         1        1.5GiB  250     votes    bob:29015   default
cleo  00000000-0000-0000-0000-000000000003  down   full     3         -        -       -       votes    cleo:29015  default
";
        assert_eq!(list(&nodes, Format::Table).unwrap(), expected);
        let value: Value = serde_json::from_str(&list(&nodes, Format::Json).unwrap()).unwrap();
        assert_eq!((&value[1]["service"], &value[2]["leading"]), (&json!("drained"), &Value::Null));
        assert_eq!((&value[0]["documents_per_sec"], &value[2]["stored_bytes"]), (&json!(250), &Value::Null));
    }

    #[test]
    fn a_cluster_is_well_when_all_of_it_is_there_and_led() {
        let problems = |nodes: &v1::ListNodesResponse| {
            let (text, healthy) = health(nodes, &v1::ListShardsResponse::default(), Format::Json).unwrap();
            let value: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(value["healthy"], healthy);
            value["problems"].as_array().unwrap().len()
        };
        assert_eq!(problems(&three()), 0);
        let change = |change: fn(&mut v1::NodeStatus)| {
            let mut nodes = three();
            change(&mut nodes.nodes[0]);
            nodes
        };
        assert_eq!(problems(&change(|node| node.set_liveness(NodeLiveness::Down))), 1);
        assert_eq!(problems(&change(|node| node.leading = None)), 1);
        assert_eq!(problems(&change(|node| node.leads_cluster = false)), 1);
        let lost = |replicas: u64| {
            let mut nodes = three();
            nodes.nodes[1].set_liveness(NodeLiveness::Lost);
            nodes.nodes[1].replicas = replicas;
            nodes
        };
        assert_eq!((problems(&lost(2)), problems(&lost(0))), (1, 0));
    }

    #[test]
    fn an_answer_without_what_it_must_have_is_refused() {
        let mut nodes = three();
        nodes.nodes[0].node = None;
        assert_eq!(list(&nodes, Format::Table), Err(ConvertError::Missing { field: "node" }));
    }
}
