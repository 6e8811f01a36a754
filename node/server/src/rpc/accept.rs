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
use tonic::transport::server::{Connected, TcpConnectInfo};

/// After an accept that failed, which mostly means that the process has no file descriptors left.
const PAUSE: Duration = Duration::from_millis(100);

/// A connection and the place it takes.
pub(super) struct Accepted {
    stream: Box<dyn ByteStream>,
    peer: SocketAddr,
    /// Given back when the connection is dropped.
    _place: OwnedSemaphorePermit,
}

/// Accepts for ever; waits while every place is taken.
pub(super) fn connections(
    listener: Box<dyn Listener>,
    places: Arc<Semaphore>,
) -> impl Stream<Item = Result<Accepted, io::Error>> {
    unfold((listener, places), |(mut listener, places)| async {
        // Places are never closed; if they were, no connection could have one.
        let place = places.clone().acquire_owned().await.ok()?;
        let (stream, peer) = accept(&mut *listener).await;
        Some((Ok(Accepted { stream, peer, _place: place }), (listener, places)))
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
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        TcpConnectInfo { local_addr: None, remote_addr: Some(self.peer) }
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
