//! The cluster port: gRPC. Today it answers photonctl; other nodes will come here too.
//!
//! Everything runs on one thread of its own, so that whoever asks much takes nothing from clients or from Raft. Each
//! request names who asks ([`login`]), is small, and has a deadline: its own (`grpc-timeout`), or ours if that is shorter.

mod accept;
mod control;
mod login;

use std::io;
use std::sync::Arc;

use photondb_proto::v1::control_server::ControlServer;
use photondb_runtime::network::Listener;
use photondb_runtime::task::{Executor, Threads};
use tokio::sync::Semaphore;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Server;

use crate::limits::{
    CLUSTER_CONNECTION_TIME_MAX, CLUSTER_CONNECTIONS_MAX, CLUSTER_KEEPALIVE_PERIOD, RPC_METADATA_BYTES_MAX,
    RPC_REQUEST_BYTES_MAX, RPC_TIME_MAX, RPCS_IN_FLIGHT_MAX,
};

pub(crate) use control::ControlService;
use login::Login;

/// Serves the port for as long as the executor lives.
pub(crate) fn start(
    threads: &dyn Threads,
    listeners: Vec<Box<dyn Listener>>,
    control: ControlService,
) -> io::Result<Executor> {
    let executor = threads.executor("cluster")?;
    let places = Arc::new(Semaphore::new(CLUSTER_CONNECTIONS_MAX));
    let login = Login::new(control.users());
    let control = ControlServer::new(control).max_decoding_message_size(RPC_REQUEST_BYTES_MAX);
    // Who asks is checked before anything of what is asked is read.
    let control = InterceptedService::new(control, login);
    for listener in listeners {
        let router = server().add_service(control.clone());
        let places = places.clone();
        executor.handle().spawn_local(move || async move {
            if let Err(error) = router.serve_with_incoming(accept::connections(listener, places)).await {
                tracing::error!(%error, "the cluster port is served no more");
            }
        });
    }
    Ok(executor)
}

fn server() -> Server {
    Server::builder()
        .timeout(RPC_TIME_MAX)
        .max_concurrent_streams(RPCS_IN_FLIGHT_MAX)
        .http2_max_header_list_size(RPC_METADATA_BYTES_MAX)
        .http2_keepalive_interval(Some(CLUSTER_KEEPALIVE_PERIOD))
        .max_connection_age(CLUSTER_CONNECTION_TIME_MAX)
        .max_connection_age_grace(RPC_TIME_MAX)
}
