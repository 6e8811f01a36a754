//! How a table is, as people read it.

use serde_json::Value;

use crate::output::{Columns, cell, pairs};
use crate::term::TableName;

/// Of a row of `table_status`.
pub fn text(status: &Value) -> String {
    let readiness = status["status"].as_object().into_iter().flatten();
    let ready: Vec<&str> =
        readiness.filter(|(_, ready)| **ready == Value::Bool(true)).map(|(name, _)| name.as_str()).collect();
    let ready = match ready.is_empty() {
        true => "no".to_owned(),
        false => ready.join(", "),
    };
    let head = pairs(&[
        ("Table", format!("{}.{}", cell(&status["db"]), cell(&status["name"]))),
        ("Id", cell(&status["id"])),
        ("Ready", ready),
    ]);
    let mut columns = Columns::new(["SHARD", "SERVER", "STATE", "PRIMARY"]);
    for (number, shard) in elements(&status["shards"]).enumerate() {
        for replica in elements(&shard["replicas"]) {
            let is_primary = elements(&shard["primary_replicas"]).any(|primary| *primary == replica["server"]);
            let primary = if is_primary { "yes" } else { "" };
            columns.row([
                (number + 1).to_string(),
                cell(&replica["server"]),
                cell(&replica["state"]),
                primary.to_owned(),
            ]);
        }
    }
    format!("{head}\n{}", columns.finish())
}

/// How far a change of a table is when it is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It was only asked what it would be.
    Planned,
    /// It goes on.
    Begun,
    /// All replicas are ready.
    Done,
}

impl Progress {
    pub fn of(dry_run: bool, is_ready: bool) -> Progress {
        match (dry_run, is_ready) {
            (true, _) => Progress::Planned,
            (false, false) => Progress::Begun,
            (false, true) => Progress::Done,
        }
    }
}

/// Of the answer to `reconfigure`: the places that were chosen.
pub fn reconfigured(table: &TableName, answer: &Value, progress: Progress) -> String {
    let said = match (progress, answer.get("repaired")) {
        (Progress::Planned, _) => format!("Table `{table}` stays as it is; it would be so:\n\n"),
        (Progress::Begun, Some(_)) => {
            format!("Table `{table}` has been repaired; `table wait` waits until it is ready:\n\n")
        }
        (Progress::Begun, None) => {
            format!("Table `{table}` is being reconfigured; `table wait` waits until it is done:\n\n")
        }
        (Progress::Done, Some(_)) => format!("Table `{table}` has been repaired and is ready:\n\n"),
        (Progress::Done, None) => format!("Table `{table}` has been reconfigured:\n\n"),
    };
    let mut columns = Columns::new(["SHARD", "PRIMARY", "REPLICAS", "NONVOTING"]);
    let changes = elements(&answer["config_changes"]);
    for shard in changes.flat_map(|change| elements(&change["new_val"]["shards"])).enumerate() {
        let (number, shard) = shard;
        let names = |field: &str| elements(&shard[field]).map(cell).collect::<Vec<_>>().join(",");
        columns.row([
            (number + 1).to_string(),
            cell(&shard["primary_replica"]),
            names("replicas"),
            names("nonvoting_replicas"),
        ]);
    }
    said + &columns.finish()
}

fn elements(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_for_each_replica() {
        let status = json!({
            "id": "7", "db": "test", "name": "t",
            "status": {"ready_for_reads": true, "ready_for_writes": true, "all_replicas_ready": false},
            "shards": [
                {"primary_replicas": ["ada"], "replicas": [
                    {"server": "ada", "state": "ready"}, {"server": "bob", "state": "backfilling"},
                ]},
                {"primary_replicas": [], "replicas": [{"server": "bob", "state": "waiting_for_primary"}]},
            ],
        });
        let expected = "\
Table  test.t
Id     7
Ready  ready_for_reads, ready_for_writes

SHARD  SERVER  STATE                PRIMARY
1      ada     ready                yes
1      bob     backfilling          -
2      bob     waiting_for_primary  -
";
        assert_eq!(text(&status), expected);
    }

    #[test]
    fn the_places_that_were_chosen_are_shown() {
        let shard = json!({"primary_replica": "ada", "replicas": ["ada", "bob"], "nonvoting_replicas": []});
        let answer = json!({"config_changes": [{"new_val": {"shards": [shard]}}]});
        let text = |dry_run, is_ready| reconfigured(&"t".parse().unwrap(), &answer, Progress::of(dry_run, is_ready));
        assert!(text(false, false).starts_with("Table `test.t` is being reconfigured; `table wait` waits"));
        assert!(text(false, true).starts_with("Table `test.t` has been reconfigured:"));
        let text = text(true, false);
        assert!(text.starts_with("Table `test.t` stays as it is"), "{text}");
        assert!(text.ends_with("SHARD  PRIMARY  REPLICAS  NONVOTING\n1      ada      ada,bob   -\n"), "{text}");
    }
}
