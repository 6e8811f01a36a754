//! What a node keeps of a password, enough to check it and not enough to use it elsewhere (RFC 5802).

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

type HmacSha256 = Hmac<Sha256>;

/// Length of a salt in bytes.
pub const SALT_BYTES: usize = 16;

/// The server's side of a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub salt: [u8; SALT_BYTES],
    pub iterations: u32,
    /// Hash of the key that a client proves to have.
    pub stored_key: [u8; 32],
    /// The key with which the server proves that it knows the user.
    pub server_key: [u8; 32],
}

impl Credentials {
    /// Derives them from a password; takes as long as `iterations` says.
    pub fn from_password(password: &[u8], salt: [u8; SALT_BYTES], iterations: u32) -> Credentials {
        let salted = SaltedPassword::new(password, &salt, iterations.max(1));
        let (stored_key, server_key) = (sha256(&salted.client_key()), salted.server_key());
        Credentials { salt, iterations: iterations.max(1), stored_key, server_key }
    }

    /// Whether these are of that password. Takes the same time whatever the answer.
    pub fn accept_password(&self, password: &[u8]) -> bool {
        let given = Credentials::from_password(password, self.salt, self.iterations);
        given.stored_key.ct_eq(&self.stored_key).into()
    }

    /// Credentials that no password fits, the same for the same user every time, so that an unknown user looks like a
    /// known one from outside.
    pub fn decoy(secret: &[u8; 32], user: &str, iterations: u32) -> Credentials {
        let draw = |purpose: &[u8]| hmac_sha256(secret, &[purpose, b":", user.as_bytes()]);
        let mut salt = [0; SALT_BYTES];
        salt.copy_from_slice(&draw(b"salt")[..SALT_BYTES]);
        Credentials { salt, iterations, stored_key: draw(b"stored key"), server_key: draw(b"server key") }
    }
}

/// What both sides derive from a password.
pub(super) struct SaltedPassword([u8; 32]);

impl SaltedPassword {
    /// Takes as long as `iterations` says.
    pub fn new(password: &[u8], salt: &[u8], iterations: u32) -> SaltedPassword {
        let mut salted = [0; 32];
        pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, iterations, &mut salted);
        SaltedPassword(salted)
    }

    /// What a client proves to have.
    pub fn client_key(&self) -> [u8; 32] {
        hmac_sha256(&self.0, &[b"Client Key"])
    }

    /// With which a node proves that it knows the user.
    pub fn server_key(&self) -> [u8; 32] {
        hmac_sha256(&self.0, &[b"Server Key"])
    }
}

impl std::fmt::Debug for Credentials {
    /// Without the keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

/// HMAC-SHA-256 over the pieces one after the other.
pub(super) fn hmac_sha256(key: &[u8], pieces: &[&[u8]]) -> [u8; 32] {
    let mut mac = HmacSha256::new_from_slice(key).expect("HMAC takes keys of any length");
    for piece in pieces {
        mac.update(piece);
    }
    mac.finalize().into_bytes().into()
}

pub(super) fn sha256(data: &[u8]) -> [u8; 32] {
    Sha256::digest(data).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_accepted_and_others_are_not() {
        let credentials = Credentials::from_password(b"secret", [7; SALT_BYTES], 3);
        assert!(credentials.accept_password(b"secret"));
        assert!(!credentials.accept_password(b"Secret"));
        assert!(!format!("{credentials:?}").contains("key"));
    }

    #[test]
    fn decoys_are_stable_per_user() {
        let decoy = |user| Credentials::decoy(&[1; 32], user, 1);
        assert_eq!(decoy("ann"), decoy("ann"));
        assert_ne!(decoy("ann").salt, decoy("bob").salt);
    }
}
