//! `photonctl table list`: tables, their shards and the replicas of those.

use std::collections::BTreeMap;

use photondb_proto::convert::ConvertError;
use photondb_proto::v1;
use serde_json::{Value, json};

use crate::output::{Columns, Format};

pub fn list(info: &v1::ClusterInfoResponse, format: Format) -> Result<String, ConvertError> {
    if let Some(write) = format.writer() {
        return Ok(write(&tables_json(info)?));
    }
    let names = Names::of(info)?;
    let mut columns = Columns::new(["DATABASE", "TABLE", "SHARD", "MEMBER", "NODE", "STATE", "APPLIED", "DOCUMENTS"]);
    for table in &info.tables {
        for shard in &table.shards {
            for member in &shard.members {
                let said = member.state.as_ref();
                columns.row([
                    names.database(table)?,
                    table.name.clone(),
                    shard.checked_id()?.to_string(),
                    member.checked_id()?.to_string(),
                    names.node(member)?,
                    state(said).to_owned(),
                    said.map(|state| state.applied.to_string()).unwrap_or_default(),
                    said.and_then(|state| state.documents).map(|count| count.to_string()).unwrap_or_default(),
                ]);
            }
        }
    }
    Ok(columns.finish())
}

fn state(said: Option<&v1::MemberState>) -> &'static str {
    match said {
        Some(state) if state.leading => "leading",
        Some(_) => "following",
        None => "unknown",
    }
}

/// Everything about the tables, as programs read it. Keys are hexadecimal, as they are stored.
pub(in crate::command) fn tables_json(info: &v1::ClusterInfoResponse) -> Result<Value, ConvertError> {
    let names = Names::of(info)?;
    info.tables.iter().map(|table| table_json(&names, table)).collect::<Result<Vec<_>, _>>().map(Value::from)
}

fn table_json(names: &Names, table: &v1::Table) -> Result<Value, ConvertError> {
    let shards = table.shards.iter().map(|shard| shard_json(names, shard)).collect::<Result<Vec<_>, _>>()?;
    Ok(json!({
        "id": table.checked_id()?.to_string(),
        "name": table.name,
        "database": names.database(table)?,
        "database_id": table.checked_database()?.to_string(),
        "primary_key": table.primary_key,
        "indexes": table.indexes,
        "shards": shards,
    }))
}

fn shard_json(names: &Names, shard: &v1::Shard) -> Result<Value, ConvertError> {
    let range = shard.checked_range()?;
    let members = shard.members.iter().map(|member| member_json(names, member)).collect::<Result<Vec<_>, _>>()?;
    Ok(json!({
        "id": shard.checked_id()?.0,
        "epoch": shard.checked_epoch().0,
        "range": { "start": hex(range.start()), "end": range.end().map(hex) },
        "members": members,
    }))
}

fn member_json(names: &Names, member: &v1::Member) -> Result<Value, ConvertError> {
    let said = member.state.as_ref();
    Ok(json!({
        "id": member.checked_id()?.0,
        "node_id": member.checked_node()?.to_string(),
        "node": names.node(member)?,
        "state": state(said),
        "applied": said.map(|state| state.applied),
        "documents": said.and_then(|state| state.documents),
    }))
}

pub(in crate::command) fn hex(key: &[u8]) -> String {
    key.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What things are called, by id. What has no name any more is shown by its id.
struct Names(BTreeMap<String, String>);

impl Names {
    fn of(info: &v1::ClusterInfoResponse) -> Result<Names, ConvertError> {
        let mut names = BTreeMap::new();
        for node in &info.nodes {
            names.insert(node.checked_id()?.to_string(), node.name.clone());
        }
        for database in &info.databases {
            names.insert(database.checked_id()?.to_string(), database.name.clone());
        }
        Ok(Names(names))
    }

    fn get(&self, id: String) -> String {
        self.0.get(&id).cloned().unwrap_or(id)
    }

    fn database(&self, table: &v1::Table) -> Result<String, ConvertError> {
        Ok(self.get(table.checked_database()?.to_string()))
    }

    fn node(&self, member: &v1::Member) -> Result<String, ConvertError> {
        Ok(self.get(member.checked_node()?.to_string()))
    }
}

#[cfg(test)]
pub(in crate::command) mod tests {
    use photondb_proto::{DatabaseId, KeyRange, NodeId, TableId};

    use super::*;

    fn shard(id: u64, node: NodeId, range: KeyRange, state: Option<v1::MemberState>) -> v1::Shard {
        let member = v1::Member { member_id: id + 1, node_id: node.to_string(), state };
        v1::Shard { shard_id: id, epoch: 0, range: Some(v1::KeyRange::from(&range)), members: vec![member] }
    }

    /// One node, two databases, one table of two shards, one of them on a node that is gone.
    pub fn cluster() -> v1::ClusterInfoResponse {
        let database =
            |id: u128, name: &str| v1::Database { database_id: DatabaseId(id).to_string(), name: name.to_owned() };
        let lower = KeyRange::new(Vec::new(), Some(vec![0x4e, 0x6d])).expect("not empty");
        let upper = KeyRange::new(vec![0x4e, 0x6d], None).expect("not empty");
        let state = v1::MemberState { leading: true, applied: 17, documents: Some(1200) };
        let table = v1::Table {
            table_id: TableId(5).to_string(),
            database_id: DatabaseId(7).to_string(),
            name: "heroes".to_owned(),
            primary_key: "id".to_owned(),
            indexes: vec!["name".to_owned()],
            shards: vec![shard(1, NodeId(1), lower, Some(state)), shard(2, NodeId(6), upper, None)],
        };
        let node = v1::Node {
            node_id: NodeId(1).to_string(),
            name: "ada".to_owned(),
            tags: vec!["default".to_owned(), "fast".to_owned()],
            addresses: vec![v1::Address { host: "127.0.0.1".to_owned(), port: 29015 }],
            boots: 3,
        };
        v1::ClusterInfoResponse {
            version: 1,
            cluster_id: NodeId(9).to_string(),
            nodes: vec![node],
            databases: vec![database(7, "test"), database(8, "empty")],
            tables: vec![table],
        }
    }

    #[test]
    fn a_line_for_each_replica() {
        let expected = "\
DATABASE  TABLE   SHARD  MEMBER  NODE                                  STATE    APPLIED  DOCUMENTS
test      heroes  1      2       ada                                   leading  17       1200
test      heroes  2      3       00000000-0000-0000-0000-000000000006  unknown  -        -
";
        assert_eq!(list(&cluster(), Format::Table).unwrap(), expected);
    }

    #[test]
    fn json_for_programs() {
        let value: Value = serde_json::from_str(&list(&cluster(), Format::Json).unwrap()).unwrap();
        let table = &value[0];
        assert_eq!((&table["database"], &table["name"]), (&json!("test"), &json!("heroes")));
        assert_eq!(table["shards"][0]["range"], json!({ "start": "", "end": "4e6d" }));
        assert_eq!(table["shards"][1]["range"], json!({ "start": "4e6d", "end": null }));
        assert_eq!(table["shards"][0]["members"][0]["documents"], 1200);
        assert_eq!(table["shards"][1]["members"][0]["documents"], Value::Null);
    }

    #[test]
    fn no_table_is_headings_alone() {
        let info = v1::ClusterInfoResponse { tables: Vec::new(), ..cluster() };
        assert_eq!(list(&info, Format::Table).unwrap().lines().count(), 1);
        assert_eq!(list(&info, Format::Json).unwrap(), "[]\n");
    }

    #[test]
    fn a_range_without_keys_is_refused() {
        let mut info = cluster();
        info.tables[0].shards[0].range = Some(v1::KeyRange { start: b"b".to_vec(), end: Some(b"a".to_vec()) });
        assert_eq!(list(&info, Format::Json), Err(ConvertError::EmptyRange { field: "range" }));
    }
}
