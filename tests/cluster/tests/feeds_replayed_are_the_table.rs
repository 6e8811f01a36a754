//! Who applies every change of a feed to what it was given at first has what the query would answer, at any time; and each
//! change says truly what was there before. While writers insert, update, replace and delete.
//!
//! `PHOTONDB_SEED` repeats a run's choices; the moments at which things meet are new each time.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use photondb_test_cluster::documents::document;
use photondb_test_cluster::terms::{index_create, index_wait, insert, table_create};
use photondb_test_cluster::{Connection, Node, Numbers, full, seed};
use serde_json::Value;

/// Documents are written under so many keys: few, so that each is written often.
const KEYS: u64 = 120;

/// The document whose change is the last one. With an empty array as `k`, which no other has and which is below every other
/// value, and 5 as `n` it belongs to what every feed shows.
const LAST: u64 = 50;

const T: &str = r#"[15,[[14,["test"]],"t"]]"#;

/// What is subscribed to, with `T` for the table.
const FEEDS: [(&str, &str); 13] = [
    ("the table", T),
    ("a range of keys", r#"[182,[T,20,80]]"#),
    ("an open range of an index", r#"[182,[T,[180,[]],8],{"index":"k","right_bound":"open"}]"#),
    ("a closed range of an index", r#"[182,[T,[2,[]],"b"],{"index":"k","right_bound":"closed"}]"#),
    ("a filter", r#"[39,[T,[69,[[2,[1]],[21,[[170,[[10,[1]],"n"]],3]]]]]]"#),
    ("a filter of a range", r#"[39,[[182,[T,[180,[]],100],{"index":"id"}],{"n":5}]]"#),
    ("keys", r#"[78,[T,1,50,51,52]]"#),
    ("values of an index", r#"[78,[T,5,7],{"index":"n"}]"#),
    ("fields", r#"[33,[T,"id","n","k"]]"#),
    ("a map", r#"[38,[T,[69,[[2,[1]],{"id":[170,[[10,[1]],"id"]],"k":[92,[[170,[[10,[1]],"k"]],null]]}]]]]"#),
    ("the first of an index", r#"[71,[[41,[T],{"index":"k"}],7]]"#),
    (
        "the first of a filtered order",
        r#"[71,[[39,[[41,[T],{"index":"k"}],[69,[[2,[1]],[21,[[170,[[10,[1]],"n"]],1]]]]]],5]]"#,
    ),
    ("one document", r#"[16,[T,50]]"#),
];

/// Writes at random until it is told to stop.
fn write(mut connection: Connection, mut numbers: Numbers, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let id = numbers.below(KEYS);
        let one = format!("[16,[{T},{id}]]");
        let term = match numbers.below(8) {
            0 => format!("[54,[{one}]]"),
            1 => format!("[53,[{one},{{\"n\":{}}}]]", numbers.below(10)),
            2 => format!("[53,[{one},{{\"k\":{}}}]]", numbers.below(40) as i64 - 20),
            3 => format!("[54,[[182,[{T},{id},{}]]]]", id + 5),
            4 => format!(
                "[53,[[78,[{T},{0}],{{\"index\":\"n\"}}],[69,[[2,[1]],{{\"n\":[28,[[24,[[170,[[10,[1]],\"n\"]],1]],10]]}}]]]]",
                numbers.below(10)
            ),
            5 => format!("[55,[{one},{}]]", document(&id.to_string(), &mut numbers)),
            _ => {
                let documents: Vec<String> = (0..1 + numbers.below(4))
                    .map(|at| document(&((id + at * 7) % KEYS).to_string(), &mut numbers))
                    .collect();
                format!("[56,[{T},[2,[{}]]],{{\"conflict\":\"replace\"}}]", documents.join(","))
            }
        };
        let answer = connection.run(&format!("[1,{term}]")).expect("the node answers");
        assert_eq!(answer["t"], 1, "{term}: {answer}");
        if numbers.below(4) == 0 {
            std::thread::sleep(Duration::from_micros(numbers.below(3_000)));
        }
    }
}

/// What a feed has shown so far, by key.
struct Replayed {
    feed: String,
    documents: BTreeMap<String, Value>,
    changes: u64,
}

impl Replayed {
    /// Applies a change; whether it is the last one.
    fn apply(&mut self, change: &Value) -> bool {
        self.changes += 1;
        let key = |document: &Value| document["id"].to_string();
        if let Some(old) = change.get("old_val").filter(|old| !old.is_null()) {
            let known = self.documents.remove(&key(old));
            assert_eq!(known.as_ref(), Some(old), "{} (change {}): {change}", self.feed, self.changes);
        } else if let Some(new) = change.get("new_val").filter(|new| !new.is_null()) {
            let known = self.documents.get(&key(new));
            assert_eq!(known, None, "{} (change {}): {change}", self.feed, self.changes);
        }
        let new = &change["new_val"];
        if !new.is_null() {
            self.documents.insert(key(new), new.clone());
        }
        new["id"] == LAST && new["k"].as_array().is_some_and(Vec::is_empty)
    }
}

/// A feed that is open, and read later.
struct Follower {
    connection: Connection,
    token: u64,
    sequence: String,
    replayed: Replayed,
}

impl Follower {
    fn open(mut connection: Connection, name: &str, sequence: String, options: &str) -> Follower {
        let token = connection.send(&format!("[1,[152,[{sequence}],{options}]]")).expect("the node takes it");
        let replayed = Replayed { feed: format!("{name}, {options}"), documents: BTreeMap::new(), changes: 0 };
        Follower { connection, token, sequence, replayed }
    }

    /// Reads until the last change, and compares what was shown with what the query answers then.
    fn finish(mut self, other: &mut Connection) {
        let mut ended = false;
        while !ended {
            let received = self.connection.receive();
            let (_, answer) = received.unwrap_or_else(|error| panic!("{}: {error}", self.replayed.feed));
            assert_eq!(answer["t"], 3, "{}: {answer}", self.replayed.feed);
            for change in answer["r"].as_array().expect("changes come in arrays") {
                ended |= self.replayed.apply(change);
            }
            self.connection.send_as(self.token, "[2]").expect("the node takes it");
        }
        let answer = other.elements(&self.sequence).expect("the query has an answer");
        let mut wanted: Vec<Value> = answer.into_iter().filter(|row| !row.is_null()).collect();
        // A document that stands twice in an answer is one document to a feed.
        wanted.sort_by_key(|row| row["id"].to_string());
        wanted.dedup();
        let found: Vec<Value> = self.replayed.documents.into_values().collect();
        assert_eq!(found, wanted, "{} after {} changes", self.replayed.feed, self.replayed.changes);
    }
}

#[test]
fn whatever_is_subscribed_to() {
    let mut numbers = Numbers(seed("feeds"));
    let mut node = Node::start();
    let mut connection = node.connect();
    for round in 0..if full() { 40 } else { 4 } {
        connection.value(&table_create("t"));
        for index in ["k", "n"] {
            connection.value(&index_create("t", index));
        }
        connection.value(&index_wait("t"));
        let begun: Vec<String> = (0..KEYS / 2).map(|id| document(&(id * 2).to_string(), &mut numbers)).collect();
        connection.value(&insert("t", &begun));
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let writers: Vec<_> = (0..2)
                .map(|_| {
                    let (connection, numbers) = (node.connect(), Numbers(numbers.below(u64::MAX)));
                    let stop = &stop;
                    scope.spawn(move || write(connection, numbers, stop))
                })
                .collect();
            let mut followers = Vec::new();
            for (name, sequence) in FEEDS {
                let options = ["{\"include_initial\":true}", "{\"include_initial\":true,\"squash\":true}"];
                let options = options[numbers.below(4).saturating_sub(2) as usize];
                let sequence = sequence.replace("T,", &format!("{T},")).replace("[T]", &format!("[{T}]"));
                followers.push(Follower::open(node.connect(), name, sequence, options));
                std::thread::sleep(Duration::from_millis(numbers.below(20)));
            }
            std::thread::sleep(Duration::from_millis(200 + numbers.below(300)));
            stop.store(true, Ordering::Relaxed);
            for writer in writers {
                writer.join().expect("the writer is content");
            }
            // First out of every feed, so that its return is a change.
            connection.value(&format!("[54,[[16,[{T},{LAST}]]]]"));
            let last = format!("{{\"id\":{LAST},\"k\":[2,[]],\"n\":5}}");
            connection.value(&format!("[56,[{T},{last}]]"));
            for follower in followers {
                follower.finish(&mut connection);
            }
        });
        connection.value(r#"[61,[[14,["test"]],"t"]]"#);
        println!("round {round} holds");
    }
    node.assert_well();
}
