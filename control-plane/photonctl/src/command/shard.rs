//! `photonctl shard`: key ranges, their replicas, and who leads them.

mod split;

use std::time::{Duration, Instant};

use clap::Subcommand;
use photondb_proto::convert::ConvertError;
use photondb_proto::v1::{self, MemberRole};
use photondb_proto::{KeyRange, ShardId};
use photondb_reql::key::PrimaryKey;
use serde_json::{Value, json};

use super::table::list::hex;
use crate::client::Client;
use crate::failure::Failure;
use crate::limits::{POLL_PERIOD, TIMEOUT_SECS_MAX};
use crate::output::{Columns, Format, printable};

#[derive(Debug, Subcommand)]
pub enum ShardVerb {
    /// A line for each shard: its keys, who leads it, and where its replicas are.
    List,
    /// Has a node lead a shard from now on, as long as it is there. It must have a voting replica of it.
    TransferLeader {
        /// The shard's number, as `shard list` shows it.
        shard: u64,
        /// The name or id of the node.
        node: String,
        /// How long to wait until it leads, in seconds.
        #[arg(long, value_name = "SECONDS", default_value_t = 60)]
        wait: u64,
    },
    /// Moves one replica of a shard from a node to another.
    Move {
        /// The shard's number, as `shard list` shows it.
        shard: u64,
        /// The name or id of the node that has the replica.
        from: String,
        /// The name or id of the node that is to have it.
        to: String,
        /// How long to wait until it is there, in seconds.
        #[arg(long, value_name = "SECONDS", default_value_t = 600)]
        wait: u64,
    },
    /// Cuts a shard in two, on the nodes where it is, while it is read and written.
    Split {
        /// The shard's number, as `shard list` shows it.
        shard: u64,
        /// The first key of the new shard, as JSON. Without it, each gets half of the documents.
        #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
        at: Option<String>,
        /// How long to wait until the new shard is led, in seconds.
        #[arg(long, value_name = "SECONDS", default_value_t = 600)]
        wait: u64,
    },
    /// Joins a shard to its left neighbour, which goes on with the keys of both, while they are read and written. It must not be the first
    /// one of its table. Its replicas go where the neighbour's are.
    Merge {
        /// The shard's number, as `shard list` shows it.
        shard: u64,
        /// How long to wait until it is done, in seconds.
        #[arg(long, value_name = "SECONDS", default_value_t = 600)]
        wait: u64,
    },
}

pub fn run(verb: &ShardVerb, client: &Client, format: Format) -> Result<String, Failure> {
    let seconds = |seconds: &u64| Duration::from_secs((*seconds).min(TIMEOUT_SECS_MAX));
    match verb {
        ShardVerb::List => list(&client.list_shards()?, format).map_err(|source| client.malformed(source)),
        ShardVerb::TransferLeader { shard, node, wait } => {
            let id = client.set_shard_leader(ShardId(*shard), node)?;
            let status = wait_until(client, *shard, seconds(wait), |status| match status.leader() {
                Some(member) if member.node_id == id => Ok(()),
                Some(member) => Err(format!("server `{}` still leads shard {shard}", member.node)),
                None => Err(format!("nobody is known to lead shard {shard}")),
            })?;
            done(client, &status, format!("Server `{}` leads shard {shard}\n", name_on(&status, &id)), format)
        }
        ShardVerb::Move { shard, from, to, wait } => {
            let (from, to) = client.move_replica(ShardId(*shard), from, to)?;
            let status = wait_until(client, *shard, seconds(wait), |status| moved(status, &from, &to))?;
            done(
                client,
                &status,
                format!("Shard {shard} has a replica on server `{}` instead\n", name_on(&status, &to)),
                format,
            )
        }
        ShardVerb::Split { shard, at, wait } => split(client, *shard, at.as_deref(), seconds(wait), format),
        ShardVerb::Merge { shard, wait } => merge(client, *shard, seconds(wait), format),
    }
}

fn merge(client: &Client, shard: u64, wait: Duration, format: Format) -> Result<String, Failure> {
    let keys = found(client, shard).and_then(|status| range(&status).map_err(|source| client.malformed(source)));
    let into = client.merge_shard(ShardId(shard))?.0;
    wait_for(client, wait, |shards| is_merged(shards, shard, into))?;
    // The neighbour may have been joined to another one meanwhile, and whoever asks again no longer knows where the keys begin.
    let shards = client.list_shards()?.shards;
    let holds = |status: &&v1::ShardStatus| match (&keys, range(status)) {
        (Ok(keys), Ok(range)) => range.contains(keys.start()),
        _ => status.shard_id == into,
    };
    let gone = || client.absent(format!("shard {shard} is joined, and shard {into} is gone (photonctl shard list)"));
    let status = shards.iter().find(holds).ok_or_else(gone)?;
    done(client, status, format!("Shard {} has the keys of shard {shard}\n", status.shard_id), format)
}

/// Whether the shard has no keys any more. Otherwise what is left to do.
fn is_merged(shards: &[v1::ShardStatus], shard: u64, into: u64) -> Result<(), String> {
    match of(shards, shard) {
        Some(_) => Err(format!("shard {shard} has not been joined to shard {into} yet")),
        None => Ok(()),
    }
}

fn split(client: &Client, shard: u64, at: Option<&str>, wait: Duration, format: Format) -> Result<String, Failure> {
    let at = match at {
        Some(at) => split::key_of(at).map_err(Failure::Key)?,
        None => split::middle(&found(client, shard)?, client, wait)?,
    };
    let key = key(&at);
    // Whoever gets no answer asks for the same again.
    eprintln!("photonctl: shard {shard} is cut at {key}; to ask again, add --at '{key}'");
    let new = client.split_shard(ShardId(shard), at)?.0;
    wait_for(client, wait, |shards| match of(shards, new) {
        Some(status) if status.leader().is_some() => Ok(()),
        Some(_) => Err(format!("nobody is known to lead the new shard {new} yet")),
        None => Err(format!("shard {shard} has not been cut yet")),
    })?;
    let said = format!("Shard {shard} ends at {key} now, where the new shard {new} begins\n");
    done(client, &found(client, new)?, said, format)
}

/// Whether the one has left, and the other is there and filled. Otherwise what is left to do.
fn moved(status: &v1::ShardStatus, from: &str, to: &str) -> Result<(), String> {
    let on = |node: &str| status.members.iter().find(|member| member.node_id == node);
    match (on(to), on(from)) {
        (Some(new), _) if new.role() == MemberRole::Joining => {
            Err(format!("the replica on server `{}` is being filled", new.node))
        }
        (Some(_), Some(old)) => Err(format!("the replica on server `{}` has not left yet", old.node)),
        (Some(_), None) => Ok(()),
        (None, _) => Err("the new replica has not begun yet".to_owned()),
    }
}

/// Looks at the shard until `is_done`, which else says what is left.
fn wait_until(
    client: &Client,
    shard: u64,
    wait: Duration,
    is_done: impl Fn(&v1::ShardStatus) -> Result<(), String>,
) -> Result<v1::ShardStatus, Failure> {
    // That it is gone is an end, too.
    wait_for(client, wait, |shards| of(shards, shard).map_or(Ok(()), &is_done))?;
    let gone = || client.absent(format!("shard {shard} is gone (photonctl shard list)"));
    of(&client.list_shards()?.shards, shard).cloned().ok_or_else(gone)
}

/// Looks at all shards until `is_done`, which else says what is left.
fn wait_for(
    client: &Client,
    wait: Duration,
    is_done: impl Fn(&[v1::ShardStatus]) -> Result<(), String>,
) -> Result<(), Failure> {
    let began = Instant::now();
    loop {
        match is_done(&client.list_shards_uncounted()?.shards) {
            Ok(()) => return Ok(()),
            Err(left) if began.elapsed() >= wait => return Err(client.unfinished(left, wait)),
            Err(_) => std::thread::sleep(POLL_PERIOD),
        }
    }
}

fn of(shards: &[v1::ShardStatus], shard: u64) -> Option<&v1::ShardStatus> {
    shards.iter().find(|status| status.shard_id == shard)
}

fn found(client: &Client, shard: u64) -> Result<v1::ShardStatus, Failure> {
    let shards = client.list_shards()?.shards;
    let absent = || client.absent(format!("there is no shard {shard} (photonctl shard list)"));
    of(&shards, shard).cloned().ok_or_else(absent)
}

fn done(client: &Client, status: &v1::ShardStatus, said: String, format: Format) -> Result<String, Failure> {
    Ok(format.write(&shard_json(status).map_err(|source| client.malformed(source))?, || said))
}

fn name_on<'a>(status: &'a v1::ShardStatus, node: &'a str) -> &'a str {
    status.members.iter().find(|member| member.node_id == node).map_or(node, |member| &member.node)
}

/// What is not well with it.
pub fn problem(status: &v1::ShardStatus) -> Option<String> {
    let name =
        || format!("shard {} of table `{}.{}`", status.shard_id, printable(&status.database), printable(&status.table));
    if status.leader().is_none() {
        return Some(format!("nobody is known to lead {}", name()));
    }
    let failed = status.members.iter().filter(|member| member.role() == MemberRole::Failed).count();
    (failed > 0).then(|| format!("{} has {failed} failed replicas that are not replaced yet", name()))
}

fn list(list: &v1::ListShardsResponse, format: Format) -> Result<String, ConvertError> {
    if let Some(write) = format.writer() {
        let shards = list.shards.iter().map(shard_json).collect::<Result<Vec<_>, _>>()?;
        return Ok(write(&Value::from(shards)));
    }
    let mut columns = Columns::new(["SHARD", "DATABASE", "TABLE", "KEYS", "LEADER", "REPLICAS", "DOCUMENTS"]);
    for status in &list.shards {
        let member = |member: &v1::MemberStatus| match member.role() {
            MemberRole::Voter => member.node.clone(),
            role => format!("{} ({})", member.node, role.word()),
        };
        columns.row([
            status.shard_id.to_string(),
            printable(&status.database),
            printable(&status.table),
            keys(&range(status)?),
            status.leader().map(|member| member.node.clone()).unwrap_or_default(),
            status.members.iter().map(member).collect::<Vec<_>>().join(", "),
            status.documents.map(|count| count.to_string()).unwrap_or_default(),
        ]);
    }
    Ok(columns.finish())
}

fn range(status: &v1::ShardStatus) -> Result<KeyRange, ConvertError> {
    status.range.clone().ok_or(ConvertError::Missing { field: "range" })?.try_into()
}

/// From where to before where, as people read it.
fn keys(range: &KeyRange) -> String {
    let start = if range.start().is_empty() { "min".to_owned() } else { key(range.start()) };
    let end = range.end().map_or("max".to_owned(), key);
    format!("{start} .. {end}")
}

/// The value of an encoded key; where the bytes stand between two keys, themselves.
fn key(bytes: &[u8]) -> String {
    let mut text = Vec::new();
    let datum = PrimaryKey::from_encoded(bytes.to_vec().into()).to_datum().ok();
    match datum.filter(|datum| datum.write_json(&mut text).is_ok()).and_then(|_| String::from_utf8(text).ok()) {
        Some(text) => printable(&text),
        None => format!("0x{}", hex(bytes)),
    }
}

fn shard_json(status: &v1::ShardStatus) -> Result<Value, ConvertError> {
    let range = range(status)?;
    let member = |member: &v1::MemberStatus| {
        json!({
            "id": member.member_id,
            "node_id": member.node_id,
            "node": member.node,
            "role": member.role().word(),
            "leads": member.report.map(|report| report.leads),
            "ready": member.report.map(|report| report.ready),
            "applied": member.report.map(|report| report.applied),
        })
    };
    Ok(json!({
        "id": status.shard_id,
        "database": status.database,
        "table": status.table,
        "table_id": status.table_id,
        "range": { "start": hex(range.start()), "end": range.end().map(hex) },
        "keys": keys(&range),
        "leader": status.leader().map(|member| &member.node),
        "preferred_leader_id": status.preferred_node_id,
        "documents": status.documents,
        "members": status.members.iter().map(member).collect::<Vec<_>>(),
    }))
}

#[cfg(test)]
pub mod tests {
    use photondb_proto::NodeId;
    use photondb_reql::Datum;

    use super::*;

    fn member(id: u64, node: (u128, &str), leads: Option<bool>) -> v1::MemberStatus {
        v1::MemberStatus {
            member_id: id,
            node_id: NodeId(node.0).to_string(),
            node: node.1.to_owned(),
            role: MemberRole::Voter.into(),
            report: leads.map(|leads| v1::MemberReport { leads, ready: true, applied: 10 + id }),
        }
    }

    /// Two shards on two nodes; the second one's leader is not known.
    pub fn shards() -> v1::ListShardsResponse {
        let cut = PrimaryKey::bound(&Datum::from("m")).unwrap();
        let shard = |id: u64, range: KeyRange, members| v1::ShardStatus {
            shard_id: id,
            database: "test".to_owned(),
            table: "heroes".to_owned(),
            table_id: NodeId(5).to_string(),
            range: Some(v1::KeyRange::from(&range)),
            documents: (id == 1).then_some(1200),
            preferred_node_id: NodeId(1).to_string(),
            members,
        };
        let (ada, bob) = ((1, "ada"), (2, "bob"));
        let first = vec![member(1, ada, Some(true)), member(2, bob, Some(false))];
        let mut second = vec![member(3, ada, Some(false)), member(4, bob, None)];
        second[1].set_role(MemberRole::Joining);
        let (lower, upper) = (KeyRange::new(Vec::new(), Some(cut.clone())), KeyRange::new(cut, None));
        let shards = vec![shard(1, lower.unwrap(), first), shard(2, upper.unwrap(), second)];
        v1::ListShardsResponse { version: 1, shards }
    }

    #[test]
    fn a_line_for_each_shard() {
        let expected = "\
SHARD  DATABASE  TABLE   KEYS        LEADER  REPLICAS            DOCUMENTS
1      test      heroes  min .. \"m\"  ada     ada, bob            1200
2      test      heroes  \"m\" .. max  -       ada, bob (joining)  -
";
        assert_eq!(list(&shards(), Format::Table).unwrap(), expected);
        let value: Value = serde_json::from_str(&list(&shards(), Format::Json).unwrap()).unwrap();
        assert_eq!((&value[0]["leader"], &value[1]["leader"]), (&json!("ada"), &Value::Null));
        assert_eq!(
            (&value[1]["members"][1]["role"], &value[1]["members"][1]["leads"]),
            (&json!("joining"), &Value::Null)
        );
    }

    #[test]
    fn keys_are_shown_as_values_where_they_are_some() {
        let key_of = |value: Datum| key(&PrimaryKey::bound(&value).unwrap());
        assert_eq!(key_of(Datum::from(12)), "12");
        assert_eq!(key_of(Datum::from("a\u{1b}b")), "\"a\\u001Bb\"");
        assert_eq!(key(&[0x38, b'a']), "0x3861");
        assert_eq!(keys(&KeyRange::all()), "min .. max");
    }

    #[test]
    fn a_replica_has_moved_when_the_old_one_has_left_and_the_new_one_is_filled() {
        let (ada, bob, cleo) = (NodeId(1).to_string(), NodeId(2).to_string(), NodeId(3).to_string());
        let mut status = shards().shards.remove(1);
        assert!(moved(&status, &ada, &cleo).unwrap_err().contains("not begun"));
        assert!(moved(&status, &ada, &bob).unwrap_err().contains("being filled"));
        status.members[1].set_role(MemberRole::Voter);
        assert!(moved(&status, &ada, &bob).unwrap_err().contains("not left"));
        status.members.remove(0);
        assert_eq!(moved(&status, &ada, &bob), Ok(()));
    }

    #[test]
    fn a_shard_is_merged_when_it_is_listed_no_more() {
        let mut shards = shards().shards;
        assert!(is_merged(&shards, 2, 1).unwrap_err().contains("shard 2 has not been joined to shard 1"));
        shards.remove(1);
        assert_eq!(is_merged(&shards, 2, 1), Ok(()));
    }

    #[test]
    fn a_shard_that_nobody_leads_is_a_problem() {
        let mut shards = shards().shards;
        assert_eq!(problem(&shards[0]), None);
        assert!(problem(&shards[1]).unwrap().contains("nobody is known to lead shard 2 of table `test.heroes`"));
        shards[0].members[1].set_role(MemberRole::Failed);
        assert!(problem(&shards[0]).unwrap().contains("1 failed"));
    }
}
