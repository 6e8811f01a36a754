//! Hosts of madsim, which share one queue of ready tasks: the seed picks the next one. A connection loses nothing: what meets
//! a link that is cut is sent again until it passes. The end of a process is told to whoever is connected to it.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::mem::ManuallyDrop;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use madsim::net::NetSim;
use madsim::plugin;
use madsim::runtime::Runtime;
use madsim::task::NodeId;
use madsim::time::TimeHandle;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use photondb_runtime::network::Net;

use super::{Life, Link, TICK};
use crate::machine::Skew;
use crate::network::SimulatedNet;
use crate::random::Random;

/// gRPC starts tasks of tokio.
pub const CARRIES_GRPC: bool = false;

/// There is one latency for all links; messages between nodes have their own ([`crate::peers`]).
pub const SLOWS_LINKS: bool = false;

/// The finest time of a machine, in microseconds.
pub const GRAIN_MICROS: i128 = 1;

/// Stack of the thread that a run has for itself, in bytes.
const STACK_BYTES: usize = 64 << 20;

thread_local! {
    /// The next life of each host, by its number. madsim asks for what may change threads, of which there is one.
    static LIVES: RefCell<BTreeMap<usize, Life>> = const { RefCell::new(BTreeMap::new()) };

    /// Where each host is.
    static HERE: RefCell<BTreeMap<NodeId, IpAddr>> = const { RefCell::new(BTreeMap::new()) };

    /// Between which addresses nothing passes, one way at least.
    static CUT: RefCell<BTreeSet<(IpAddr, IpAddr)>> = const { RefCell::new(BTreeSet::new()) };

    /// Where the last step has left the time.
    static STEPPED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// Runs `work` where nothing of what ran before is left: the standard library's hash tables take their seed from the first one
/// of their thread, and madsim gives it.
pub fn on_fresh_ground<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    // It is made once, and makes hash tables.
    photondb::telemetry::metrics();
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, work);
        let thread = thread.expect("the system has room for one more thread");
        thread.join().unwrap_or_else(|payload| resume_unwind(payload))
    })
}

/// The virtual time, to whoever is inside of it.
pub fn elapsed() -> Option<Duration> {
    TimeHandle::try_current().map(|time| time.elapsed())
}

/// As long as it lives, nothing is other than without it.
pub struct Standing(());

/// Tasks have the virtual time from `std::time` anyway, and outside of them nobody asks for it.
#[must_use]
pub fn standing_at(_now: Duration) -> Standing {
    Standing(())
}

/// A machine's time over all lives of its processes, which timers do not follow: they have true time. Clones are the same.
#[derive(Clone)]
pub struct MachineTime {
    skew: Skew,
    /// How far the wall clock has jumped, in microseconds.
    jumped: Arc<AtomicI64>,
}

impl MachineTime {
    /// The wall clock, and no other, jumps by so many microseconds.
    pub fn jump(&self, micros: i64) {
        self.jumped.fetch_add(micros, Ordering::Relaxed);
    }

    /// How far it has jumped so far.
    pub fn jumped(&self) -> i64 {
        self.jumped.load(Ordering::Relaxed)
    }

    /// The time since the beginning of the run, as the machine counts it.
    pub fn now(&self) -> Duration {
        self.skew.count(elapsed().unwrap_or_else(|| STEPPED.get()))
    }
}

/// What a machine has of what runs it. Clones are the same.
#[derive(Clone)]
pub struct Home {
    net: SimulatedNet,
    time: MachineTime,
}

impl Home {
    /// Of a machine whose connections are `net`'s.
    pub fn new(net: &SimulatedNet, skew: Skew) -> Home {
        Home { net: net.clone(), time: MachineTime { skew, jumped: Arc::default() } }
    }

    /// The network as the machine's processes see it.
    pub fn net(&self) -> Arc<dyn Net> {
        Arc::new(self.net.clone())
    }

    /// The machine's time.
    pub fn time(&self) -> MachineTime {
        self.time.clone()
    }
}

/// A host, and what runs there: a node of madsim.
struct Host {
    number: usize,
    node: NodeId,
    paused: bool,
}

/// The hosts of a world.
pub struct Hosts {
    /// Never dropped: what tasks hold may ask for the time when it goes, and then nobody gives it. The process ends with the run.
    runtime: ManuallyDrop<Runtime>,
    time: TimeHandle,
    hosts: BTreeMap<IpAddr, Host>,
    clients: usize,
    /// Clients that are done.
    done: Rc<Cell<usize>>,
}

impl Hosts {
    /// No host yet. What they send takes so many milliseconds.
    pub fn new(seed: u64, latency_ms: &RangeInclusive<u64>) -> Hosts {
        let mut config = madsim::Config::default();
        let end = Duration::from_millis(*latency_ms.end()) + Duration::from_micros(1);
        config.net.send_latency = Duration::from_millis(*latency_ms.start())..end;
        let runtime = Runtime::with_seed_and_config(seed, config);
        STEPPED.set(Duration::ZERO);
        Hosts {
            time: runtime.block_on(async { TimeHandle::current() }),
            runtime: ManuallyDrop::new(runtime),
            hosts: BTreeMap::new(),
            clients: 0,
            done: Rc::default(),
        }
    }

    /// A machine, whose first process begins. The seed of the world decides everything.
    pub fn add(&mut self, at: IpAddr, _home: &Home, _seed: u64, life: Life) {
        self.add_node(at, life);
    }

    /// A host that runs until `life` is done.
    pub fn add_client(&mut self, at: IpAddr, life: impl Future<Output = ()> + 'static) {
        self.clients += 1;
        let done = self.done.clone();
        let life = async move {
            life.await;
            done.set(done.get() + 1);
        };
        self.add_node(at, Box::pin(life));
    }

    fn add_node(&mut self, at: IpAddr, life: Life) {
        let number = self.hosts.len();
        LIVES.with_borrow_mut(|lives| lives.insert(number, life));
        let next =
            move || LIVES.with_borrow_mut(|lives| lives.remove(&number)).expect("it is put there before it begins");
        let node = self.runtime.create_node().ip(at).name(at.to_string()).init(next).build().id();
        self.hosts.insert(at, Host { number, node, paused: false });
        HERE.with_borrow_mut(|here| here.insert(node, at));
    }

    /// A step of virtual time, in which the seed of the world decides who runs when. Gives whether every client is done.
    /// Errors: something has panicked.
    pub fn step(&mut self, _order: &mut Random) -> Result<bool, String> {
        let passed = catch_unwind(AssertUnwindSafe(|| {
            self.runtime.block_on(async { madsim::time::sleep(TICK).await });
        }));
        STEPPED.set(self.elapsed());
        match passed {
            Ok(()) => Ok(self.done.get() == self.clients),
            Err(payload) => {
                let said = payload.downcast_ref::<String>().map(String::as_str);
                let said = said.or_else(|| payload.downcast_ref::<&str>().copied());
                Err(said.unwrap_or("a panic without a message").to_owned())
            }
        }
    }

    /// The virtual time.
    pub fn elapsed(&self) -> Duration {
        self.time.elapsed()
    }

    /// Another process of a machine begins. The seed of the world decides everything.
    pub fn begin(&mut self, at: IpAddr, _seed: u64, life: Life) {
        let host = self.host(at);
        host.paused = false;
        let (number, node) = (host.number, host.node);
        LIVES.with_borrow_mut(|lives| lives.insert(number, life));
        self.runtime.handle().restart(node);
    }

    /// The process of a machine dies where it stands.
    pub fn end(&mut self, at: IpAddr) {
        // What is put aside would be dropped where nobody tells the time.
        self.wake(at);
        let node = self.host(at).node;
        self.runtime.handle().kill(node);
        // Tasks that were ended go when their turn comes; here they are given it.
        self.runtime.block_on(async {});
    }

    /// From here on time passes, and nothing of the machine's process runs.
    pub fn pause(&mut self, at: IpAddr) {
        let host = self.host(at);
        host.paused = true;
        let node = host.node;
        self.runtime.handle().pause(node);
    }

    /// The process goes on; what it should have done meanwhile is late.
    pub fn wake(&mut self, at: IpAddr) {
        let host = self.host(at);
        let (node, paused) = (host.node, std::mem::take(&mut host.paused));
        if paused {
            self.runtime.handle().resume(node);
        }
    }

    fn host(&mut self, at: IpAddr) -> &mut Host {
        self.hosts.get_mut(&at).expect("the machine was added")
    }

    /// See [`SLOWS_LINKS`].
    pub fn set_latency_max(&self, _one: IpAddr, _other: IpAddr, _latency_max: Duration) {}

    /// The link between the two was `before` and is `wanted` from here on.
    pub fn set_link(&self, one: IpAddr, other: IpAddr, _before: Link, wanted: Link) {
        let is_whole = !(wanted.cut_there || wanted.cut_back || wanted.held);
        for way in [(one, other), (other, one)] {
            CUT.with_borrow_mut(|cut| if is_whole { cut.remove(&way) } else { cut.insert(way) });
        }
        let (one, other) = (self.hosts[&one].node, self.hosts[&other].node);
        self.runtime.block_on(async {
            let net = plugin::simulator::<NetSim>();
            for (from, to, cut) in [(one, other, wanted.cut_there), (other, one, wanted.cut_back)] {
                if cut || wanted.held {
                    net.clog_link(from, to);
                } else {
                    net.unclog_link(from, to);
                }
            }
        });
    }
}

/// Binds an address of the host that runs, as soon as somebody accepts there.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    Ok(TcpListener { address, bound: None })
}

/// Accepts connections.
pub struct TcpListener {
    address: SocketAddr,
    bound: Option<madsim::net::TcpListener>,
}

impl TcpListener {
    /// The address.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }

    /// The next connection.
    pub async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        let bound = match &self.bound {
            Some(bound) => bound,
            None => self.bound.insert(madsim::net::TcpListener::bind(self.address).await?),
        };
        let (stream, peer) = bound.accept().await?;
        Ok((TcpStream(stream), peer))
    }
}

/// A connection that keeps nothing back: what is written is sent.
pub struct TcpStream(madsim::net::TcpStream);

impl TcpStream {
    /// Connects to `address`.
    pub async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
        let here = HERE.with_borrow(|here| here.get(&plugin::node()).copied());
        if here.is_some_and(|here| CUT.with_borrow(|cut| cut.contains(&(here, address.ip())))) {
            // madsim would refuse; but nobody is there to do so.
            return std::future::pending().await;
        }
        Ok(TcpStream(madsim::net::TcpStream::connect(address).await?))
    }
}

impl AsyncRead for TcpStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for TcpStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let taken = Pin::new(&mut self.0).poll_write(cx, bytes);
        match Pin::new(&mut self.0).poll_flush(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => taken,
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
