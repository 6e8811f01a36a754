//! The network of a simulated machine: turmoil's TCP behind the product's own seam.

use std::io;
use std::net::SocketAddr;

use futures_util::FutureExt;
use photondb_runtime::network::{ByteStream, Incoming, Listener, LocalFuture, Net};
use photondb_runtime::peers::SendFuture;
use turmoil::net::{TcpListener, TcpStream};

/// The network as the machine that runs now sees it.
#[derive(Clone, Copy, Debug, Default)]
pub struct SimulatedNet;

impl Net for SimulatedNet {
    fn listen(&self, address: SocketAddr) -> io::Result<Box<dyn Listener>> {
        let bound = TcpListener::bind(address).now_or_never().expect("a simulated address is bound at once")?;
        Ok(Box::new(SimulatedListener(bound)))
    }

    fn connect(&self, address: SocketAddr) -> SendFuture<'static, io::Result<Box<dyn ByteStream>>> {
        Box::pin(async move { Ok(Box::new(TcpStream::connect(address).await?) as Box<dyn ByteStream>) })
    }
}

struct SimulatedListener(TcpListener);

impl Listener for SimulatedListener {
    fn local_address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    fn accept(&mut self) -> LocalFuture<'_, io::Result<Box<dyn Incoming>>> {
        Box::pin(async move {
            let (stream, peer) = self.0.accept().await?;
            Ok(Box::new(Accepted { stream, peer }) as Box<dyn Incoming>)
        })
    }
}

struct Accepted {
    stream: TcpStream,
    peer: SocketAddr,
}

impl Incoming for Accepted {
    fn peer(&self) -> SocketAddr {
        self.peer
    }

    fn open(self: Box<Self>) -> io::Result<Box<dyn ByteStream>> {
        Ok(Box::new(self.stream))
    }
}
