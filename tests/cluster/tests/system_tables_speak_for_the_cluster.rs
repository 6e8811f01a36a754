//! Whichever server is asked, `stats`, `server_status`, `jobs` and `logs` tell of all of them, a query is ended wherever it runs,
//! and a server that is not there is named.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use photondb_test_cluster::secret::{PATIENCE, Secret, make_table, three};
use photondb_test_cluster::terms::{busy, get, index_create, index_wait, insert};
use photondb_test_cluster::{Connection, Node, program};
use serde_json::Value;

fn system(name: &str) -> String {
    format!(r#"[15,[[14,["rethinkdb"]],"{name}"]]"#)
}

fn rows(node: &Node, name: &str) -> Vec<Value> {
    node.connect().rows(&system(name))
}

fn of_kind<'a>(rows: &'a [Value], kind: &str) -> Vec<&'a Value> {
    rows.iter().filter(|row| row["id"][0] == kind).collect()
}

/// The server's name and id, by its own `r.server()`.
fn who(node: &Node) -> (String, String) {
    let mut connection = node.connect();
    let token = connection.send("[5]").unwrap();
    let (answered, answer) = connection.receive().unwrap();
    assert_eq!(answered, token);
    let text = |field: &str| answer["r"][0][field].as_str().unwrap().to_owned();
    (text("name"), text("id"))
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn any_server_tells_of_all_and_names_the_one_that_is_gone() {
    let secret = Secret::new("0123456789abcdef0123456789abcdef");
    let mut nodes = three(&secret);
    make_table(&mut nodes[0].connect());
    let servers: Vec<(String, String)> = nodes.iter().map(who).collect();
    let names: BTreeSet<&str> = servers.iter().map(|(name, _)| name.as_str()).collect();

    // Each is asked for some of the work; any of them tells of all of it.
    let documents: Vec<String> = (0..30).map(|id| format!(r#"{{"id":{id}}}"#)).collect();
    for (turn, node) in nodes.iter().enumerate() {
        let own = &documents[turn * 10..turn * 10 + 10];
        assert_eq!(node.connect().value(&insert("t", own))["inserted"], 10);
    }
    for id in 0..7 {
        nodes[2].connect().value(&get("t", id));
    }
    for node in &nodes {
        let stats = rows(node, "stats");
        let total = |kind: &str, field: &str| -> u64 {
            of_kind(&stats, kind).iter().map(|row| row["query_engine"][field].as_u64().unwrap()).sum()
        };
        assert_eq!((of_kind(&stats, "server").len(), of_kind(&stats, "table_server").len()), (3, 3), "{stats:?}");
        for kind in ["server", "table_server"] {
            assert_eq!(
                (total(kind, "written_docs_total"), total(kind, "read_docs_total")),
                (30, 7),
                "{kind}: {stats:?}"
            );
        }
        let by_server: BTreeMap<&str, u64> = of_kind(&stats, "table_server")
            .iter()
            .map(|row| (row["server"].as_str().unwrap(), row["query_engine"]["read_docs_total"].as_u64().unwrap()))
            .collect();
        assert_eq!(by_server[servers[2].0.as_str()], 7, "{by_server:?}");
        let cluster = &of_kind(&stats, "cluster")[0]["query_engine"];
        assert_eq!(cluster["client_connections"], total("server", "client_connections"), "{stats:?}");
        assert!(cluster["written_docs_per_sec"].as_f64().is_some(), "{cluster}");
    }

    for node in &nodes {
        until("it is not known what all bear", || {
            let known = |row: &&Value| row["stored_bytes"].is_u64() && row["documents_per_sec"].is_u64();
            rows(node, "photon_nodes").iter().filter(known).count() == 3
        });
    }

    let status = rows(&nodes[1], "server_status");
    assert_eq!(status.len(), 3, "{status:?}");
    for (node, (name, id)) in nodes.iter().zip(&servers) {
        let row = status.iter().find(|row| row["id"] == **id).unwrap();
        let (process, network) = (&row["process"], &row["network"]);
        assert_eq!((&row["name"], &process["pid"]), (&name.as_str().into(), &node.process_id().into()));
        assert_eq!(network["reql_port"], node.ports().driver);
        assert_eq!(network["cluster_port"], node.ports().cluster);
        assert_eq!(network["http_admin_port"], node.ports().http);
        let connected = network["connected_to"].as_object().unwrap();
        let others: BTreeSet<&str> = names.iter().copied().filter(|other| other != name).collect();
        assert_eq!(connected.keys().map(String::as_str).collect::<BTreeSet<_>>(), others, "{row}");
        assert!(connected.values().all(|connected| *connected == true), "{row}");
        for time in [&network["time_connected"], &process["time_started"]] {
            assert_eq!(time["$reql_type$"], "TIME", "{row}");
        }
        assert!(process["argv"].as_array().unwrap().iter().any(|argument| argument == "--driver-port=0"), "{row}");
    }
    let logs = rows(&nodes[2], "logs");
    let ready = logs.iter().filter(|row| row["message"].as_str().is_some_and(|line| line.starts_with("server ready")));
    assert_eq!(ready.map(|row| row["server"].as_str().unwrap()).collect::<BTreeSet<_>>(), names);

    // What happens elsewhere comes to whoever follows it here.
    until("the table is not ready", || {
        rows(&nodes[0], "current_issues").iter().all(|row| row["type"] != "table_availability")
    });
    let mut issues = Feed::open(&nodes[0], "current_issues");
    let mut lines = Feed::open(&nodes[0], "logs");
    nodes[2].kill();
    let gone = servers[2].1.as_str();
    until("the dead server is not named", || {
        let stats = rows(&nodes[0], "stats");
        let silent = |kind: &str| {
            let is_gone = |row: &&Value| row["id"].as_array().unwrap().iter().any(|part| part == gone);
            let row = of_kind(&stats, kind).into_iter().find(is_gone).unwrap_or_else(|| panic!("no {kind}: {stats:?}"));
            row["error"] == "Timed out. Unable to retrieve stats." && row.get("query_engine").is_none()
        };
        silent("server") && silent("table_server")
    });
    assert_eq!(rows(&nodes[1], "server_status").len(), 2);
    // Where it led the table, that is critical until another one does.
    let issue = issues
        .until(|change| change["new_val"]["type"] == "table_availability" && change["new_val"]["critical"] == false);
    let shown = &issue["new_val"];
    assert_eq!((&shown["critical"], &shown["info"]["table"]), (&false.into(), &"t".into()), "{issue}");
    assert!(shown["description"].as_str().unwrap().contains("available for all operations"), "{issue}");
    until("no issue names the dead server", || {
        let found = rows(&nodes[1], "photon_issues");
        found.iter().any(|row| row["type"] == "server_down" && row["info"]["server_id"] == gone)
    });

    // It says so in its log when it is back, and the issue is no more.
    nodes[2].restart();
    let name = servers[2].0.as_str();
    let line = lines.until(|change| {
        let line = &change["new_val"];
        line["server"] == name && line["message"].as_str().is_some_and(|text| text.starts_with("server ready"))
    });
    assert_eq!((&line["old_val"], &line["new_val"]["id"][1]), (&Value::Null, &gone.into()), "{line}");
    issues.until(|change| change["old_val"]["type"] == "table_availability" && change["new_val"].is_null());
    until("it is still missed", || rows(&nodes[1], "photon_issues").iter().all(|row| row["type"] != "server_down"));
    for node in &mut nodes {
        node.assert_well();
    }
}

/// `photon_nodes` and `photon_ranges` are what `photonctl` shows; `server_config` has a number for the cache of every server.
#[test]
fn nodes_and_ranges_are_shown_alike_by_any_server() {
    let secret = Secret::new("0123456789abcdef0123456789abcdef");
    let mut nodes = three(&secret);
    make_table(&mut nodes[0].connect());
    let servers: Vec<(String, String)> = nodes.iter().map(who).collect();
    let names: BTreeSet<&str> = servers.iter().map(|(name, _)| name.as_str()).collect();
    until("leaders do not settle", || {
        let is_led = |row: &Value| {
            let replicas = row["replicas"].as_array().unwrap();
            row["leader"] == row["preferred_leader"] && replicas.iter().all(|replica| replica["ready"] == true)
        };
        nodes.iter().all(|node| rows(node, "photon_ranges").iter().all(is_led))
    });
    for node in &nodes {
        let shown = rows(node, "photon_nodes");
        assert_eq!(shown.iter().map(|row| row["name"].as_str().unwrap()).collect::<BTreeSet<_>>(), names, "{shown:?}");
        for row in &shown {
            assert_eq!((&row["state"], &row["service"]), (&"up".into(), &"full".into()), "{row}");
            assert_eq!((&row["answers"], &row["draining"]), (&true.into(), &false.into()), "{row}");
            assert_eq!(row["replicas"], 2, "{row}");
            assert!(row["version"].is_string() && row["disk"]["total_bytes"].as_u64() > Some(0), "{row}");
        }
        let led: u64 = shown.iter().map(|row| row["leading"].as_u64().unwrap()).sum();
        assert_eq!(led, 2, "{shown:?}");
        let caches: BTreeMap<String, Value> = rows(node, "server_config")
            .iter()
            .map(|row| (row["name"].to_string(), row["cache_size_mb"].clone()))
            .collect();
        assert!(caches.len() == 3 && caches.values().all(Value::is_u64), "{caches:?}");

        let mut ranges = rows(node, "photon_ranges");
        ranges.sort_by_key(|row| !row["range"]["start"].is_null());
        let [first, second] = &ranges[..] else { panic!("{ranges:?}") };
        assert!(first["range"]["start"].is_null() && second["range"]["end"].is_null(), "{ranges:?}");
        assert!(first["range"]["end"].is_string(), "a generated key is a text: {first}");
        assert_eq!(first["range"]["end"], second["range"]["start"]);
        for row in &ranges {
            assert_eq!((&row["db"], &row["table"]), (&"test".into(), &"t".into()), "{row}");
            assert!(names.contains(row["leader"].as_str().unwrap()), "{row}");
            let replicas = row["replicas"].as_array().unwrap();
            let on: BTreeSet<&str> = replicas.iter().map(|replica| replica["server"].as_str().unwrap()).collect();
            assert_eq!(on, names, "{row}");
            assert!(replicas.iter().all(|replica| replica["role"] == "voter" && replica["ready"] == true), "{row}");
            let by_key = node.connect().value(&format!("[16,[{},{}]]", system("photon_ranges"), row["id"]));
            assert_eq!((&by_key["range"], &by_key["leader"]), (&row["range"], &row["leader"]));
        }
    }
    for name in ["photon_nodes", "photon_ranges"] {
        let refused = nodes[0].connect().value(&format!("[54,[{}]]", system(name)));
        let expected = format!("It's illegal to write to the `rethinkdb.{name}` table.");
        assert_eq!(refused["first_error"], expected.as_str(), "{refused}");
    }

    let mut changed = [Feed::open(&nodes[0], "photon_nodes"), Feed::open(&nodes[0], "photon_ranges")];
    let (gone, id) = servers[2].clone();
    nodes[2].kill();
    let row = changed[0].until(|change| change["new_val"]["id"] == *id && change["new_val"]["state"] == "down");
    let row = &row["new_val"];
    assert_eq!((&row["answers"], &row["replicas"]), (&false.into(), &2.into()), "{row}");
    assert!(row["disk"].is_null() && row["version"].is_null() && row["leading"].is_null(), "{row}");
    changed[1].until(|change| {
        let replicas = change["new_val"]["replicas"].as_array();
        replicas.into_iter().flatten().any(|replica| replica["server"] == *gone && replica["ready"].is_null())
    });
}

#[test]
fn a_query_is_seen_and_ended_from_any_server() {
    let secret = Secret::new("0123456789abcdef0123456789abcdef");
    let nodes = three(&secret);
    let names: Vec<String> = nodes.iter().map(|node| who(node).0).collect();
    let mut admin = nodes[0].connect();
    for victim in [1, 2] {
        let mut client = nodes[victim].connect();
        let token = client.send(&format!(r#"[1,[2,["victim-{victim}",{}]]]"#, busy())).unwrap();
        let text = format!("victim-{victim}");
        let mut job = Value::Null;
        until("the query is not shown", || {
            let shown = admin.rows(&system("jobs"));
            job = shown.into_iter().find(|row| row.to_string().contains(&text)).unwrap_or_default();
            !job.is_null()
        });
        assert_eq!(job["servers"], serde_json::json!([names[victim]]), "{job}");
        let row = format!("[16,[{},[2,{}]]]", system("jobs"), job["id"]);
        assert_eq!(admin.value(&row)["info"]["query"], job["info"]["query"]);
        let gone = admin.value(&format!("[54,[{row}]]"));
        assert_eq!(gone["deleted"], 1, "{gone}");
        let (ended, answer) = client.receive().unwrap();
        assert_eq!((ended, &answer["e"]), (token, &4_200_000.into()), "{answer}");
        assert_eq!(answer["r"][0], "Query terminated by the `rethinkdb.jobs` table.", "{answer}");
        assert_eq!(admin.value(&row), Value::Null);
    }
    // An index that all three build is one job.
    make_table(&mut admin);
    let documents =
        |from: usize| (from..from + 2_000).map(|id| format!(r#"{{"id":{id},"n":{id}}}"#)).collect::<Vec<_>>();
    for part in 0..5 {
        assert_eq!(admin.value(&insert("t", &documents(part * 2_000)))["inserted"], 2_000);
    }
    admin.value(&index_create("t", "n"));
    let builds = of_kind(&admin.rows(&system("jobs")), "index_construction").len();
    assert!(builds <= 1, "{builds} jobs for one index");
    admin.value(&index_wait("t"));
}

/// A feed on a system table.
struct Feed {
    connection: Connection,
    token: u64,
}

impl Feed {
    fn open(node: &Node, name: &str) -> Feed {
        let mut connection = node.connect();
        let token = connection.send(&format!("[1,[152,[{}]]]", system(name))).unwrap();
        let feed = Feed { connection, token };
        // It is open some time after it is listed: its first look is over.
        until("the feed is not listed", || {
            let jobs = rows(node, "jobs");
            jobs.iter()
                .any(|row| row["info"]["query"].as_str().is_some_and(|q| q.contains(name) && q.contains("changes")))
        });
        std::thread::sleep(Duration::from_secs(1));
        feed
    }

    /// Reads changes until one is wanted.
    fn until(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        let (begun, mut seen) = (Instant::now(), Vec::new());
        while begun.elapsed() < PATIENCE {
            let Some((token, answer)) = self.connection.receive_within(Duration::from_secs(1)).unwrap() else {
                continue;
            };
            assert_eq!((token, &answer["t"]), (self.token, &3.into()), "{answer}");
            self.connection.send_as(self.token, "[2]").unwrap();
            for change in answer["r"].as_array().unwrap() {
                if wanted(change) {
                    return change.clone();
                }
                seen.push(change.clone());
            }
        }
        panic!("no such change among {seen:?}");
    }
}

/// A process that is killed with the test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_log_that_cannot_be_written_is_an_issue_and_stops_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let printed = folder.path().join("printed");
    let started = Command::new(program())
        .args(["serve", "--memory", "--driver-port=0", "--http-port=0", "--cluster-port=0"])
        .stdin(Stdio::null())
        .stdout(File::create(&printed).unwrap())
        .stderr(File::options().write(true).open("/dev/full").unwrap())
        .spawn()
        .unwrap();
    let _node = Killed(started);
    let mut port = None;
    until("the node does not start", || {
        let banner = std::fs::read_to_string(&printed).unwrap();
        let line = banner.lines().find_map(|line| line.strip_prefix("Drivers    port "));
        port = line.and_then(|rest| rest.split(' ').next()?.parse().ok());
        banner.contains("Server ready") && port.is_some()
    });
    let mut connection = Connection::try_open(port.unwrap()).unwrap();
    let issues = connection.rows(&system("current_issues"));
    let [issue] = &issues[..] else { panic!("{issues:?}") };
    assert_eq!((&issue["type"], &issue["critical"]), (&"log_write_error".into(), &false.into()), "{issue}");
    assert!(issue["info"]["message"].as_str().unwrap().contains("No space left"), "{issue}");
    assert_eq!(issue["info"]["servers"].as_array().unwrap().len(), 1, "{issue}");
    assert!(issue["description"].as_str().unwrap().contains("while writing log statements"), "{issue}");
}
