//! A connection that shakes hands when it is first read or written.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use photondb_runtime::network::ByteStream;
use photondb_runtime::peers::SendFuture;
use photondb_runtime::task::timeout;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;

use crate::limits::TLS_HANDSHAKE_TIME_MAX;

type Plain = Box<dyn ByteStream>;

/// An accepted connection. Whoever serves it reads and writes what is inside; the handshake goes on below, on the thread
/// that serves it and on its time, so that a slow client holds up nobody.
pub(crate) struct Encrypted {
    state: State,
    shown: Shown,
}

enum State {
    Opening(SendFuture<'static, io::Result<TlsStream<Plain>>>),
    Open(Box<TlsStream<Plain>>),
    Failed,
}

/// Whether the other side has shown a certificate that an authority of the port has signed. It has not before the handshake.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shown(Arc<AtomicBool>);

impl Shown {
    pub fn is_certificate(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Encrypted {
    pub(super) fn accepted(
        handshake: impl Future<Output = io::Result<TlsStream<Plain>>> + Send + 'static,
        peer: SocketAddr,
    ) -> Encrypted {
        let opening = async move {
            let opened = timeout(TLS_HANDSHAKE_TIME_MAX, handshake).await.unwrap_or_else(|_| Err(too_slow()));
            opened.inspect_err(|error| say(error, peer))
        };
        Encrypted { state: State::Opening(Box::pin(opening)), shown: Shown::default() }
    }

    /// What the other side has shown; known with the first byte that was read.
    pub fn shown(&self) -> Shown {
        self.shown.clone()
    }

    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Pin<&mut TlsStream<Plain>>>> {
        if let State::Opening(opening) = &mut self.state {
            match ready!(opening.as_mut().poll(cx)) {
                Ok(stream) => {
                    let certified = stream.get_ref().1.peer_certificates().is_some();
                    self.shown.0.store(certified, Ordering::Release);
                    self.state = State::Open(Box::new(stream));
                }
                Err(error) => {
                    self.state = State::Failed;
                    return Poll::Ready(Err(error));
                }
            }
        }
        match &mut self.state {
            State::Open(stream) => Poll::Ready(Ok(Pin::new(&mut **stream))),
            _ => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

fn too_slow() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("not done within {TLS_HANDSHAKE_TIME_MAX:?}"))
}

/// Who only looks whether the port is open is nothing to speak of.
fn say(error: &io::Error, peer: SocketAddr) {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidMessage(_)) => tracing::info!(%peer, "connection refused: it does not speak TLS"),
        Some(error) => tracing::info!(%peer, %error, "connection refused: the TLS handshake failed"),
        None => tracing::debug!(%peer, %error, "a TLS handshake broke off"),
    }
}

impl AsyncRead for Encrypted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_open(cx))?.poll_read(cx, buffer)
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_open(cx))?.poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_open(cx))?.poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_open(cx))?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.state {
            State::Open(stream) => Pin::new(&mut **stream).poll_shutdown(cx),
            // Nothing was said that could be ended well.
            State::Opening(_) | State::Failed => {
                self.state = State::Failed;
                Poll::Ready(Ok(()))
            }
        }
    }
}
