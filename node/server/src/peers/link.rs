//! One lane to one node: a connection that is opened again after it broke.

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
    mistaken: Option<String>,
}

struct Open {
    connection: Connection,
    address: String,
}

struct Failed {
    at: Moment,
    addresses: Vec<String>,
    error: PeerError,
}

impl Link {
    /// A client of a connection that stands. Whoever comes while one is being opened waits for that; soon after an
    /// attempt has failed nobody tries again.
    pub async fn client(&self, shared: &Shared, to: Peer) -> Result<Client, PeerError> {
        let mut state = self.state.lock().await;
        if buggify!("server/link-opened-anew") {
            state.connection = None;
        }
        let addresses = shared.addresses_of(to);
        // A node that listens elsewhere now may have left its address, and the connection, to another one.
        let stands = |open: &&Open| !open.connection.is_closed() && addresses.contains(&open.address);
        if let Some(open) = state.connection.as_ref().filter(stands) {
            return Ok(connection::client(open.connection.clone()));
        }
        state.connection = None;
        let recently = |failed: &&Failed| {
            failed.addresses == addresses && shared.identity.now().since(failed.at) < PEER_RECONNECT_PAUSE
        };
        if let Some(failed) = state.failed.as_ref().filter(recently) {
            return Err(failed.error.clone());
        }
        let mut order = addresses.clone();
        order.sort_by_key(|address| state.mistaken.as_ref() == Some(address));
        match connection::connect(shared, &order).await {
            Ok((connection, address)) => {
                state.failed = None;
                state.connection = Some(Open { connection: connection.clone(), address });
                Ok(connection::client(connection))
            }
            Err(error) => {
                state.failed = Some(Failed { at: shared.identity.now(), addresses, error: error.clone() });
                Err(error)
            }
        }
    }

    /// Whoever answers is not `to`, as `error` says: the connection is given up, and where it led is tried last.
    pub async fn give_up(&self, shared: &Shared, to: Peer, error: PeerError) {
        let mut state = self.state.lock().await;
        let Some(open) = state.connection.take() else { return };
        state.mistaken = Some(open.address);
        state.failed = Some(Failed { at: shared.identity.now(), addresses: shared.addresses_of(to), error });
    }
}
