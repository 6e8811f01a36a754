//! Accepted connections of the cluster port, never more than there are places for.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::stream::{Stream, unfold};
use photondb_runtime::network::{ByteStream, Listener};
use photondb_runtime::task::sleep;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Extensions;
use tonic::transport::server::Connected;

use crate::tls::{PortTls, Shown};

/// After an accept that failed, which mostly means that the process has no file descriptors left.
const PAUSE: Duration = Duration::from_millis(100);

/// A connection and the place it takes.
pub(super) struct Accepted {
    stream: Box<dyn ByteStream>,
    caller: Caller,
    /// Given back when the connection is dropped.
    _place: OwnedSemaphorePermit,
}

/// Who is at the other end of the connection that a request came over.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// Where from.
    pub address: SocketAddr,
    /// What it has shown in its TLS handshake, where there was one.
    shown: Shown,
}

impl Caller {
    /// Who has sent a request, by what came with it.
    pub fn of(extensions: &Extensions) -> Option<&Caller> {
        extensions.get()
    }

    /// Whether it has shown a certificate of the nodes' authorities.
    pub fn is_certified(&self) -> bool {
        self.shown.is_certificate()
    }
}

/// Accepts for ever; waits while every place is taken.
pub(super) fn connections(
    listener: Box<dyn Listener>,
    places: Arc<Semaphore>,
    tls: Option<Arc<PortTls>>,
) -> impl Stream<Item = Result<Accepted, io::Error>> {
    unfold((listener, places, tls), |(mut listener, places, tls)| async {
        // Places are never closed; if they were, no connection could have one.
        let place = places.clone().acquire_owned().await.ok()?;
        let (stream, address) = accept(&mut *listener).await;
        let (stream, shown) = match &tls {
            Some(tls) => {
                let encrypted = tls.accept(stream, address);
                let shown = encrypted.shown();
                (Box::new(encrypted) as Box<dyn ByteStream>, shown)
            }
            None => (stream, Shown::default()),
        };
        let caller = Caller { address, shown };
        Some((Ok(Accepted { stream, caller, _place: place }), (listener, places, tls)))
    })
}

async fn accept(listener: &mut dyn Listener) -> (Box<dyn ByteStream>, SocketAddr) {
    loop {
        let accepted = listener.accept().await.and_then(|incoming| {
            let peer = incoming.peer();
            Ok((incoming.open()?, peer))
        });
        match accepted {
            Ok(accepted) => return accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection to the cluster port could not be accepted");
                sleep(PAUSE).await;
            }
        }
    }
}

impl Connected for Accepted {
    type ConnectInfo = Caller;

    fn connect_info(&self) -> Caller {
        self.caller.clone()
    }
}

impl AsyncRead for Accepted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Accepted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
