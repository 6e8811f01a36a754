//! The network of a simulated machine: simulated TCP behind the product's own seam, with connections that can be broken.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use photondb_runtime::network::{ByteStream, Incoming, Listener, LocalFuture, Net};
use photondb_runtime::peers::SendFuture;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;

use crate::hosts::{self, TcpListener, TcpStream};
use crate::trace::Trace;

/// The network as one machine sees it. Clones are the same.
#[derive(Clone)]
pub struct SimulatedNet {
    breaks: Arc<watch::Sender<u64>>,
    /// Bytes that one write takes at most: less than a frame, so that a connection breaks in the middle of one.
    write_bytes_max: usize,
    trace: Trace,
    /// Whose it is.
    name: Arc<str>,
    /// Connections opened so far.
    opened: Arc<AtomicU64>,
}

impl SimulatedNet {
    /// The network of `name`, in which one write takes so many bytes at most. What passes goes into `trace`.
    pub fn new(name: &str, write_bytes_max: usize, trace: Trace) -> SimulatedNet {
        SimulatedNet {
            breaks: Arc::new(watch::Sender::new(0)),
            write_bytes_max: write_bytes_max.max(1),
            trace,
            name: name.into(),
            opened: Arc::default(),
        }
    }

    /// Breaks every connection that is open now.
    pub fn break_all(&self) {
        self.breaks.send_modify(|count| *count += 1);
    }

    fn stream(&self, stream: TcpStream) -> Box<dyn ByteStream> {
        let mut breaks = self.breaks.subscribe();
        let broken = Box::pin(async move {
            // An error means that the machine's network is gone altogether.
            let _ = breaks.changed().await;
        });
        let number = self.opened.fetch_add(1, Ordering::Relaxed);
        Box::new(Breakable { stream: Some(stream), broken, net: self.clone(), number })
    }
}

impl Net for SimulatedNet {
    fn listen(&self, address: SocketAddr) -> io::Result<Box<dyn Listener>> {
        Ok(Box::new(SimulatedListener { bound: hosts::bind(address)?, net: self.clone() }))
    }

    fn connect(&self, address: SocketAddr) -> SendFuture<'static, io::Result<Box<dyn ByteStream>>> {
        let net = self.clone();
        Box::pin(async move { Ok(net.stream(TcpStream::connect(address).await?)) })
    }
}

struct SimulatedListener {
    bound: TcpListener,
    net: SimulatedNet,
}

impl Listener for SimulatedListener {
    fn local_address(&self) -> io::Result<SocketAddr> {
        self.bound.local_addr()
    }

    fn accept(&mut self) -> LocalFuture<'_, io::Result<Box<dyn Incoming>>> {
        Box::pin(async move {
            let (stream, peer) = self.bound.accept().await?;
            Ok(Box::new(Accepted { stream: self.net.stream(stream), peer }) as Box<dyn Incoming>)
        })
    }
}

struct Accepted {
    stream: Box<dyn ByteStream>,
    peer: SocketAddr,
}

impl Incoming for Accepted {
    fn peer(&self) -> SocketAddr {
        self.peer
    }

    fn open(self: Box<Self>) -> io::Result<Box<dyn ByteStream>> {
        Ok(self.stream)
    }
}

/// A connection until it is broken.
struct Breakable {
    stream: Option<TcpStream>,
    broken: Pin<Box<dyn Future<Output = ()> + Send>>,
    net: SimulatedNet,
    /// Which of the machine's connections.
    number: u64,
}

impl Breakable {
    fn whole(&mut self, cx: &mut Context<'_>) -> io::Result<&mut TcpStream> {
        if self.stream.is_some() && self.broken.as_mut().poll(cx).is_ready() {
            self.stream = None;
        }
        self.stream.as_mut().ok_or_else(|| io::ErrorKind::ConnectionReset.into())
    }

    fn trace(&self, what: &'static str, bytes: &[u8]) {
        let (name, number) = (&*self.net.name, self.number);
        let text = format_args!("{name} {what} {} bytes over its connection {number}", bytes.len());
        self.net.trace.note(&(name, number, what, bytes), text);
    }
}

impl AsyncRead for Breakable {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(self.whole(cx)?).poll_read(cx, buffer);
        if read.is_ready() {
            self.trace("reads", &buffer.filled()[before..]);
        }
        read
    }
}

impl AsyncWrite for Breakable {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let taken = bytes.len().min(self.net.write_bytes_max);
        let written = Pin::new(self.whole(cx)?).poll_write(cx, &bytes[..taken]);
        if let Poll::Ready(Ok(count)) = written {
            self.trace("writes", &bytes[..count]);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.whole(cx)?).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.whole(cx)?).poll_shutdown(cx)
    }
}
