//! The cluster port: gRPC, for photonctl and for other nodes.
//!
//! Everything runs on one thread of its own, so that whoever asks much takes nothing from clients or from Raft. Each
//! request names who asks ([`login`]), is small, and has a deadline: its own (`grpc-timeout`), or ours if that is shorter. A query
//! has to begin until then, and may go on for as long as somebody waits for its answers.

mod accept;
pub(crate) mod control;
mod date;
mod encounters;
pub(crate) mod identity;
mod login;
mod node;

use std::sync::Arc;

use photondb_proto::v1::control_server::ControlServer;
use photondb_proto::v1::peers_server::PeersServer;
use photondb_runtime::clock::Clock;
use photondb_runtime::network::Listener;
use photondb_runtime::task::Handle;
use tokio::sync::Semaphore;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Server;
use tower::util::MapResponseLayer;

use crate::limits::{
    CLUSTER_CONNECTION_TIME_MAX, CLUSTER_CONNECTIONS_MAX, CLUSTER_KEEPALIVE_PERIOD, PEER_CALLS_IN_FLIGHT_MAX,
    PEER_KEEPALIVE_PERIOD, PEER_KEEPALIVE_TIME_MAX, PEER_MESSAGE_BYTES_MAX, PEER_WINDOW_BYTES, RPC_METADATA_BYTES_MAX,
    RPC_REQUEST_BYTES_MAX, RPC_TIME_MAX, RPCS_IN_FLIGHT_MAX,
};
use crate::tls::PortTls;

pub(crate) use control::{ControlService, LateControl};
use login::Login;
pub(crate) use node::NodeService;

/// Serves the port for as long as the executor lives: `node` for other nodes, if they may come, and `control` for photonctl,
/// over `tls` where there is some. Answers have the date of `clock`.
pub(crate) fn start(
    executor: &Handle,
    listeners: Vec<Box<dyn Listener>>,
    tls: Option<&Arc<PortTls>>,
    node: Option<NodeService>,
    control: &LateControl,
    clock: &Arc<dyn Clock>,
) {
    let places = Arc::new(Semaphore::new(CLUSTER_CONNECTIONS_MAX));
    let late = control.clone();
    let login = Login::new(Arc::new(move || late.users()));
    let control = ControlServer::new(control.clone()).max_decoding_message_size(RPC_REQUEST_BYTES_MAX);
    // Who asks is checked before anything of what is asked is read.
    let control = InterceptedService::new(control, login);
    let node = node.map(|node| {
        let node = PeersServer::new(node);
        node.max_decoding_message_size(PEER_MESSAGE_BYTES_MAX).max_encoding_message_size(PEER_MESSAGE_BYTES_MAX)
    });
    for listener in listeners {
        let server = if node.is_some() { server_for_nodes() } else { server() };
        let mut server = server.layer(MapResponseLayer::new(date::stamp(clock.clone())));
        let router = server.add_service(control.clone()).add_optional_service(node.clone());
        let (places, tls) = (places.clone(), tls.cloned());
        executor.spawn_local(move || async move {
            if let Err(error) = router.serve_with_incoming(accept::connections(listener, places, tls)).await {
                tracing::error!(%error, "the cluster port is served no more");
            }
        });
    }
}

/// Of a node that others speak to, whose connections stay.
fn server_for_nodes() -> Server {
    Server::builder()
        .timeout(RPC_TIME_MAX)
        .max_concurrent_streams(PEER_CALLS_IN_FLIGHT_MAX)
        .http2_max_header_list_size(RPC_METADATA_BYTES_MAX)
        .http2_keepalive_interval(Some(PEER_KEEPALIVE_PERIOD))
        .http2_keepalive_timeout(Some(PEER_KEEPALIVE_TIME_MAX))
        .initial_stream_window_size(PEER_WINDOW_BYTES)
        .initial_connection_window_size(PEER_WINDOW_BYTES)
}

fn server() -> Server {
    Server::builder()
        .timeout(RPC_TIME_MAX)
        .max_concurrent_streams(RPCS_IN_FLIGHT_MAX)
        .http2_max_header_list_size(RPC_METADATA_BYTES_MAX)
        .http2_keepalive_interval(Some(CLUSTER_KEEPALIVE_PERIOD))
        // No new requests after that; those that run are answered, feeds among them.
        .max_connection_age(CLUSTER_CONNECTION_TIME_MAX)
}
