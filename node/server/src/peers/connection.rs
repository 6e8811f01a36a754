//! One HTTP/2 connection to another node.

use std::net::SocketAddr;
use std::task::{Context, Poll};

use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use photondb_proto::v1::peers_client::PeersClient;
use photondb_runtime::peers::{PeerError, SendFuture};
use photondb_runtime::task::{spawn, timeout};
use tonic::body::Body;

use super::Shared;
use crate::limits::{
    PEER_CONNECT_TIME_MAX, PEER_KEEPALIVE_PERIOD, PEER_KEEPALIVE_TIME_MAX, PEER_MESSAGE_BYTES_MAX, PEER_WINDOW_BYTES,
};
use crate::tls::Cleartext;

/// Calls of the service of nodes, over one connection.
pub(super) type Client = PeersClient<Connection>;

/// A connection; clones share it. It is closed when the last one is dropped.
#[derive(Clone)]
pub(super) struct Connection(SendRequest<Body>);

impl Connection {
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

impl tower::Service<Request<Body>> for Connection {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = SendFuture<'static, Result<Response<Incoming>, hyper::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}

/// Calls over `connection`.
pub(super) fn client(connection: Connection) -> Client {
    PeersClient::with_origin(connection, Uri::from_static("http://node"))
        .max_decoding_message_size(PEER_MESSAGE_BYTES_MAX)
        .max_encoding_message_size(PEER_MESSAGE_BYTES_MAX)
}

/// Calls over a connection of their own.
pub(super) async fn open(shared: &Shared, addresses: &[String]) -> Result<Client, PeerError> {
    Ok(client(connect(shared, addresses).await?.0))
}

/// Connects to the first of `addresses` that answers, and tells which. It lives on the calling thread's runtime.
pub(super) async fn connect(shared: &Shared, addresses: &[String]) -> Result<(Connection, String), PeerError> {
    let mut reasons = Vec::new();
    for address in addresses {
        match timeout(PEER_CONNECT_TIME_MAX, connect_to(shared, address)).await {
            Ok(Ok(connection)) => return Ok((connection, address.clone())),
            Ok(Err(reason)) => reasons.push(format!("{address}: {reason}")),
            Err(_) => reasons.push(format!("{address}: no connection within {PEER_CONNECT_TIME_MAX:?}")),
        }
    }
    if addresses.is_empty() {
        return Err(PeerError::NotSent("its address is not known".to_owned()));
    }
    Err(PeerError::NotSent(reasons.join("; ")))
}

/// What a certificate must name: what was written before the port, without the brackets of an IPv6 address, and not what it
/// resolved to.
fn host_of(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

async fn connect_to(shared: &Shared, address: &str) -> Result<Connection, String> {
    let resolved: SocketAddr = match address.parse() {
        Ok(address) => address,
        Err(_) => {
            let found = tokio::net::lookup_host(address).await.map_err(|error| error.to_string())?;
            found.into_iter().next().ok_or("the name has no address")?
        }
    };
    let stream = shared.net.connect(resolved).await.map_err(|error| error.to_string())?;
    let stream = match &shared.tls {
        Some(tls) => tls.connect(host_of(address), stream).await?,
        None => Box::new(Cleartext::new(stream)),
    };
    let (sender, connection) = Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(PEER_KEEPALIVE_PERIOD)
        .keep_alive_timeout(PEER_KEEPALIVE_TIME_MAX)
        // A machine without power ends no connection. Who waits to find that until there is a request has lost the request.
        .keep_alive_while_idle(true)
        .initial_stream_window_size(PEER_WINDOW_BYTES)
        .initial_connection_window_size(PEER_WINDOW_BYTES)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    let address = address.to_owned();
    spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(address, %error, "a connection to another node broke");
        }
    });
    Ok(Connection(sender))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_names_hosts_without_ports_and_addresses_without_brackets() {
        for (address, host) in [
            ("db-0.db.data.svc:29015", "db-0.db.data.svc"),
            ("10.0.0.1:7", "10.0.0.1"),
            ("[::1]:7", "::1"),
            ("[fd00::1:2]:29015", "fd00::1:2"),
            ("db-0", "db-0"),
        ] {
            assert_eq!(host_of(address), host);
        }
    }
}
