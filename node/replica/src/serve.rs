//! What this node answers to others about the shards it holds.
//!
//! - F1. A request is carried out at most once: one that is meant for another life of this node, whose number was seen, or that
//!   is older than what is remembered is refused.
//! - F2. What is refused as [`PeerError::Refused`](photondb_runtime::peers::PeerError::Refused), or answered with
//!   `NOT_HERE`, `NOT_LEADING` or `OtherBoot`, was not begun.
//! - F3. Nobody is waited for who does not wait: when the sender's time is over, or its side of an exchange is gone, the work
//!   for it ends.

mod feed;
mod read;
mod window;
mod world;
mod write;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use photondb_proto::v1::shard as wire;
use photondb_proto::v1::shard::answer::Told;
use photondb_proto::v1::shard::request::Ask;
use photondb_proto::{Epoch, KeyRange, NodeId, ShardId};
use photondb_runtime::clock::Clock;
use photondb_runtime::peers::{Exchange, Peer, SendFuture, Serve};
use photondb_runtime::task;
use photondb_storage::fault::buggify;
use prost::Message;
use tokio::sync::oneshot;

use crate::error::ReplicaError;
use crate::limits::{BUGGIFIED_PAUSE, REMOTE_FEEDS_MAX, REQUESTS_UNDER_WAY_MAX, WRITE_TIME_MAX};
use crate::message::{self, MESSAGE_VERSION, failed};
use crate::reconcile::Replicas;
use crate::replica::Replica;
use window::{Verdict, Windows};

/// Answers requests about shards.
pub struct ShardService {
    inner: Arc<Inner>,
}

/// What a service stands on.
pub struct ServiceParts {
    /// How often this node's directory has been opened.
    pub boot: u64,
    /// What runs here.
    pub replicas: Arc<Replicas>,
    /// The threads that work; at least one.
    pub workers: Vec<task::Handle>,
    /// For fairness.
    pub clock: Arc<dyn Clock>,
}

struct Inner {
    boot: u64,
    replicas: Arc<Replicas>,
    workers: Vec<task::Handle>,
    next_worker: AtomicUsize,
    clock: Arc<dyn Clock>,
    windows: Windows,
    requests: Arc<AtomicUsize>,
    came: AtomicU64,
    feeds: Arc<AtomicUsize>,
}

/// A request that is to be carried out.
struct Accepted {
    ask: Ask,
    /// The keys that the sender takes for the shard's.
    range: KeyRange,
    epoch: Epoch,
    replica: Arc<Replica>,
    time: Duration,
}

/// Why a request is not carried out.
enum NotAccepted {
    /// It makes no sense here.
    Refused(String),
    /// The sender is told this.
    Told(Told),
}

impl ShardService {
    /// A service that has seen no request yet.
    pub fn new(parts: ServiceParts) -> ShardService {
        let ServiceParts { boot, replicas, workers, clock } = parts;
        assert!(!workers.is_empty(), "somebody must do the work");
        let inner = Inner {
            boot,
            replicas,
            workers,
            next_worker: AtomicUsize::new(0),
            clock,
            windows: Windows::default(),
            requests: Arc::default(),
            came: AtomicU64::default(),
            feeds: Arc::default(),
        };
        ShardService { inner: Arc::new(inner) }
    }

    /// How many requests have come so far, if none of them is being carried out at the moment. Feeds do not count.
    pub fn requests_if_idle(&self) -> Option<u64> {
        let is_idle = self.inner.requests.load(Ordering::Acquire) == 0;
        is_idle.then(|| self.inner.came.load(Ordering::Acquire))
    }
}

impl Serve for ShardService {
    fn request(&self, from: Peer, body: Bytes) -> SendFuture<'static, Result<Bytes, String>> {
        let inner = self.inner.clone();
        Box::pin(async move {
            let under_way = Slot::take(&inner.requests, REQUESTS_UNDER_WAY_MAX)
                .ok_or_else(|| "too many requests are being carried out".to_owned())?;
            inner.came.fetch_add(1, Ordering::Release);
            match inner.accept(NodeId(from.0), body) {
                Ok(Accepted { ask: Ask::Subscribe(_), .. }) => Err("a subscription is an exchange".to_owned()),
                Ok(accepted) => {
                    let told = inner.carry_out(accepted).await;
                    drop(under_way);
                    Ok(inner.answer(told))
                }
                Err(NotAccepted::Told(told)) => Ok(inner.answer(told)),
                Err(NotAccepted::Refused(reason)) => Err(reason),
            }
        })
    }

    fn exchange(&self, from: Peer, first: Bytes, exchange: Exchange) -> SendFuture<'static, ()> {
        let inner = self.inner.clone();
        Box::pin(async move {
            let under_way = Slot::take(&inner.feeds, REMOTE_FEEDS_MAX);
            let refusal = match (inner.accept(NodeId(from.0), first), &under_way) {
                (Ok(Accepted { ask: Ask::Subscribe(subscribe), range, epoch, replica, .. }), Some(_)) => {
                    let keys = (range, epoch);
                    let task = inner.worker().spawn(feed::serve(replica, keys, subscribe, exchange, inner.boot));
                    return EndsWith(task).wait().await;
                }
                (Ok(_), _) => wire::feed_message::Message::Ended(wire::Failed {
                    reason: wire::failed::Reason::Other.into(),
                    text: "too many subscriptions, or none was asked for".to_owned(),
                    ..wire::Failed::default()
                }),
                (Err(NotAccepted::Told(Told::OtherBoot(other))), _) => wire::feed_message::Message::OtherBoot(other),
                (Err(NotAccepted::Told(Told::Failed(failed))), _) => wire::feed_message::Message::Ended(failed),
                // One that was delivered twice: the other delivery is served.
                (Err(NotAccepted::Told(_) | NotAccepted::Refused(_)), _) => return,
            };
            let message = wire::FeedMessage { message: Some(refusal), boot: inner.boot };
            // Whoever is gone need not be told.
            let _ = exchange.send.send(Bytes::from(message.encode_to_vec())).await;
        })
    }
}

impl Inner {
    fn accept(&self, from: NodeId, body: Bytes) -> Result<Accepted, NotAccepted> {
        let refused = |reason: String| NotAccepted::Refused(reason);
        let request = wire::Request::decode(body).map_err(|error| refused(format!("cannot be read: {error}")))?;
        if request.version != MESSAGE_VERSION {
            return Err(refused(format!("messages of version {}, not {MESSAGE_VERSION}", request.version)));
        }
        if request.receiver_boot != self.boot {
            return Err(NotAccepted::Told(Told::OtherBoot(wire::OtherBoot {})));
        }
        match self.windows.take(from, request.sender_boot, request.serial) {
            Verdict::New => {}
            Verdict::Repeated => {
                photondb_storage::probe!("forwarded request refused as a duplicate");
                return Err(NotAccepted::Told(Told::Repeated(wire::Repeated {})));
            }
            Verdict::OldSender => return Err(refused("sent by an earlier life of its sender".to_owned())),
            Verdict::TooManySenders => return Err(refused("too many nodes ask".to_owned())),
        }
        let ask = request.ask.ok_or_else(|| refused("asks for nothing that is known here".to_owned()))?;
        let table = message::table(&request.table).map_err(|error| refused(error.to_string()))?;
        let shard = ShardId(request.shard);
        let replicas = self.replicas.table(table);
        let replica = replicas.and_then(|table| table.shards().iter().find(|replica| replica.id == shard).cloned());
        let not_here = || wire::Failed { reason: wire::failed::Reason::NotHere.into(), ..wire::Failed::default() };
        photondb_storage::probe!("request for a shard that is not here", replica.is_none());
        let replica = replica.filter(|_| !buggify!("replica/request-refused"));
        let replica = replica.ok_or_else(|| NotAccepted::Told(Told::Failed(not_here())))?;
        let time = Duration::from_millis(request.time_ms).min(WRITE_TIME_MAX);
        let range = request.range.ok_or_else(|| refused("names no range of keys".to_owned()))?;
        let range = message::read_range(&range).map_err(|error| refused(error.to_string()))?;
        Ok(Accepted { ask, range, epoch: Epoch(request.epoch), replica, time })
    }

    /// On a fiber of a worker; it is unwound when nobody waits any more.
    async fn carry_out(self: &Arc<Self>, accepted: Accepted) -> Told {
        let (mut send, receive) = oneshot::channel();
        let is_write = matches!(accepted.ask, Ask::Write(_));
        let inner = self.clone();
        self.worker().spawn_local(move || async move {
            let Accepted { ask, range, epoch, replica, time } = accepted;
            if buggify!("replica/request-begun-late") {
                task::sleep(BUGGIFIED_PAUSE).await;
            }
            let work = async {
                match ask {
                    Ask::Write(write) => write::serve(replica, write, inner.clock.clone()).await,
                    ask => read::serve(replica, &range, epoch, ask).await,
                }
            };
            let told = tokio::select! {
                told = task::timeout(time, work) => told,
                () = send.closed() => return,
            };
            // Without an answer the sender is told below that there is none.
            if let Ok(told) = told {
                let _ = send.send(told);
            }
        });
        let lost = || {
            photondb_storage::probe!("forwarded request not finished in its time");
            let text = "the request was not finished in its time".to_owned();
            // Another member may be quicker.
            let error = if is_write { ReplicaError::Unknown(text) } else { ReplicaError::NotLeading };
            Told::Failed(failed(error, None))
        };
        receive.await.unwrap_or_else(|_| lost())
    }

    fn answer(&self, told: Told) -> Bytes {
        Bytes::from(wire::Answer { boot: self.boot, told: Some(told) }.encode_to_vec())
    }

    fn worker(&self) -> &task::Handle {
        let next = self.next_worker.fetch_add(1, Ordering::Relaxed);
        &self.workers[next % self.workers.len()]
    }
}

/// One of so many places. Dropping it gives it back.
struct Slot(Arc<AtomicUsize>);

impl Slot {
    fn take(taken: &Arc<AtomicUsize>, max: usize) -> Option<Slot> {
        let more = |count: usize| (count < max).then_some(count + 1);
        let took = taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        took.ok().map(|_| Slot(taken.clone()))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A task that ends when nobody waits for it.
struct EndsWith(task::JoinHandle<()>);

impl EndsWith {
    async fn wait(mut self) {
        // A task that panicked or was ended with its thread has ended.
        let _ = (&mut self.0).await;
    }
}

impl Drop for EndsWith {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Who may lead instead of `replica`, beside what happened.
fn failed_at(replica: &Replica, error: ReplicaError) -> wire::Failed {
    failed(error, replica.leader())
}
