//! TCP through tokio, without Nagle's delay.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener, TcpStream as StdStream};

use tokio::net::{TcpListener, TcpStream};

use crate::network::{ByteStream, Incoming, Listener, LocalFuture, Net};
use crate::peers::SendFuture;

/// The machine's TCP.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemNet;

impl Net for SystemNet {
    fn listen(&self, address: SocketAddr) -> io::Result<Box<dyn Listener>> {
        // The standard library sets SO_REUSEADDR: a restarted node takes its port again while old connections linger.
        let socket = StdListener::bind(address)?;
        socket.set_nonblocking(true)?;
        Ok(Box::new(SystemListener { address: socket.local_addr()?, socket: Socket::Bound(socket) }))
    }

    fn connect(&self, address: SocketAddr) -> SendFuture<'static, io::Result<Box<dyn ByteStream>>> {
        Box::pin(async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as Box<dyn ByteStream>)
        })
    }
}

struct SystemListener {
    address: SocketAddr,
    socket: Socket,
}

/// A listener gets its reactor from the thread of its first accept, which need not be the thread that bound it.
enum Socket {
    Bound(StdListener),
    Accepting(TcpListener),
    Failed,
}

impl Socket {
    fn accepting(&mut self) -> io::Result<&TcpListener> {
        if let Socket::Bound(_) = self
            && let Socket::Bound(socket) = std::mem::replace(self, Socket::Failed)
        {
            *self = Socket::Accepting(TcpListener::from_std(socket)?);
        }
        match self {
            Socket::Accepting(listener) => Ok(listener),
            _ => Err(io::Error::other("the listener could not be registered with its thread's runtime")),
        }
    }
}

impl Listener for SystemListener {
    fn local_address(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }

    fn accept(&mut self) -> LocalFuture<'_, io::Result<Box<dyn Incoming>>> {
        Box::pin(async move {
            let (stream, peer) = self.socket.accepting()?.accept().await?;
            stream.set_nodelay(true)?;
            // Back to a bare socket: the thread that serves it registers it with its own reactor.
            Ok(Box::new(Accepted { stream: stream.into_std()?, peer }) as Box<dyn Incoming>)
        })
    }
}

struct Accepted {
    stream: StdStream,
    peer: SocketAddr,
}

impl Incoming for Accepted {
    fn peer(&self) -> SocketAddr {
        self.peer
    }

    fn open(self: Box<Self>) -> io::Result<Box<dyn ByteStream>> {
        Ok(Box::new(TcpStream::from_std(self.stream)?))
    }
}
