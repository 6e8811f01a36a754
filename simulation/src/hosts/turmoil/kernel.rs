//! What stands between a process and the network of its machine: it takes what comes and carries what goes, also while the
//! process stands still, and ends every connection when the process ends.
//!
//! It runs as the machine's host of turmoil, since turmoil's connections live there and nowhere else.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use parking_lot::Mutex;
use photondb_runtime::network::{ByteStream, Incoming, Listener, LocalFuture, Net};
use photondb_runtime::peers::SendFuture;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, copy_bidirectional, duplex};
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_local;

use crate::network::SimulatedNet;

/// Bytes that wait on their way between a connection and its process, each way.
const BUFFER_BYTES: usize = 64 << 10;

/// The network as the processes of one machine see it. Clones are the same.
#[derive(Clone)]
pub struct Kernel {
    net: SimulatedNet,
    asked: Arc<Mutex<Asked>>,
}

/// What the process that runs now asks for.
#[derive(Default)]
struct Asked {
    calls: Option<mpsc::UnboundedSender<Call>>,
    waiting: Option<mpsc::UnboundedReceiver<Call>>,
}

enum Call {
    Listen(SocketAddr, mpsc::UnboundedSender<Connection>),
    Connect(SocketAddr, oneshot::Sender<io::Result<Connection>>),
}

/// The process's end of a connection.
struct Connection {
    peer: SocketAddr,
    bytes: DuplexStream,
    is_reset: Arc<AtomicBool>,
}

impl Kernel {
    /// Of a machine whose connections are `net`'s.
    pub fn new(net: SimulatedNet) -> Kernel {
        Kernel { net, asked: Arc::default() }
    }

    /// Another process begins; what was for the last one is gone.
    pub fn begin(&self) {
        let (calls, waiting) = mpsc::unbounded_channel();
        *self.asked.lock() = Asked { calls: Some(calls), waiting: Some(waiting) };
    }

    /// Carries for the process that was begun last. As the software of a host.
    pub async fn carry(self) {
        let Some(mut waiting) = self.asked.lock().waiting.take() else { return };
        while let Some(call) = waiting.recv().await {
            match call {
                Call::Listen(address, accepted) => match self.net.listen(address) {
                    Ok(listener) => drop(spawn_local(accept(listener, accepted))),
                    Err(error) => panic!("the ports of a simulated machine are free: {error}"),
                },
                Call::Connect(address, answer) => {
                    let connecting = self.net.connect(address);
                    spawn_local(async move {
                        // Nobody waits any more when the process has given up or ended.
                        let _ = answer.send(connecting.await.map(|stream| take(address, stream)));
                    });
                }
            }
        }
        // The process is gone, and what it had is being ended.
        std::future::pending::<()>().await;
    }

    fn ask(&self, call: Call) -> io::Result<()> {
        let gone = || io::Error::from(io::ErrorKind::NetworkDown);
        self.asked.lock().calls.as_ref().ok_or_else(gone)?.send(call).map_err(|_| gone())
    }
}

async fn accept(mut listener: Box<dyn Listener>, accepted: mpsc::UnboundedSender<Connection>) {
    loop {
        let incoming = tokio::select! {
            biased;
            () = accepted.closed() => return,
            incoming = listener.accept() => incoming,
        };
        let Ok(incoming) = incoming else { continue };
        let peer = incoming.peer();
        if let Ok(stream) = incoming.open()
            && accepted.send(take(peer, stream)).is_err()
        {
            return;
        }
    }
}

/// Carries a connection from here on.
fn take(peer: SocketAddr, mut stream: Box<dyn ByteStream>) -> Connection {
    let (mut ours, bytes) = duplex(BUFFER_BYTES);
    let is_reset = Arc::new(AtomicBool::new(false));
    let reset = is_reset.clone();
    spawn_local(async move {
        let carried = copy_bidirectional(&mut stream, &mut ours).await;
        reset.store(carried.is_err(), Ordering::Release);
    });
    Connection { peer, bytes, is_reset }
}

impl Net for Kernel {
    fn listen(&self, address: SocketAddr) -> io::Result<Box<dyn Listener>> {
        let (accepted, connections) = mpsc::unbounded_channel();
        self.ask(Call::Listen(address, accepted))?;
        Ok(Box::new(Listening { address, connections }))
    }

    fn connect(&self, address: SocketAddr) -> SendFuture<'static, io::Result<Box<dyn ByteStream>>> {
        let (answer, answered) = oneshot::channel();
        let asked = self.ask(Call::Connect(address, answer));
        Box::pin(async move {
            asked?;
            let connection = answered.await.map_err(|_| io::Error::from(io::ErrorKind::NetworkDown))??;
            Ok(Box::new(connection) as Box<dyn ByteStream>)
        })
    }
}

struct Listening {
    address: SocketAddr,
    connections: mpsc::UnboundedReceiver<Connection>,
}

impl Listener for Listening {
    fn local_address(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }

    fn accept(&mut self) -> LocalFuture<'_, io::Result<Box<dyn Incoming>>> {
        Box::pin(async move {
            match self.connections.recv().await {
                Some(connection) => Ok(Box::new(connection) as Box<dyn Incoming>),
                // The machine's network is gone, and with it soon the process.
                None => std::future::pending().await,
            }
        })
    }
}

impl Incoming for Connection {
    fn peer(&self) -> SocketAddr {
        self.peer
    }

    fn open(self: Box<Self>) -> io::Result<Box<dyn ByteStream>> {
        Ok(self)
    }
}

impl Connection {
    /// The other end is gone: by a reset, or in good order.
    fn told(&self, polled: io::Result<()>) -> io::Result<()> {
        match self.is_reset.load(Ordering::Acquire) {
            true => Err(io::ErrorKind::ConnectionReset.into()),
            false => polled,
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match Pin::new(&mut self.bytes).poll_read(cx, buffer) {
            Poll::Ready(Ok(())) if buffer.filled().len() == before => Poll::Ready(self.told(Ok(()))),
            polled => polled,
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.bytes).poll_write(cx, bytes) {
            Poll::Ready(Err(error)) => Poll::Ready(self.told(Err(error)).map(|()| 0)),
            polled => polled,
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.bytes).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.bytes).poll_shutdown(cx)
    }
}
