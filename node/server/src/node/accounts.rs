//! Passwords: from the cluster state to what a login checks against.

use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use photondb_cluster_state::{ClusterState, Credentials as StoredCredentials};
use photondb_reql::limits::PASSWORD_ITERATIONS;
use photondb_reql::wire::credentials::{Credentials, SALT_BYTES};
use photondb_runtime::random::Random;
use sha2::{Digest, Sha256};

use crate::client::reql::Users;

/// Gives the newest cluster state that this node has applied.
pub type CurrentState = Arc<dyn Fn() -> Arc<ClusterState> + Send + Sync>;

/// The users of the cluster state.
pub struct ClusterUsers {
    state: CurrentState,
}

impl ClusterUsers {
    /// Looks users up in what `state` gives at that moment.
    pub fn new(state: CurrentState) -> Self {
        Self { state }
    }
}

impl Users for ClusterUsers {
    fn credentials(&self, user: &str) -> Option<Credentials> {
        let state = (self.state)();
        match &state.user(user)?.credentials {
            Some(stored) => wire_credentials(stored),
            // As RethinkDB keeps it: the empty password, in one round.
            None => {
                let like_others = Credentials::decoy(&self.decoy_secret(), user, 1);
                Some(Credentials::from_password(b"", like_others.salt, 1))
            }
        }
    }

    /// The cluster's id is known to no client, and it never changes.
    fn decoy_secret(&self) -> [u8; 32] {
        let cluster = (self.state)().cluster().map_or(0, |cluster| cluster.0);
        keyed_hash(&cluster.to_be_bytes(), b"photondb unknown users")
    }
}

/// What is stored of a new password.
pub fn store_password(password: &str, random: &dyn Random) -> StoredCredentials {
    store_password_with(password, PASSWORD_ITERATIONS, random)
}

/// As [`store_password`], with so many rounds.
pub fn store_password_with(password: &str, iterations: u32, random: &dyn Random) -> StoredCredentials {
    let mut salt = [0; SALT_BYTES];
    random.fill(&mut salt);
    let mut salted = [0; 32];
    pbkdf2::pbkdf2_hmac::<Sha256>(password.as_bytes(), &salt, iterations, &mut salted);
    StoredCredentials { salt: salt.to_vec(), iterations, salted_password: salted.to_vec() }
}

/// RFC 5802, section 3: both keys follow from the salted password.
fn wire_credentials(stored: &StoredCredentials) -> Option<Credentials> {
    let salt = <[u8; SALT_BYTES]>::try_from(stored.salt.as_slice()).ok()?;
    let stored_key = Sha256::digest(keyed_hash(&stored.salted_password, b"Client Key")).into();
    let server_key = keyed_hash(&stored.salted_password, b"Server Key");
    Some(Credentials { salt, iterations: stored.iterations, stored_key, server_key })
}

fn keyed_hash(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use photondb_cluster_state::{ADMIN, Command};
    use photondb_runtime::random::SeededRandom;

    use super::*;

    fn users(credentials: Option<StoredCredentials>) -> ClusterUsers {
        let state = Arc::new(ClusterState::at_birth());
        let (state, _) = state.applied(&Command::SetUser { name: ADMIN.to_owned(), credentials }).unwrap();
        ClusterUsers::new(Arc::new(move || state.clone()))
    }

    #[test]
    fn a_stored_password_is_the_one_that_logs_in() {
        let users = users(Some(store_password("secret", &SeededRandom::new(1))));
        let credentials = users.credentials(ADMIN).unwrap();
        assert!(credentials.accept_password(b"secret"));
        assert!(!credentials.accept_password(b""));
        assert!(users.credentials("nobody").is_none());
    }

    #[test]
    fn without_a_password_the_empty_one_logs_in() {
        let users = users(None);
        let credentials = users.credentials(ADMIN).unwrap();
        assert!(credentials.accept_password(b""));
        assert!(!credentials.accept_password(b"secret"));
        assert_eq!(users.credentials(ADMIN).unwrap(), credentials);
    }
}
