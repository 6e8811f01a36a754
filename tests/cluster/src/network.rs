//! The network between the nodes of a cluster, which can be made bad: a proxy before each node.
//!
//! Others reach a node at the port of its proxy (`--canonical-address`). Who connects there is told by the process that has the
//! other end of the connection, so that there is a link for every ordered pair of nodes, and each has a weather of its own. What
//! clients and `photonctl` say goes past the proxies.

mod link;
mod process;
mod weather;

use std::net::TcpListener as Bound;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use photondb_history::random::Random;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};

use process::Processes;
pub use weather::Weather;

/// How long the process behind a connection is looked for: it may have been started a moment ago.
const LOOK_TIME_MAX: Duration = Duration::from_secs(1);

/// The links between so many nodes. Dropping it closes all connections.
pub struct Network {
    shared: Arc<Shared>,
    ports: Vec<u16>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    /// By the node that sends, and the node that it sends to.
    weather: Vec<Vec<watch::Sender<Weather>>>,
    /// Where each node listens itself.
    behind: Vec<u16>,
    processes: Processes,
}

impl Network {
    /// Sound links between `nodes` nodes, whose own cluster ports are `behind`. What is left to chance is drawn from `seed`.
    pub fn new(behind: &[u16], seed: u64) -> Network {
        let nodes = behind.len();
        let sound = || (0..nodes).map(|_| watch::Sender::new(Weather::Clear)).collect();
        let shared = Arc::new(Shared {
            weather: (0..nodes).map(|_| sound()).collect(),
            behind: behind.to_vec(),
            processes: Processes::new(nodes),
        });
        let bound: Vec<Bound> = (0..nodes).map(|_| Bound::bind("127.0.0.1:0").expect("a port is free")).collect();
        let port = |bound: &Bound| bound.local_addr().expect("a bound listener has an address").port();
        let ports = bound.iter().map(port).collect();
        let (end, ended) = oneshot::channel();
        let for_thread = shared.clone();
        let thread = std::thread::spawn(move || run(bound, &for_thread, Random::new(seed), ended));
        Network { shared, ports, end: Some(end), thread: Some(thread) }
    }

    /// Where others reach a node.
    pub fn port(&self, node: usize) -> u16 {
        self.ports[node]
    }

    /// A node has been started as this process.
    pub fn is_process(&self, node: usize, process: u32) {
        self.shared.processes.set(node, process);
    }

    /// What `from` sends to `to` goes through this from now on.
    pub fn set(&self, from: usize, to: usize, weather: Weather) {
        self.shared.weather[from][to].send_replace(weather);
    }

    /// The same in both directions.
    pub fn set_between(&self, one: usize, other: usize, weather: Weather) {
        self.set(one, other, weather);
        self.set(other, one, weather);
    }

    /// The same between each of some nodes and each of some others.
    pub fn set_across(&self, some: &[usize], others: &[usize], weather: Weather) {
        for one in some {
            for other in others {
                self.set_between(*one, *other, weather);
            }
        }
    }

    /// The same between all.
    pub fn set_all(&self, weather: Weather) {
        for link in self.shared.weather.iter().flatten() {
            link.send_replace(weather);
        }
    }

    /// Every link is sound again.
    pub fn heal(&self) {
        self.set_all(Weather::Clear);
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.end = None;
        if let Some(thread) = self.thread.take() {
            // Its panic is the report; a second one here would hide it.
            drop(thread.join());
        }
    }
}

fn run(bound: Vec<Bound>, shared: &Arc<Shared>, mut random: Random, ended: oneshot::Receiver<()>) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime for the proxies");
    runtime.block_on(async {
        for (to, listener) in bound.into_iter().enumerate() {
            listener.set_nonblocking(true).expect("a listener can be told not to wait");
            let listener = TcpListener::from_std(listener).expect("the runtime takes a listener");
            tokio::spawn(accept(listener, to, shared.clone(), random.fork()));
        }
        // The sender says nothing; it is dropped.
        drop(ended.await);
    });
}

async fn accept(listener: TcpListener, to: usize, shared: Arc<Shared>, mut random: Random) {
    loop {
        // An error concerns a connection that has gone already.
        let Ok((stream, _)) = listener.accept().await else { continue };
        let (shared, random) = (shared.clone(), random.fork());
        tokio::spawn(async move {
            let Some(from) = source(&shared, &stream).await else {
                reset(&stream);
                return;
            };
            let there = shared.weather[from][to].subscribe();
            let back = shared.weather[to][from].subscribe();
            link::serve(stream, shared.behind[to], there, back, random).await;
        });
    }
}

/// The node whose process has the other end.
async fn source(shared: &Shared, stream: &TcpStream) -> Option<usize> {
    let (theirs, ours) = (stream.peer_addr().ok()?, stream.local_addr().ok()?);
    let begun = tokio::time::Instant::now();
    while begun.elapsed() < LOOK_TIME_MAX {
        if let Some(node) = shared.processes.owner(theirs, ours) {
            return Some(node);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    None
}

/// The connection ends by a reset when it is dropped.
fn reset(stream: &TcpStream) {
    // It may have been reset by the other side.
    drop(stream.set_zero_linger());
}
