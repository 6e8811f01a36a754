//! A client that changes how tables lie, again and again, whatever else happens: shards are split, replicas are added, moved and
//! taken away.

use std::time::Duration;

use tokio::time::sleep;

use crate::client::{Client, Failure};
use crate::random::Random;
use crate::term;

/// Shards of one table that it asks for at most.
const SHARDS_MAX: u64 = 6;

/// How long it rests between two changes, in milliseconds.
const REST_MS: std::ops::RangeInclusive<u64> = 20..=1_500;

/// One change of some table, if there is one. Whether it was accepted: it is refused while another one goes on, where shards would
/// have to be joined, and while too many nodes are away.
pub async fn administer(client: &mut Client, random: &mut Random) -> bool {
    let rest: Duration = random.millis(REST_MS);
    sleep(rest).await;
    change(client, random).await.is_ok()
}

async fn change(client: &mut Client, random: &mut Random) -> Result<(), Failure> {
    let listed = client.query(&term::table_list("test")).await?.into_value();
    let names: Vec<&str> = listed.as_array().into_iter().flatten().filter_map(|name| name.as_str()).collect();
    if names.is_empty() {
        return Err(Failure::NotSent("there is no table".to_owned()));
    }
    let (table, nodes) = (term::table(random.pick(&names)), client.nodes() as u64);
    let (shards, replicas) = (random.within(1..=SHARDS_MAX), random.within(1..=nodes.min(5)));
    client.query(&term::reconfigure(table, shards, replicas)).await.map(drop)
}
