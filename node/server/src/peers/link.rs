//! One lane to one node: a connection that is opened again after it broke.

use std::sync::Arc;

use photondb_runtime::clock::Moment;
use photondb_runtime::peers::{Peer, PeerError};
use photondb_storage::fault::buggify;
use tokio::sync::Mutex;

use super::Shared;
use super::connection::{self, Client, Connection};
use crate::limits::PEER_RECONNECT_PAUSE;

/// A lane.
#[derive(Default)]
pub(super) struct Link {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    connection: Option<Open>,
    /// The last attempt, if it failed.
    failed: Option<Failed>,
    /// Where somebody else was found to listen: tried last.
    mistaken: Option<Arc<str>>,
}

struct Open {
    connection: Connection,
    address: Arc<str>,
}

struct Failed {
    at: Moment,
    addresses: Vec<String>,
    error: PeerError,
}

impl Link {
    /// A client of a connection that stands, and where that leads. Whoever comes while one is being opened waits for that; soon after an
    /// attempt has failed nobody tries again.
    pub async fn client(&self, shared: &Shared, to: Peer) -> Result<(Client, Arc<str>), PeerError> {
        let mut state = self.state.lock().await;
        if buggify!("server/link-opened-anew") {
            state.connection = None;
        }
        // A node that listens elsewhere now may have left its address, and the connection, to another one.
        let stands = |open: &&Open| !open.connection.is_closed() && shared.is_address_of(to, &open.address);
        if let Some(open) = state.connection.as_ref().filter(stands) {
            return Ok((connection::client(open.connection.clone()), open.address.clone()));
        }
        state.connection = None;
        let addresses = shared.addresses_of(to);
        let recently = |failed: &&Failed| {
            failed.addresses == addresses && shared.identity.now().since(failed.at) < PEER_RECONNECT_PAUSE
        };
        if let Some(failed) = state.failed.as_ref().filter(recently) {
            return Err(failed.error.clone());
        }
        let mut order = addresses.clone();
        order.sort_by_key(|address| state.mistaken.as_deref() == Some(address));
        match connection::connect(shared, &order).await {
            Ok((connection, address)) => {
                let address: Arc<str> = address.into();
                state.failed = None;
                state.connection = Some(Open { connection: connection.clone(), address: address.clone() });
                Ok((connection::client(connection), address))
            }
            Err(error) => {
                state.failed = Some(Failed { at: shared.identity.now(), addresses, error: error.clone() });
                Err(error)
            }
        }
    }

    /// Whoever answers at `address` is not `to`, as `error` says: a connection that leads there is given up, and there is where is
    /// tried last.
    pub async fn give_up(&self, shared: &Shared, to: Peer, address: &Arc<str>, error: PeerError) {
        let mut state = self.state.lock().await;
        // An answer that comes late says nothing of the connection that was opened since.
        if state.connection.take_if(|open| open.address == *address).is_none() {
            return;
        }
        state.mistaken = Some(address.clone());
        state.failed = Some(Failed { at: shared.identity.now(), addresses: shared.addresses_of(to), error });
    }

    /// Whether there is a connection now, and none is being opened.
    pub fn is_open(&self) -> bool {
        let state = self.state.try_lock();
        state.is_ok_and(|state| state.connection.as_ref().is_some_and(|open| !open.connection.is_closed()))
    }
}
