//! Requests to shards of other nodes.
//!
//! A request is carried out at most once: it names the life of the receiver that it is meant for, and has a number that the
//! receiver takes once. So a request that is delayed, or delivered twice, does nothing; and one that was certainly not carried
//! out ([`PeerError::is_harmless`]) may be made again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use photondb_proto::NodeId;
use photondb_proto::v1::shard::request::Ask;
use photondb_proto::v1::shard::{Answer, Request};
use photondb_runtime::peers::{Exchange, Lane, Peer, PeerError, Peers, Service};
use photondb_storage::fault::buggify;
use prost::Message;
use rustc_hash::FxHashMap;

pub(crate) use photondb_proto::v1::shard::answer::Told;

use crate::limits::BOOT_ATTEMPTS_MAX;
use crate::message::{self, MESSAGE_VERSION};
use crate::routes::Route;

/// Sends requests, and counts them.
pub(crate) struct Caller {
    peers: Arc<dyn Peers>,
    boot: u64,
    others: Mutex<FxHashMap<NodeId, Arc<Other>>>,
}

/// Another node.
#[derive(Default)]
struct Other {
    /// The life of it that was last heard of. Zero: none.
    boot: AtomicU64,
    /// The number of the last request that was sent to it.
    serial: AtomicU64,
}

impl Caller {
    pub fn new(peers: Arc<dyn Peers>, boot: u64) -> Caller {
        Caller { peers, boot, others: Mutex::default() }
    }

    fn other(&self, node: NodeId) -> Arc<Other> {
        self.others.lock().entry(node).or_default().clone()
    }

    /// Asks `node` for something, and waits for at most `time`.
    pub async fn ask(&self, node: NodeId, route: &Route, ask: &Ask, time: Duration) -> Result<Told, PeerError> {
        let other = self.other(node);
        for _ in 0..BOOT_ATTEMPTS_MAX {
            let body = self.request(&other, route, ask, time);
            let answer = self.peers.request(Peer(node.0), Service::Shards, Lane::Query, body, time).await?;
            let lost = |what: &str| PeerError::Lost(format!("an answer that {what}"));
            let answer = Answer::decode(answer).map_err(|error| lost(&format!("cannot be read: {error}")))?;
            match answer.told {
                Some(Told::OtherBoot(_)) => {
                    photondb_storage::probe!("request meant for an earlier life of its receiver");
                    other.is_in(answer.boot);
                }
                Some(Told::Repeated(_)) => return Err(lost("says that it was given before")),
                Some(told) => return Ok(told),
                None => return Err(lost("says nothing")),
            }
        }
        Err(PeerError::Refused("each time it was another life of the node".to_owned()))
    }

    /// Opens an exchange with `node` that begins with `ask`.
    pub async fn exchange(
        &self,
        node: NodeId,
        route: &Route,
        ask: &Ask,
        time: Duration,
    ) -> Result<Exchange, PeerError> {
        let other = self.other(node);
        let first = self.request(&other, route, ask, time);
        self.peers.exchange(Peer(node.0), Service::Shards, Lane::Query, first).await
    }

    /// `node` is in this life, as it says itself.
    pub fn is_in(&self, node: NodeId, boot: u64) {
        self.other(node).is_in(boot);
    }

    fn request(&self, other: &Other, route: &Route, ask: &Ask, time: Duration) -> Bytes {
        let request = Request {
            version: MESSAGE_VERSION,
            sender_boot: self.boot,
            receiver_boot: if buggify!("replica/life-forgotten") { 0 } else { other.boot.load(Ordering::Relaxed) },
            serial: other.serial.fetch_add(1, Ordering::Relaxed) + 1,
            time_ms: u64::try_from(time.as_millis()).unwrap_or(u64::MAX),
            table: Bytes::copy_from_slice(&route.table.0.to_be_bytes()),
            shard: route.id.0,
            range: Some(message::range(&route.range)),
            epoch: route.epoch.0,
            ask: Some(ask.clone()),
        };
        Bytes::from(request.encode_to_vec())
    }
}

impl Other {
    fn is_in(&self, boot: u64) {
        self.boot.fetch_max(boot, Ordering::Relaxed);
    }
}
