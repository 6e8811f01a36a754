//! `photonctl cluster status`: the cluster at a glance.

use photondb_proto::convert::ConvertError;
use photondb_proto::v1;
use serde_json::json;

use crate::command::service::{problems, up};
use crate::command::shard;
use crate::output::{Format, pairs};

/// By what the node that was asked says of itself, of all nodes and of all shards.
pub fn status(
    info: &v1::NodeInfoResponse,
    nodes: &v1::ListNodesResponse,
    shards: &v1::ListShardsResponse,
    format: Format,
) -> Result<String, ConvertError> {
    let name = |status: &v1::NodeStatus| status.node.as_ref().map(|node| node.name.clone());
    let leader = nodes.nodes.iter().find(|status| status.leads_cluster).and_then(name);
    let voters: Vec<String> = nodes.nodes.iter().filter(|status| status.votes).filter_map(name).collect();
    let (up, problems) = (up(nodes), problems(nodes, shards)?);
    let healthy = shards.shards.iter().filter(|status| shard::problem(status).is_none()).count();
    let unhealthy = shards.shards.len() - healthy;
    let mut tables: Vec<&str> = shards.shards.iter().map(|status| status.table_id.as_str()).collect();
    tables.dedup();
    let value = json!({
        "id": nodes.cluster_id,
        "version": info.program_version,
        "nodes": nodes.nodes.len(),
        "nodes_up": up,
        "leader": leader,
        "voters": voters,
        "tables": tables.len(),
        "shards": shards.shards.len(),
        "shards_healthy": healthy,
        "shards_unhealthy": unhealthy,
        "problems": problems,
    });
    Ok(format.write(&value, || {
        let said = if problems.is_empty() { "none".to_owned() } else { problems.join("\n          ") };
        pairs(&[
            ("Cluster", nodes.cluster_id.clone()),
            ("Version", format!("{} on {}", info.program_version, info.name)),
            ("Nodes", format!("{up} of {} up", nodes.nodes.len())),
            ("Leader", leader.unwrap_or_else(|| "not known".to_owned())),
            ("Voters", voters.join(", ")),
            ("Tables", tables.len().to_string()),
            ("Shards", format!("{healthy} healthy, {unhealthy} unhealthy")),
            ("Problems", said),
        ])
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::topology::tests::nodes;
    use super::*;
    use crate::command::shard::tests::shards;

    #[test]
    fn nodes_and_shards_are_counted() {
        let info = v1::NodeInfoResponse {
            name: "ada".to_owned(),
            program_version: "0.1.0".to_owned(),
            ..v1::NodeInfoResponse::default()
        };
        let expected = "\
Cluster   00000000-0000-0000-0000-000000000009
Version   0.1.0 on ada
Nodes     1 of 2 up
Leader    ada
Voters    ada
Tables    1
Shards    1 healthy, 1 unhealthy
Problems  server `bob` is down
          nobody is known to lead shard 2 of table `test.heroes`
";
        assert_eq!(status(&info, &nodes(), &shards(), Format::Table).unwrap(), expected);
        let value: Value = serde_json::from_str(&status(&info, &nodes(), &shards(), Format::Json).unwrap()).unwrap();
        assert_eq!(
            (&value["shards_healthy"], &value["nodes_up"], &value["leader"]),
            (&json!(1), &json!(1), &json!("ada"))
        );
        assert_eq!(value["problems"].as_array().unwrap().len(), 2);
    }
}
