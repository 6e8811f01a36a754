//! Messages between simulated nodes, without gRPC: each is lost, late, doubled or overtaken as the run wants it. Cheaper than
//! connections, and worse: a connection loses nothing in its middle and keeps the order.

mod one_way;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use photondb::outside::Neighbours;
use photondb::services::Services;
use photondb_runtime::peers::{Exchange, Lane, Peer, PeerError, Peers, SendFuture, Service};
use photondb_runtime::task::{sleep, spawn, timeout};
use tokio::sync::{mpsc, oneshot};

use crate::cluster::fault::Place;
use crate::random::Random;
use crate::trace::Trace;

/// Messages of an exchange that wait for their reader.
const EXCHANGE_MESSAGES_WAITING: usize = 16;

/// How messages fare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manners {
    /// The shortest way takes so long, in microseconds.
    pub micros_min: u64,
    /// The longest.
    pub micros_max: u64,
    /// One of so many is lost; 0: none.
    pub lost_one_of: u64,
    /// One of so many arrives twice; 0: none.
    pub doubled_one_of: u64,
    /// The second of a doubled one takes so many times as long as the first.
    pub second_after: u32,
    /// One of so many takes a hundred times as long; 0: none.
    pub late_one_of: u64,
}

impl Manners {
    /// Messages that fare as well as those on connections whose packets take so many milliseconds.
    pub fn of_connections(latency_ms: &RangeInclusive<u64>) -> Manners {
        Manners {
            micros_min: latency_ms.start() * 1_000 + 50,
            micros_max: latency_ms.end() * 1_000 + 50,
            lost_one_of: 0,
            doubled_one_of: 0,
            late_one_of: 0,
            second_after: 3,
        }
    }
}

/// Carries all messages of a run. Clones are the same.
#[derive(Clone)]
pub struct Post(Arc<Mutex<Office>>);

struct Office {
    random: Random,
    trace: Trace,
    manners: Manners,
    /// Where each node is, by what it listens on and by who it is.
    addresses: BTreeMap<String, Place>,
    nodes: BTreeMap<Peer, Place>,
    /// The process that runs at each place.
    boxes: BTreeMap<Place, Inbox>,
    /// What passes from the one to the other.
    ways: BTreeMap<(Place, Place), Way>,
    sent: u64,
    lost: u64,
    doubled: u64,
}

#[derive(Clone)]
struct Inbox {
    me: Peer,
    parcels: mpsc::UnboundedSender<Parcel>,
}

/// What passes from one place to another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Way {
    /// Nothing.
    pub cut: bool,
    /// It takes so much longer, in microseconds.
    pub slower_by: u64,
}

/// Something under way: it arrives even when its sender has died meanwhile.
struct Parcel {
    delay: Duration,
    from: Peer,
    service: Service,
    body: Bytes,
    content: Content,
}

enum Content {
    /// `None`: the second of a doubled one, whose answer nobody hears.
    Request(Option<oneshot::Sender<Result<Bytes, String>>>),
    /// Whose first message the body is.
    Exchange(Exchange),
}

impl Parcel {
    async fn deliver(self, services: Arc<Services>) {
        let Parcel { delay, from, service, body, content } = self;
        sleep(delay).await;
        match content {
            Content::Request(answer) => {
                let answered = services.request(from, service, body).await;
                if let Some(answer) = answer {
                    // Whoever asked may have stopped waiting.
                    let _ = answer.send(answered);
                }
            }
            // Otherwise both halves are dropped here, which is how the other side learns of it.
            Content::Exchange(exchange) => {
                if let Ok(serve) = services.get(service) {
                    serve.exchange(from, body, exchange).await;
                }
            }
        }
    }
}

impl Post {
    /// Nobody is known yet.
    pub fn new(random: Random, manners: Manners, trace: Trace) -> Post {
        Post(Arc::new(Mutex::new(Office {
            random,
            trace,
            manners,
            addresses: BTreeMap::new(),
            nodes: BTreeMap::new(),
            boxes: BTreeMap::new(),
            ways: BTreeMap::new(),
            sent: 0,
            lost: 0,
            doubled: 0,
        })))
    }

    /// The place at which `address` is found.
    pub fn put_address(&self, address: String, place: Place) {
        self.0.lock().addresses.insert(address, place);
    }

    /// The way from one place to another is this from here on.
    pub fn set_way(&self, from: Place, to: Place, way: Way) {
        self.0.lock().ways.insert((from, to), way);
    }

    /// No faults of its own from here on.
    pub fn calm(&self) {
        let mut office = self.0.lock();
        office.manners = Manners { lost_one_of: 0, doubled_one_of: 0, late_one_of: 0, ..office.manners };
    }

    /// Messages sent, lost and doubled so far.
    pub fn counts(&self) -> (u64, u64, u64) {
        let office = self.0.lock();
        (office.sent, office.lost, office.doubled)
    }

    /// A process begins at `place`, to say who it is ([`Neighbours::meet`]). What is for an earlier one is lost.
    pub fn letters(&self, place: Place) -> Letters {
        self.0.lock().boxes.remove(&place);
        Letters { post: self.clone(), place }
    }
}

impl Office {
    /// How long a message takes; `None`: it is lost.
    fn delay(&mut self, from: Place, to: Place, body: &[u8]) -> Option<Duration> {
        let delay = self.draw_delay(from, to);
        let text = format_args!("n{} sends {} bytes to n{}, which take {delay:?}", from + 1, body.len(), to + 1);
        self.trace.note(&(from, to, delay, body), text);
        delay
    }

    fn draw_delay(&mut self, from: Place, to: Place) -> Option<Duration> {
        let Manners { micros_min, micros_max, lost_one_of, late_one_of, .. } = self.manners;
        let way = self.ways.get(&(from, to)).copied().unwrap_or_default();
        self.sent += 1;
        let lost = lost_one_of > 0 && self.random.once_in(lost_one_of);
        if way.cut || lost {
            self.lost += 1;
            return None;
        }
        let mut micros = self.random.within(micros_min..=micros_max) + way.slower_by;
        if late_one_of > 0 && self.random.once_in(late_one_of) {
            micros *= 100;
        }
        Some(Duration::from_micros(micros))
    }

    /// How many times as long the second of a message takes, if there is one.
    fn doubled(&mut self) -> Option<u32> {
        let doubled = self.manners.doubled_one_of > 0 && self.random.once_in(self.manners.doubled_one_of);
        self.doubled += u64::from(doubled);
        doubled.then_some(self.manners.second_after)
    }
}

/// The letters of one process.
#[derive(Clone)]
pub struct Letters {
    post: Post,
    place: Place,
}

impl Neighbours for Letters {
    fn meet(&self, me: Peer, services: Arc<Services>) -> Arc<dyn Peers> {
        let (parcels, mut arrived) = mpsc::unbounded_channel::<Parcel>();
        let mut office = self.post.0.lock();
        office.nodes.insert(me, self.place);
        office.boxes.insert(self.place, Inbox { me, parcels });
        drop(office);
        spawn(async move {
            while let Some(parcel) = arrived.recv().await {
                spawn(parcel.deliver(services.clone()));
            }
        });
        Arc::new(self.clone())
    }
}

impl Letters {
    fn me(&self) -> Result<Peer, PeerError> {
        let me = self.post.0.lock().boxes.get(&self.place).map(|inbox| inbox.me);
        me.ok_or_else(|| PeerError::NotSent("this node is starting".to_owned()))
    }

    /// Where `to` is, who takes what comes there, and how long that is under way; no time: it is lost.
    fn way_to(&self, to: Peer, body: &[u8]) -> Result<(Place, Inbox, Option<Duration>), PeerError> {
        let mut office = self.post.0.lock();
        let place = *office.nodes.get(&to).ok_or_else(|| PeerError::NotSent("its address is not known".to_owned()))?;
        let delay = office.delay(self.place, place, body);
        let inbox = office.boxes.get(&place).filter(|inbox| inbox.me == to).cloned();
        Ok((place, inbox.ok_or_else(nobody)?, delay))
    }

    async fn carry(self, to: Peer, service: Service, body: Bytes) -> Result<Bytes, PeerError> {
        let from = self.me()?;
        let (place, inbox, delay) = self.way_to(to, &body)?;
        let Some(delay) = delay else { return std::future::pending().await };
        let (answer, answered) = oneshot::channel();
        let second_after = self.post.0.lock().doubled();
        if let Some(times) = second_after {
            let (body, content) = (body.clone(), Content::Request(None));
            let _ = inbox.parcels.send(Parcel { delay: delay * times, from, service, body, content });
        }
        let content = Content::Request(Some(answer));
        inbox.parcels.send(Parcel { delay, from, service, body, content }).map_err(|_| nobody())?;
        let answered = answered.await;
        let said = match &answered {
            Ok(Ok(answer)) => answer,
            Ok(Err(reason)) => reason.as_bytes(),
            Err(_) => &[],
        };
        let back = self.post.0.lock().delay(place, self.place, said);
        let Some(delay) = back else { return std::future::pending().await };
        sleep(delay).await;
        match answered {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(reason)) => Err(PeerError::Refused(reason)),
            Err(_) => Err(PeerError::Lost("the process has ended".to_owned())),
        }
    }

    async fn converse(self, to: Peer, service: Service, body: Bytes) -> Result<Exchange, PeerError> {
        let from = self.me()?;
        let (place, inbox, delay) = self.way_to(to, &body)?;
        let delay = delay.ok_or_else(|| PeerError::NotSent("nobody answers".to_owned()))?;
        let (send, there) = mpsc::channel(EXCHANGE_MESSAGES_WAITING);
        let (received, receive) = mpsc::channel(EXCHANGE_MESSAGES_WAITING);
        let (answer, back) = mpsc::channel(EXCHANGE_MESSAGES_WAITING);
        let (deliver, delivered) = mpsc::channel(EXCHANGE_MESSAGES_WAITING);
        spawn(self.clone().forward(self.place, place, there, deliver));
        spawn(self.clone().forward(place, self.place, back, received));
        let content = Content::Exchange(Exchange { send: answer, receive: delivered });
        inbox.parcels.send(Parcel { delay, from, service, body, content }).map_err(|_| nobody())?;
        Ok(Exchange { send, receive })
    }
}

fn nobody() -> PeerError {
    PeerError::NotSent("nobody listens there".to_owned())
}

impl Peers for Letters {
    fn find(&self, address: &str, time_max: Duration) -> SendFuture<'static, Result<Peer, PeerError>> {
        let (letters, address) = (self.clone(), address.to_owned());
        let finding = async move {
            let unknown = || PeerError::NotSent(format!("nobody is at {address}"));
            let place = *letters.post.0.lock().addresses.get(&address).ok_or_else(unknown)?;
            for (from, to) in [(letters.place, place), (place, letters.place)] {
                let delay = letters.post.0.lock().delay(from, to, address.as_bytes());
                let Some(delay) = delay else { return std::future::pending().await };
                sleep(delay).await;
            }
            let inbox = letters.post.0.lock().boxes.get(&place).map(|inbox| inbox.me);
            inbox.ok_or_else(unknown)
        };
        Box::pin(async move { timeout(time_max, finding).await.unwrap_or(Err(PeerError::TimedOut(time_max))) })
    }

    fn place(&self, peer: Peer, addresses: Vec<String>) {
        let mut office = self.post.0.lock();
        if let Some(place) = addresses.iter().find_map(|address| office.addresses.get(address).copied()) {
            office.nodes.insert(peer, place);
        }
    }

    fn request(
        &self,
        to: Peer,
        service: Service,
        _lane: Lane,
        body: Bytes,
        time_max: Duration,
    ) -> SendFuture<'static, Result<Bytes, PeerError>> {
        let carrying = self.clone().carry(to, service, body);
        Box::pin(async move { timeout(time_max, carrying).await.unwrap_or(Err(PeerError::TimedOut(time_max))) })
    }

    fn exchange(
        &self,
        to: Peer,
        service: Service,
        _lane: Lane,
        first: Bytes,
    ) -> SendFuture<'static, Result<Exchange, PeerError>> {
        Box::pin(self.clone().converse(to, service, first))
    }
}
