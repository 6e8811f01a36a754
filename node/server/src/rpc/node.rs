//! What other nodes ask of this one: carried to the part that it is for.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{Stream, unfold};
use photondb_proto::convert::NODE_VERSION;
use photondb_proto::v1;
use photondb_proto::v1::peers_server::Peers;
use photondb_runtime::peers::{Exchange, PeerError, Service};
use photondb_runtime::task::spawn;
use tokio::sync::mpsc;
use tonic::{Request, Response, Status, Streaming};

use super::accept::Caller;
use super::identity::{Identity, service_of};
use crate::limits::EXCHANGE_MESSAGES_WAITING_MAX;
use crate::services::Services;

/// The gRPC service of nodes.
pub(crate) struct NodeService {
    identity: Arc<Identity>,
    services: Arc<Services>,
}

impl NodeService {
    /// Carries to `services` what comes from nodes that `identity` lets in.
    pub fn new(identity: Arc<Identity>, services: Arc<Services>) -> NodeService {
        NodeService { identity, services }
    }
}

fn unknown(service: i32) -> String {
    format!("this version has no part {service}")
}

/// Only the control plane speaks to nodes that are in no cluster yet.
fn takes_strangers(service: i32) -> bool {
    service_of(service) == Some(Service::Control)
}

#[tonic::async_trait]
impl Peers for NodeService {
    type ExchangeStream = Pin<Box<dyn Stream<Item = Result<v1::ExchangeMessage, Status>> + Send>>;

    async fn hello(&self, request: Request<v1::HelloRequest>) -> Result<Response<v1::HelloResponse>, Status> {
        self.identity.caller(request.metadata(), Caller::of(request.extensions()))?;
        let cluster = self.identity.cluster().map(|cluster| cluster.to_be_bytes().to_vec()).unwrap_or_default();
        Ok(Response::new(v1::HelloResponse {
            version: NODE_VERSION,
            node: self.identity.node().0.to_be_bytes().to_vec(),
            cluster,
        }))
    }

    async fn carry(&self, request: Request<v1::CarryRequest>) -> Result<Response<v1::CarryResponse>, Status> {
        let strangers = takes_strangers(request.get_ref().service);
        let from = self.identity.check(request.metadata(), Caller::of(request.extensions()), strangers)?;
        let v1::CarryRequest { service, body } = request.into_inner();
        let answered = match service_of(service) {
            Some(service) => self.services.request(from, service, body).await,
            None => Err(unknown(service)),
        };
        let outcome = match answered {
            Ok(answer) => v1::carry_response::Outcome::Answer(answer),
            Err(reason) => v1::carry_response::Outcome::Refused(reason),
        };
        Ok(Response::new(v1::CarryResponse { outcome: Some(outcome) }))
    }

    async fn exchange(
        &self,
        request: Request<Streaming<v1::ExchangeMessage>>,
    ) -> Result<Response<Self::ExchangeStream>, Status> {
        let (metadata, extensions, mut incoming) = request.into_parts();
        let first = incoming.message().await?.ok_or_else(|| Status::failed_precondition("an exchange of nothing"))?;
        let from = self.identity.check(&metadata, Caller::of(&extensions), takes_strangers(first.service))?;
        let service = service_of(first.service).ok_or_else(|| Status::failed_precondition(unknown(first.service)))?;
        let serve = self.services.get(service).map_err(Status::failed_precondition)?;
        let (send, outgoing) = mpsc::channel::<Bytes>(EXCHANGE_MESSAGES_WAITING_MAX);
        let (arrived, receive) = mpsc::channel(EXCHANGE_MESSAGES_WAITING_MAX);
        spawn(take(incoming, arrived));
        spawn(serve.exchange(from, first.body, Exchange { send, receive }));
        let answers = unfold(outgoing, |mut outgoing| async move {
            let body = outgoing.recv().await?;
            Some((Ok(v1::ExchangeMessage { service: v1::Service::Unspecified.into(), body }), outgoing))
        });
        Ok(Response::new(Box::pin(answers)))
    }
}

/// Hands on what comes in, until either side has enough.
async fn take(mut incoming: Streaming<v1::ExchangeMessage>, arrived: mpsc::Sender<Result<Bytes, PeerError>>) {
    loop {
        let message = tokio::select! {
            biased;
            () = arrived.closed() => return,
            message = incoming.message() => message,
        };
        let item = match message {
            Ok(Some(message)) => Ok(message.body),
            Ok(None) => return,
            Err(status) => Err(PeerError::Lost(status.message().to_owned())),
        };
        let last = item.is_err();
        if arrived.send(item).await.is_err() || last {
            return;
        }
    }
}
