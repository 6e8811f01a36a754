//! Ports whose connections speak TLS.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use photondb_runtime::network::{ByteStream, Incoming, Listener, LocalFuture};

use super::port::PortTls;
use super::stream::Encrypted;

/// A listener of the network seam.
pub(crate) struct Secured {
    listener: Box<dyn Listener>,
    tls: Arc<PortTls>,
}

impl Secured {
    /// As it is, where the port has no TLS.
    pub fn where_asked(listener: Box<dyn Listener>, tls: Option<&Arc<PortTls>>) -> Box<dyn Listener> {
        match tls {
            Some(tls) => Box::new(Secured { listener, tls: tls.clone() }),
            None => listener,
        }
    }
}

impl Listener for Secured {
    fn local_address(&self) -> io::Result<SocketAddr> {
        self.listener.local_address()
    }

    fn accept(&mut self) -> LocalFuture<'_, io::Result<Box<dyn Incoming>>> {
        Box::pin(async move {
            let incoming = self.listener.accept().await?;
            Ok(Box::new(Arriving { incoming, tls: self.tls.clone() }) as Box<dyn Incoming>)
        })
    }
}

struct Arriving {
    incoming: Box<dyn Incoming>,
    tls: Arc<PortTls>,
}

impl Incoming for Arriving {
    fn peer(&self) -> SocketAddr {
        self.incoming.peer()
    }

    fn open(self: Box<Self>) -> io::Result<Box<dyn ByteStream>> {
        let peer = self.incoming.peer();
        Ok(Box::new(self.tls.accept(self.incoming.open()?, peer)))
    }
}

/// A socket of the system, for the library that serves HTTP.
pub(crate) struct SecuredSystem {
    listener: tokio::net::TcpListener,
    tls: Arc<PortTls>,
}

impl SecuredSystem {
    /// With the port's certificate.
    pub fn new(listener: tokio::net::TcpListener, tls: Arc<PortTls>) -> SecuredSystem {
        SecuredSystem { listener, tls }
    }
}

impl axum::serve::Listener for SecuredSystem {
    type Io = Encrypted;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Encrypted, SocketAddr) {
        let (stream, peer) = axum::serve::Listener::accept(&mut self.listener).await;
        (self.tls.accept(Box::new(stream), peer), peer)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}
