//! A connection to another node in the clear, which notices that the other side speaks TLS.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use photondb_runtime::network::ByteStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How TLS tells somebody who does not speak it that it does not understand: a record of type alert, version 3.
const ALERT: [u8; 2] = [0x15, 0x03];

/// HTTP/2 begins with a frame of settings, which begins otherwise.
pub(crate) struct Cleartext {
    stream: Box<dyn ByteStream>,
    read_before: bool,
}

impl Cleartext {
    /// Nothing was read yet.
    pub fn new(stream: Box<dyn ByteStream>) -> Cleartext {
        Cleartext { stream, read_before: false }
    }
}

impl AsyncRead for Cleartext {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        if !self.read_before && buffer.filled().len() > before {
            self.read_before = true;
            if buffer.filled()[before..].starts_with(&ALERT) {
                return Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "the node there speaks TLS, and this one does not (cluster-tls-cert)",
                )));
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Cleartext {
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
