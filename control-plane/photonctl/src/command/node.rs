//! `photonctl node`: the node at the address.

use photondb_proto::convert::ConvertError;
use photondb_proto::v1;
use serde_json::json;

use crate::output::{Format, bytes, duration, pairs};

pub fn info(info: &v1::NodeInfoResponse, format: Format) -> Result<String, ConvertError> {
    let id = info.checked_node()?.to_string();
    let ports = info.checked_ports()?;
    let log = info.log.as_ref().ok_or(ConvertError::Missing { field: "log" })?;
    let storage = info.storage.as_ref().ok_or(ConvertError::Missing { field: "storage" })?;
    if let Some(write) = format.writer() {
        return Ok(write(&json!({
            "id": id,
            "name": info.name,
            "cluster_id": info.cluster_id,
            "version": info.program_version,
            "boots": info.boots,
            "uptime_ms": info.uptime_ms,
            "ready": info.ready,
            "in_memory": info.in_memory,
            "ports": { "driver": ports.driver, "cluster": ports.cluster, "http": ports.http },
            "client_connections": info.client_connections,
            "raft_groups": info.raft_groups,
            "log": {
                "syncs": log.syncs,
                "submissions": log.submissions,
                "bytes_written": log.bytes_written,
                "group_max": log.group_max,
                "segments": log.segments,
                "live_bytes": log.live_bytes,
                "queued_bytes": log.queued_bytes,
                "refused_full": log.refused_full,
            },
            "storage": {
                "dirty_bytes": storage.dirty_bytes,
                "cache_bytes": storage.cache_bytes,
                "cache_hits": storage.cache_hits,
                "cache_misses": storage.cache_misses,
                "checkpoints": storage.checkpoints,
                "pages_written": storage.pages_written,
                "page_bytes_written": storage.page_bytes_written,
                "page_file_bytes": storage.page_file_bytes,
                "page_file_used_bytes": storage.page_file_used_bytes,
            },
        })));
    }
    let state = match (info.ready, info.in_memory) {
        (true, false) => "ready",
        (true, true) => "ready, in memory only",
        (false, _) => "not ready",
    };
    let http = ports.http.map_or("HTTP off".to_owned(), |http| format!("HTTP {http}"));
    let cache = format!(
        "{}, {} hits, {} misses; {} changed since the last checkpoint",
        bytes(storage.cache_bytes),
        storage.cache_hits,
        storage.cache_misses,
        bytes(storage.dirty_bytes),
    );
    let pages = format!(
        "{} of {} used; {} checkpoints wrote {}",
        bytes(storage.page_file_used_bytes),
        bytes(storage.page_file_bytes),
        storage.checkpoints,
        bytes(storage.page_bytes_written),
    );
    let written = format!(
        "{} segments, {} live; {} written in {} syncs; {} waiting",
        log.segments,
        bytes(log.live_bytes),
        bytes(log.bytes_written),
        log.syncs,
        bytes(log.queued_bytes),
    );
    Ok(pairs(&[
        ("Name", info.name.clone()),
        ("Id", id),
        ("Cluster", info.cluster_id.clone()),
        ("Version", info.program_version.clone()),
        ("State", state.to_owned()),
        ("Up", format!("{}, boot {}", duration(info.uptime_ms), info.boots)),
        ("Ports", format!("drivers {}, cluster {}, {http}", ports.driver, ports.cluster)),
        ("Clients", info.client_connections.to_string()),
        ("Groups", info.raft_groups.to_string()),
        ("Log", written),
        ("Cache", cache),
        ("Pages", pages),
    ]))
}

#[cfg(test)]
mod tests {
    use photondb_proto::NodeId;
    use photondb_proto::convert::Ports;

    use super::*;

    fn node() -> v1::NodeInfoResponse {
        v1::NodeInfoResponse {
            version: 1,
            node_id: NodeId(1).to_string(),
            cluster_id: NodeId(2).to_string(),
            name: "ada".to_owned(),
            program_version: "0.1.0".to_owned(),
            boots: 3,
            uptime_ms: 61_000,
            ready: true,
            in_memory: false,
            ports: Some(Ports { driver: 28015, cluster: 29015, http: None }.into()),
            client_connections: 4,
            raft_groups: 5,
            log: Some(v1::LogMetrics { syncs: 6, bytes_written: 2048, ..v1::LogMetrics::default() }),
            storage: Some(v1::StorageMetrics { cache_hits: 7, ..v1::StorageMetrics::default() }),
        }
    }

    #[test]
    fn a_table_for_people() {
        let text = info(&node(), Format::Table).unwrap();
        let lines = [
            "Name     ada",
            "Id       00000000-0000-0000-0000-000000000001",
            "State    ready",
            "Up       1 min 1 s, boot 3",
            "Ports    drivers 28015, cluster 29015, HTTP off",
            "Log      0 segments, 0 B live; 2.0 KiB written in 6 syncs; 0 B waiting",
        ];
        for line in lines {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn json_for_programs() {
        let value: serde_json::Value = serde_json::from_str(&info(&node(), Format::Json).unwrap()).unwrap();
        assert_eq!(value["id"], NodeId(1).to_string());
        assert_eq!(value["ports"], json!({ "driver": 28015, "cluster": 29015, "http": null }));
        assert_eq!((&value["boots"], &value["log"]["syncs"]), (&json!(3), &json!(6)));
        assert_eq!(value["storage"]["cache_hits"], 7);
    }

    #[test]
    fn an_answer_without_what_it_must_have_is_refused() {
        let answer = v1::NodeInfoResponse { log: None, ..node() };
        assert_eq!(info(&answer, Format::Json), Err(ConvertError::Missing { field: "log" }));
        let answer = v1::NodeInfoResponse { node_id: String::new(), ..node() };
        assert_eq!(info(&answer, Format::Table), Err(ConvertError::Missing { field: "node_id" }));
    }
}
