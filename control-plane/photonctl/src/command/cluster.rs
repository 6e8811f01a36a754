//! `photonctl cluster`: the cluster that the node belongs to.

pub mod status;
pub mod topology;

use photondb_proto::convert::ConvertError;
use photondb_proto::{ClusterId, v1};
use serde_json::{Value, json};

use super::table::list::tables_json;
use crate::output::{Columns, Format, pairs};

pub fn info(info: &v1::ClusterInfoResponse, format: Format) -> Result<String, ConvertError> {
    if let Some(write) = format.writer() {
        return Ok(write(&json!({
            "id": info.cluster_id,
            "nodes": info.nodes.iter().map(node_json).collect::<Result<Vec<_>, _>>()?,
            "databases": info.databases.iter().map(database_json).collect::<Result<Vec<_>, _>>()?,
            "tables": tables_json(info)?,
        })));
    }
    let shards: usize = info.tables.iter().map(|table| table.shards.len()).sum();
    let databases: Vec<&str> = info.databases.iter().map(|database| database.name.as_str()).collect();
    let summary = pairs(&[
        ("Cluster", info.cluster_id.clone()),
        ("Databases", databases.join(", ")),
        ("Tables", info.tables.len().to_string()),
        ("Shards", shards.to_string()),
    ]);
    let mut nodes = Columns::new(["NODE", "ID", "BOOTS", "ADDRESSES", "TAGS"]);
    for node in &info.nodes {
        let addresses: Vec<String> =
            node.addresses.iter().map(|address| format!("{}:{}", address.host, address.port)).collect();
        nodes.row([
            node.name.clone(),
            node.checked_id()?.to_string(),
            node.boots.to_string(),
            addresses.join(","),
            node.tags.join(","),
        ]);
    }
    Ok(format!("{summary}\n{}", nodes.finish()))
}

/// What `init` says when it is done.
pub fn founded(cluster: ClusterId, format: Format) -> String {
    format.write(&json!({ "id": cluster.to_string() }), || format!("The node is in cluster {cluster}\n"))
}

fn node_json(node: &v1::Node) -> Result<Value, ConvertError> {
    let address = |address: &v1::Address| json!({ "host": address.host, "port": address.port });
    Ok(json!({
        "id": node.checked_id()?.to_string(),
        "name": node.name,
        "tags": node.tags,
        "addresses": node.addresses.iter().map(address).collect::<Vec<_>>(),
        "boots": node.boots,
    }))
}

fn database_json(database: &v1::Database) -> Result<Value, ConvertError> {
    Ok(json!({ "id": database.checked_id()?.to_string(), "name": database.name }))
}

#[cfg(test)]
mod tests {
    use super::super::table::list::tests::cluster;
    use super::*;

    #[test]
    fn a_table_for_people() {
        let text = info(&cluster(), Format::Table).unwrap();
        let expected = "\
Cluster    00000000-0000-0000-0000-000000000009
Databases  test, empty
Tables     1
Shards     2

NODE  ID                                    BOOTS  ADDRESSES        TAGS
ada   00000000-0000-0000-0000-000000000001  3      127.0.0.1:29015  default,fast
";
        assert_eq!(text, expected);
    }

    #[test]
    fn json_for_programs() {
        let value: Value = serde_json::from_str(&info(&cluster(), Format::Json).unwrap()).unwrap();
        assert_eq!(value["nodes"][0]["addresses"], json!([{ "host": "127.0.0.1", "port": 29015 }]));
        assert_eq!(value["databases"][1]["name"], "empty");
        assert_eq!(value["tables"][0]["shards"][1]["id"], 2);
    }
}
