//! The bytes below gRPC: in the clear or over TLS, and what went wrong there, which gRPC itself forgets.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::tls::Tls;

/// How TLS tells somebody who does not speak it that it does not understand: a record of type alert, version 3. HTTP/2 begins
/// otherwise.
const ALERT: [u8; 2] = [0x15, 0x03];

/// What a connection met that a user can do something about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Met {
    /// The node speaks TLS, and was spoken to in the clear.
    Tls,
    /// It does not speak TLS, and was spoken to in TLS.
    NoTls,
    /// Its certificate is not believed.
    Certificate(String),
    /// It does not believe ours, or wants one.
    Refusal(String),
}

/// Where connections say what they met.
#[derive(Clone, Debug, Default)]
pub struct Notes(Arc<Mutex<Option<Met>>>);

impl Notes {
    /// What was met, if anything was.
    pub fn met(&self) -> Option<Met> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, met: Met) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(met);
    }

    /// Notes what an error of TLS means, if it is one.
    fn note_error(&self, error: &io::Error) {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(rustls::Error::InvalidMessage(_)) => self.note(Met::NoTls),
            Some(rustls::Error::InvalidCertificate(reason)) => self.note(Met::Certificate(reason.to_string())),
            Some(error @ rustls::Error::AlertReceived(_)) => self.note(Met::Refusal(error.to_string())),
            _ => {}
        }
    }
}

/// Connects to the host and port of `uri`.
pub async fn connect(uri: Uri, tls: Option<Tls>, notes: Notes) -> io::Result<TokioIo<Transport>> {
    let host = uri.host().ok_or(io::ErrorKind::InvalidInput)?;
    let port = uri.port_u16().ok_or(io::ErrorKind::InvalidInput)?;
    let stream = TcpStream::connect((host.trim_matches(['[', ']']), port)).await?;
    stream.set_nodelay(true)?;
    let bytes = match tls {
        Some(tls) => {
            let shaken = tls.connect(host, stream).await;
            Bytes::Encrypted(Box::new(shaken.inspect_err(|error| notes.note_error(error))?))
        }
        None => Bytes::Clear(stream),
    };
    Ok(TokioIo::new(Transport { bytes, read_before: false, failed: None, notes }))
}

/// A connection.
pub struct Transport {
    bytes: Bytes,
    read_before: bool,
    /// Why nothing can be written any more, while it is still read what was said before that.
    failed: Option<io::Error>,
    notes: Notes,
}

enum Bytes {
    Clear(TcpStream),
    Encrypted(Box<TlsStream<TcpStream>>),
}

impl Transport {
    /// The connection is over. A node of TLS 1.3 says only after the handshake that it does not believe our certificate, and what
    /// it says may be lost with the connection.
    fn note_end(&self, error: Option<&io::Error>) {
        if self.read_before || matches!(self.bytes, Bytes::Clear(_)) {
            return;
        }
        if self.notes.met().is_none() {
            self.notes.note(Met::Refusal("it ended the connection after the handshake".to_owned()));
        }
        if let Some(error) = error {
            self.notes.note_error(error);
        }
    }
}

impl Transport {
    /// Nothing can be written any more. Who closed the connection may have said why before, which gRPC would not read: it is read
    /// here. A connection that is over can always be read to its end.
    fn poll_last_words(self: Pin<&mut Self>, cx: &mut Context<'_>, error: io::Error) -> Poll<io::Error> {
        let this = self.get_mut();
        if !this.read_before && this.notes.met().is_none() {
            let mut words = [0; 1024];
            if Pin::new(&mut *this).poll_read(cx, &mut ReadBuf::new(&mut words)).is_pending() {
                this.failed = Some(error);
                return Poll::Pending;
            }
        }
        this.note_end(Some(&error));
        Poll::Ready(error)
    }
}

impl AsyncRead for Transport {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let this = &mut *self;
        let read = match &mut this.bytes {
            Bytes::Clear(stream) => ready!(Pin::new(stream).poll_read(cx, buffer)),
            Bytes::Encrypted(stream) => ready!(Pin::new(&mut **stream).poll_read(cx, buffer)),
        };
        match &read {
            Ok(()) if buffer.filled().len() > before => {
                let first = !std::mem::replace(&mut this.read_before, true);
                if first && matches!(this.bytes, Bytes::Clear(_)) && buffer.filled()[before..].starts_with(&ALERT) {
                    this.notes.note(Met::Tls);
                }
            }
            Ok(()) => this.note_end(None),
            Err(error) => this.note_end(Some(error)),
        }
        Poll::Ready(read)
    }
}

impl AsyncWrite for Transport {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = match (self.failed.take(), &mut self.bytes) {
            (Some(error), _) => Err(error),
            (None, Bytes::Clear(stream)) => ready!(Pin::new(stream).poll_write(cx, bytes)),
            (None, Bytes::Encrypted(stream)) => ready!(Pin::new(&mut **stream).poll_write(cx, bytes)),
        };
        match written {
            Err(error) => self.poll_last_words(cx, error).map(Err),
            written => Poll::Ready(written),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = match (self.failed.take(), &mut self.bytes) {
            (Some(error), _) => Err(error),
            (None, Bytes::Clear(stream)) => ready!(Pin::new(stream).poll_flush(cx)),
            (None, Bytes::Encrypted(stream)) => ready!(Pin::new(&mut **stream).poll_flush(cx)),
        };
        match flushed {
            Err(error) => self.poll_last_words(cx, error).map(Err),
            flushed => Poll::Ready(flushed),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.bytes {
            Bytes::Clear(stream) => Pin::new(stream).poll_shutdown(cx),
            Bytes::Encrypted(stream) => Pin::new(&mut **stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn what_was_said_before_a_connection_broke_is_heard_though_nobody_reads() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let notes = Notes::default();
            let uri = format!("http://127.0.0.1:{port}").parse().unwrap();
            let mut transport = connect(uri, None, notes.clone()).await.unwrap().into_inner();
            let mut write =
                async |bytes: &[u8]| std::future::poll_fn(|cx| Pin::new(&mut transport).poll_write(cx, bytes)).await;
            write(b"PRI * HTTP/2.0").await.unwrap();
            let (mut node, _) = listener.accept().unwrap();
            node.write_all(&[0x15, 3, 3, 0, 2, 2, 10]).unwrap();
            // What it has not read makes it a reset.
            drop(node);
            while write(b"more").await.is_ok() {}
            assert_eq!(notes.met(), Some(Met::Tls));
        });
    }
}
