//! From a URL to a connection with an address that may be reached.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::task::{Context, Poll};

use photondb_query::fetch::FetchError;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_rustls::client::TlsStream;
use url::{Host, Url};

use super::Client;

/// A connection to a server.
pub(super) enum Connection {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Connects to where `url` points, by the first of its addresses that may be reached and answers.
pub(super) async fn connect(client: &Client, url: &Url, verify: bool) -> Result<Connection, FetchError> {
    let port = url.port_or_known_default().ok_or(FetchError::Url)?;
    let (host, addresses) = match url.host().ok_or(FetchError::Url)? {
        Host::Ipv4(address) => (address.to_string(), vec![IpAddr::V4(address)]),
        Host::Ipv6(address) => (address.to_string(), vec![IpAddr::V6(address)]),
        Host::Domain(name) => (name.to_owned(), look_up(client, name.to_owned(), port).await?),
    };
    let stream = connect_to(client, &addresses, port).await?;
    let _ = stream.set_nodelay(true);
    if url.scheme() != "https" {
        return Ok(Connection::Plain(stream));
    }
    let stream = client.tls.connect(stream, &host, verify).await?;
    Ok(Connection::Tls(Box::new(stream)))
}

/// The addresses of a name. The system's resolver blocks, and cannot be stopped: it has a thread of its own, which keeps its
/// place among the lookups until it is done, whoever still waits. A node that stops does not wait for it.
async fn look_up(client: &Client, name: String, port: u16) -> Result<Vec<IpAddr>, FetchError> {
    let place = client.lookups.clone().acquire_owned().await.map_err(|_| FetchError::Resolve)?;
    let (send, found) = oneshot::channel();
    std::thread::Builder::new()
        .name("http-lookup".to_owned())
        .spawn(move || {
            let addresses =
                (name.as_str(), port).to_socket_addrs().map(|found| found.map(|address| address.ip()).collect());
            // The query may be gone.
            let _ = send.send(addresses);
            drop(place);
        })
        .map_err(|_| FetchError::Resolve)?;
    found.await.ok().and_then(Result::ok).ok_or(FetchError::Resolve)
}

async fn connect_to(client: &Client, addresses: &[IpAddr], port: u16) -> Result<TcpStream, FetchError> {
    let mut failure = FetchError::Resolve;
    for address in addresses {
        if !client.reach.allows(*address) {
            tracing::debug!(%address, "an address that `http` may not reach");
            failure = FetchError::Address;
            continue;
        }
        match TcpStream::connect(SocketAddr::new(*address, port)).await {
            Ok(stream) => return Ok(stream),
            Err(_) => failure = FetchError::Connect,
        }
    }
    Err(failure)
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Connection::Plain(stream) => Pin::new(stream).poll_read(cx, into),
            Connection::Tls(stream) => Pin::new(stream).poll_read(cx, into),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Connection::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Connection::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Connection::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Connection::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Connection::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Connection::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
