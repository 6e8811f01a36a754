//! The calling side of an exchange.

use bytes::Bytes;
use futures_util::stream::unfold;
use photondb_proto::v1;
use photondb_runtime::peers::{Exchange, Lane, Peer, PeerError, Service};
use photondb_runtime::task::spawn;
use tokio::sync::mpsc;

use super::{Shared, failed};
use crate::limits::EXCHANGE_MESSAGES_WAITING_MAX;
use crate::rpc::identity::service_number;

/// Opens an exchange, which lives on the calling thread's runtime.
pub(super) async fn open(
    shared: &Shared,
    to: Peer,
    service: Service,
    lane: Lane,
    first: Bytes,
) -> Result<Exchange, PeerError> {
    let link = shared.link(to, lane);
    let (mut client, address) = link.client(shared, to).await?;
    let (send, outgoing) = mpsc::channel::<Bytes>(EXCHANGE_MESSAGES_WAITING_MAX);
    let first = v1::ExchangeMessage { service: service_number(service).into(), body: first };
    let messages = unfold((Some(first), outgoing), |(first, mut outgoing)| async move {
        match first {
            Some(first) => Some((first, (None, outgoing))),
            None => {
                let body = outgoing.recv().await?;
                Some((v1::ExchangeMessage { service: v1::Service::Unspecified.into(), body }, (None, outgoing)))
            }
        }
    });
    let response = client.exchange(shared.identity.sign(messages, Some(to))).await;
    let mut incoming = match response {
        Ok(response) => response.into_inner(),
        Err(status) => return Err(shared.failed(to, &link, &address, status).await),
    };
    let (arrived, receive) = mpsc::channel(EXCHANGE_MESSAGES_WAITING_MAX);
    spawn(async move {
        loop {
            let message = tokio::select! {
                biased;
                // Nobody listens any more: dropping the stream tells the other side.
                () = arrived.closed() => return,
                message = incoming.message() => message,
            };
            let item = match message {
                Ok(Some(message)) => Ok(message.body),
                Ok(None) => return,
                Err(status) => Err(failed(status)),
            };
            let last = item.is_err();
            if arrived.send(item).await.is_err() || last {
                return;
            }
        }
    });
    Ok(Exchange { send, receive })
}
