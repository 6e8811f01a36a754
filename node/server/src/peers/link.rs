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
    connection: Option<Connection>,
    /// The last attempt, if it failed.
    failed: Option<Failed>,
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
        if let Some(connection) = state.connection.as_ref().filter(|connection| !connection.is_closed()) {
            return Ok(connection::client(connection.clone()));
        }
        state.connection = None;
        let addresses = shared.addresses_of(to);
        let recently = |failed: &&Failed| {
            failed.addresses == addresses && shared.identity.now().since(failed.at) < PEER_RECONNECT_PAUSE
        };
        if let Some(failed) = state.failed.as_ref().filter(recently) {
            return Err(failed.error.clone());
        }
        match connection::connect(shared, &addresses).await {
            Ok(connection) => {
                state.failed = None;
                state.connection = Some(connection.clone());
                Ok(connection::client(connection))
            }
            Err(error) => {
                state.failed = Some(Failed { at: shared.identity.now(), addresses, error: error.clone() });
                Err(error)
            }
        }
    }
}
