//! `photonctl table`: what is done with tables, each as the query of ReQL that does it.

pub mod list;
mod status;

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use photondb_reql::term::TermKind;
use serde_json::{Map, Value, json};

use crate::client::Client;
use crate::failure::Failure;
use crate::limits::TIMEOUT_SECS_MAX;
use crate::output::{Format, fields};
use crate::term::{TableName, array, call, call_with, database};

#[derive(Debug, Subcommand)]
pub enum TableVerb {
    /// A line for each replica of each shard.
    List,
    /// Makes a table.
    Create {
        /// Its name, in `test` unless the database is named.
        #[arg(value_name = "[DATABASE.]TABLE")]
        table: TableName,
        /// How many shards its keys are cut into.
        #[arg(long, value_name = "COUNT")]
        shards: Option<u32>,
        #[command(flatten)]
        replicas: WantedReplicas,
        /// The field whose value tells its documents apart; `id` unless told otherwise.
        #[arg(long, value_name = "FIELD")]
        primary_key: Option<String>,
        /// When a write counts as done: on the disks of a majority, or before.
        #[arg(long, value_enum)]
        durability: Option<Durability>,
        /// How its pages are compressed.
        #[arg(long, value_enum)]
        compression: Option<Compression>,
    },
    /// Drops a table with everything in it.
    Drop {
        /// Its name.
        #[arg(value_name = "[DATABASE.]TABLE")]
        table: TableName,
    },
    /// Gives a table another name in its database.
    Rename {
        /// Its name.
        #[arg(value_name = "[DATABASE.]TABLE")]
        table: TableName,
        /// The new one, without the database.
        new_name: String,
    },
    /// How ready a table is, and where its replicas are.
    Status {
        /// Its name.
        #[arg(value_name = "[DATABASE.]TABLE")]
        table: TableName,
    },
    /// What was chosen for a table.
    Config {
        /// Its name.
        #[arg(value_name = "[DATABASE.]TABLE")]
        table: TableName,
    },
    /// Chooses anew where the replicas of a table are.
    Reconfigure {
        /// Its name.
        #[arg(value_name = "[DATABASE.]TABLE")]
        table: TableName,
        /// How many shards its keys are cut into.
        #[arg(long, value_name = "COUNT", required_unless_present = "emergency_repair", requires = "replicas")]
        shards: Option<u32>,
        #[command(flatten)]
        replicas: WantedReplicas,
        /// Say what would change, and change nothing.
        #[arg(long)]
        dry_run: bool,
        /// Make a table usable again that has lost the majority of its replicas. Writes that were acknowledged may be lost.
        #[arg(long, value_enum, conflicts_with_all = ["shards", "replicas"])]
        emergency_repair: Option<EmergencyRepair>,
        /// Wait so long until all replicas are ready, in seconds. Without it the change goes on behind the answer.
        #[arg(long, value_name = "SECONDS", conflicts_with = "dry_run")]
        wait: Option<u64>,
    },
    /// Spreads the documents of a table evenly over its shards.
    Rebalance {
        /// Its name.
        #[arg(value_name = "[DATABASE.]TABLE")]
        table: TableName,
        /// Wait so long until all replicas are ready, in seconds. Without it the change goes on behind the answer.
        #[arg(long, value_name = "SECONDS")]
        wait: Option<u64>,
    },
    /// Waits until a table can be used.
    Wait {
        /// Its name.
        #[arg(value_name = "[DATABASE.]TABLE")]
        table: TableName,
        /// How well.
        #[arg(long = "for", value_enum, default_value_t = Readiness::AllReplicasReady)]
        readiness: Readiness,
        /// How long to wait, in seconds.
        #[arg(long, value_name = "SECONDS", default_value_t = 60)]
        wait: u64,
    },
}

/// How many replicas, and where.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
pub struct WantedReplicas {
    /// How many replicas each shard has: a number, or one for each tag of servers, as in `east=2,west=1`.
    #[arg(long, value_name = "COUNT | TAG=COUNT,..")]
    replicas: Option<Replicas>,
    /// The tag of the servers that lead, when replicas are given for tags.
    #[arg(long, value_name = "TAG", requires = "replicas")]
    primary_tag: Option<String>,
    /// Tags of servers whose replicas do not vote.
    #[arg(long, value_name = "TAG,..", value_delimiter = ',', requires = "replicas")]
    nonvoting_tags: Vec<String>,
}

/// `3`, or `east=2,west=1`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Replicas {
    Count(u32),
    Tagged(BTreeMap<String, u32>),
}

impl FromStr for Replicas {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Replicas, &'static str> {
        const EXPECTED: &str = "not a number, nor `TAG=COUNT,..`";
        if let Ok(count) = text.parse() {
            return Ok(Replicas::Count(count));
        }
        let mut counts = BTreeMap::new();
        for pair in text.split(',') {
            let (tag, count) = pair.split_once('=').filter(|(tag, _)| !tag.is_empty()).ok_or(EXPECTED)?;
            if counts.insert(tag.to_owned(), count.parse().map_err(|_| EXPECTED)?).is_some() {
                return Err("a tag stands in it twice");
            }
        }
        Ok(Replicas::Tagged(counts))
    }
}

impl WantedReplicas {
    fn add_to(&self, options: &mut Map<String, Value>) {
        let replicas = self.replicas.as_ref().map(|replicas| match replicas {
            Replicas::Count(count) => json!(count),
            Replicas::Tagged(counts) => json!(counts),
        });
        let tags = || array(self.nonvoting_tags.iter().map(|tag| json!(tag)).collect());
        let chosen = [
            ("replicas", replicas),
            ("primary_replica_tag", self.primary_tag.as_ref().map(|tag| json!(tag))),
            ("nonvoting_replica_tags", (!self.nonvoting_tags.is_empty()).then(tags)),
        ];
        options.extend(chosen.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Durability {
    Hard,
    Soft,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Compression {
    None,
    Lz4,
    Zstd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EmergencyRepair {
    /// From the replicas that are left.
    UnsafeRollback,
    /// The same; a shard of which nothing is left becomes empty.
    UnsafeRollbackOrErase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Readiness {
    ReadyForOutdatedReads,
    ReadyForReads,
    ReadyForWrites,
    AllReplicasReady,
}

/// As ReQL spells it.
fn word(value: impl ValueEnum) -> Value {
    let name = value.to_possible_value().map(|value| value.get_name().replace('-', "_"));
    json!(name.unwrap_or_default())
}

pub fn run(verb: &TableVerb, client: &Client, format: Format) -> Result<String, Failure> {
    let done = |term: Value, said: String| Ok(format.write(&client.value(&term)?, || said));
    match verb {
        TableVerb::List => list::list(&client.cluster_info()?, format).map_err(|source| client.malformed(source)),
        TableVerb::Create { table, .. } => done(create(verb, table), format!("Table `{table}` has been made\n")),
        TableVerb::Drop { table } => {
            let term = call(TermKind::TableDrop, [database(&table.database), table.table.as_str().into()]);
            done(term, format!("Table `{table}` has been dropped\n"))
        }
        TableVerb::Rename { table, new_name } => {
            let term = rename(call(TermKind::Config, [table.term()]), new_name);
            let (answer, _) = client.write(&term)?;
            Ok(format.write(&answer, || format!("Table `{table}` is called `{new_name}` now\n")))
        }
        TableVerb::Status { table } => {
            let status = client.value(&call(TermKind::Status, [table.term()]))?;
            Ok(format.write(&status, || status::text(&status)))
        }
        TableVerb::Config { table } => {
            let config = client.value(&call(TermKind::Config, [table.term()]))?;
            Ok(format.write(&config, || fields(&config)))
        }
        TableVerb::Reconfigure { table, dry_run, wait, .. } => {
            let answer = client.value(&reconfigure(verb, table))?;
            wait_until_ready(client, table, *wait, |is_ready| {
                let progress = status::Progress::of(*dry_run, is_ready);
                format.write(&answer, || status::reconfigured(table, &answer, progress))
            })
        }
        TableVerb::Rebalance { table, wait } => {
            let answer = client.value(&call(TermKind::Rebalance, [table.term()]))?;
            wait_until_ready(client, table, *wait, |is_ready| {
                let said = if is_ready { "has been" } else { "is being" };
                format.write(&answer, || format!("Table `{table}` {said} rebalanced\n"))
            })
        }
        TableVerb::Wait { table, readiness, wait } => {
            let what = || format!("table `{table}` is not ready");
            let answer = value_in_time(client, &ready(table, *readiness), seconds(*wait), what)?;
            Ok(format.write(&answer, || format!("Table `{table}` is ready\n")))
        }
    }
}

fn seconds(wait: u64) -> Duration {
    Duration::from_secs(wait.clamp(1, TIMEOUT_SECS_MAX))
}

/// The query that waits until a table is ready.
fn ready(table: &TableName, readiness: Readiness) -> Value {
    let options = Map::from_iter([("wait_for".to_owned(), word(readiness))]);
    call_with(TermKind::Wait, vec![table.term()], options)
}

/// The answer to a change of a table that was made, by whether that is done, which is waited for if it is to be. Whatever goes wrong
/// meanwhile, the change was accepted.
fn wait_until_ready(
    client: &Client,
    table: &TableName,
    wait: Option<u64>,
    answer: impl Fn(bool) -> String,
) -> Result<String, Failure> {
    let Some(wait) = wait else { return Ok(answer(false)) };
    match client.value_within(&ready(table, Readiness::AllReplicasReady), seconds(wait)) {
        Ok(_) => Ok(answer(true)),
        Err(failure) => {
            let (table, text) = (table.to_string(), answer(false));
            Err(Failure::Underway { table, text, failure: Box::new(failure) })
        }
    }
}

/// What a query gives that waits for something; `what` has not come to be when it takes too long.
pub(super) fn value_in_time(
    client: &Client,
    term: &Value,
    limit: Duration,
    what: impl FnOnce() -> String,
) -> Result<Value, Failure> {
    client.value_within(term, limit).map_err(|failure| match failure {
        Failure::Late { limit, .. } => client.unfinished(what(), limit),
        other => other,
    })
}

/// A new name by a document of configuration.
pub(super) fn rename(config: Value, new_name: &str) -> Value {
    call(TermKind::Update, [config, json!({ "name": new_name })])
}

fn create(verb: &TableVerb, table: &TableName) -> Value {
    let TableVerb::Create { shards, replicas, primary_key, durability, compression, .. } = verb else {
        unreachable!("called for `create` alone")
    };
    let mut options = Map::new();
    let chosen = [
        ("shards", shards.map(Value::from)),
        ("primary_key", primary_key.as_deref().map(Value::from)),
        ("durability", durability.map(word)),
        ("compression", compression.map(word)),
    ];
    options.extend(chosen.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    replicas.add_to(&mut options);
    call_with(TermKind::TableCreate, vec![database(&table.database), table.table.as_str().into()], options)
}

fn reconfigure(verb: &TableVerb, table: &TableName) -> Value {
    let TableVerb::Reconfigure { shards, replicas, dry_run, emergency_repair, .. } = verb else {
        unreachable!("called for `reconfigure` alone")
    };
    let mut options = Map::from_iter([("dry_run".to_owned(), Value::Bool(*dry_run))]);
    if let Some(shards) = shards {
        options.insert("shards".to_owned(), json!(shards));
    }
    if let Some(mode) = emergency_repair {
        options.insert("emergency_repair".to_owned(), word(*mode));
    }
    replicas.add_to(&mut options);
    call_with(TermKind::Reconfigure, vec![table.term()], options)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(subcommand)]
        verb: TableVerb,
    }

    fn parse(line: &str) -> Result<TableVerb, clap::Error> {
        Line::try_parse_from(std::iter::once("table").chain(line.split_whitespace())).map(|line| line.verb)
    }

    fn name(text: &str) -> TableName {
        text.parse().unwrap()
    }

    #[test]
    fn a_table_is_made_as_it_was_asked_for() {
        let check = |line: &str, expected: Value| {
            let verb = parse(line).unwrap();
            let TableVerb::Create { table, .. } = &verb else { panic!("{line}") };
            assert_eq!(create(&verb, table), expected, "{line}");
        };
        check("create t", json!([60, [[14, ["test"]], "t"]]));
        check(
            "create d.t --shards 2 --replicas 3 --primary-key k --durability soft --compression zstd",
            json!([60, [[14, ["d"]], "t"], {
                "shards": 2, "replicas": 3, "primary_key": "k", "durability": "soft", "compression": "zstd",
            }]),
        );
        check(
            "create t --replicas east=2,west=1 --primary-tag east --nonvoting-tags west,far",
            json!([60, [[14, ["test"]], "t"], {
                "replicas": {"east": 2, "west": 1},
                "primary_replica_tag": "east",
                "nonvoting_replica_tags": [2, ["west", "far"]],
            }]),
        );
    }

    #[test]
    fn a_table_is_reconfigured_or_repaired() {
        let term = |line: &str| reconfigure(&parse(line).unwrap(), &name("t"));
        assert_eq!(
            term("reconfigure t --shards 1 --replicas 2 --dry-run"),
            json!([176, [name("t").term()], {"shards": 1, "replicas": 2, "dry_run": true}])
        );
        assert_eq!(
            term("reconfigure t --emergency-repair unsafe-rollback-or-erase"),
            json!([176, [name("t").term()], {"dry_run": false, "emergency_repair": "unsafe_rollback_or_erase"}])
        );
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        for line in [
            "create",
            "create a.b.c",
            "create t --replicas east",
            "create t --replicas east=1,east=2",
            "create t --primary-tag east",
            "create t --durability firm",
            "reconfigure t",
            "reconfigure t --shards 1",
            "reconfigure t --shards 1 --replicas 1 --emergency-repair unsafe-rollback",
            "wait t --for ever",
            "reconfigure t --shards 1 --replicas 1 --dry-run --wait 5",
            "rebalance t --wait",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
