//! The network as byte streams: listen and connect.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::peers::SendFuture;

/// A boxed future that stays on its thread.
pub type LocalFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// A connection, as bytes in both directions.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for T {}

/// Where connections come from and go to.
pub trait Net: Send + Sync + 'static {
    /// Binds `address`; port 0 takes a free one. Errors: `AddrInUse`, or what the system says.
    fn listen(&self, address: SocketAddr) -> io::Result<Box<dyn Listener>>;

    /// Connects to `address`, on whichever thread the future runs.
    fn connect(&self, address: SocketAddr) -> SendFuture<'static, io::Result<Box<dyn ByteStream>>>;
}

/// A bound address.
pub trait Listener: Send {
    /// The address with the port that was really taken.
    fn local_address(&self) -> io::Result<SocketAddr>;

    /// The next connection. An error concerns one connection (or too many open files); the listener goes on.
    fn accept(&mut self) -> LocalFuture<'_, io::Result<Box<dyn Incoming>>>;
}

/// An accepted connection that no thread serves yet.
pub trait Incoming: Send {
    /// Who connected.
    fn peer(&self) -> SocketAddr;

    /// Makes it a stream of the calling thread's runtime, which will be woken for it.
    fn open(self: Box<Self>) -> io::Result<Box<dyn ByteStream>>;
}
