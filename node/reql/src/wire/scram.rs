//! The server's side of SCRAM-SHA-256 (RFC 5802, RFC 7677), without channel binding and without extensions.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq;

use super::credentials::{Credentials, hmac_sha256, sha256};

/// Bytes of randomness in the server's half of the nonce.
pub const NONCE_BYTES: usize = 18;

/// Why authentication failed, with RethinkDB's numbers and words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ScramError {
    #[error("Invalid encoding")]
    Encoding,
    #[error("Wrong password")]
    Password,
    #[error("Extensions not supported")]
    Extensions,
    #[error("Channel binding is not supported")]
    ChannelBinding,
    #[error("Invalid username encoding")]
    Username,
}

impl ScramError {
    pub fn code(self) -> u32 {
        match self {
            ScramError::Encoding => 10,
            ScramError::Password => 12,
            ScramError::Extensions => 14,
            ScramError::ChannelBinding => 15,
            ScramError::Username => 18,
        }
    }
}

/// What the client said first.
pub(super) struct ClientFirst {
    pub user: String,
    nonce: String,
    bare: String,
}

impl ClientFirst {
    /// `n,,n=user,r=nonce`
    pub fn parse(message: &str) -> Result<ClientFirst, ScramError> {
        let rest = message.strip_prefix("n,").ok_or(ScramError::ChannelBinding)?;
        let (_authorise_as, bare) = rest.split_once(',').ok_or(ScramError::Encoding)?;
        let (mut user, mut nonce) = (None, None);
        for attribute in attributes(bare) {
            match attribute? {
                ('n', value) if user.is_none() => user = Some(decode_name(value)?),
                ('r', value) if nonce.is_none() => nonce = Some(value.to_owned()),
                ('m', _) => return Err(ScramError::Extensions),
                _ => return Err(ScramError::Encoding),
            }
        }
        match (user, nonce) {
            (Some(user), Some(nonce)) => Ok(ClientFirst { user, nonce, bare: bare.to_owned() }),
            _ => Err(ScramError::Encoding),
        }
    }
}

fn attributes(message: &str) -> impl Iterator<Item = Result<(char, &str), ScramError>> {
    message.split(',').map(|attribute| {
        let (name, value) = attribute.split_once('=').ok_or(ScramError::Encoding)?;
        let mut letters = name.chars();
        match (letters.next(), letters.next()) {
            (Some(letter), None) => Ok((letter, value)),
            _ => Err(ScramError::Encoding),
        }
    })
}

/// Undoes `=2C` and `=3D`.
fn decode_name(text: &str) -> Result<String, ScramError> {
    let mut name = String::with_capacity(text.len());
    let mut pieces = text.split('=');
    name.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        let (letter, rest) = match (piece.strip_prefix("2C"), piece.strip_prefix("3D")) {
            (Some(rest), _) => (',', rest),
            (None, Some(rest)) => ('=', rest),
            (None, None) => return Err(ScramError::Username),
        };
        name.push(letter);
        name.push_str(rest);
    }
    Ok(name)
}

/// An exchange that waits for the client's proof.
pub(super) struct Exchange {
    pub user: String,
    credentials: Credentials,
    nonce: String,
    client_first_bare: String,
    server_first: String,
}

impl Exchange {
    /// Starts the exchange; the second value is the server's first message.
    pub fn start(first: ClientFirst, credentials: Credentials, nonce: &[u8]) -> (Exchange, String) {
        let nonce = format!("{}{}", first.nonce, STANDARD.encode(nonce));
        let server_first = format!("r={nonce},s={},i={}", STANDARD.encode(credentials.salt), credentials.iterations);
        let exchange = Exchange {
            user: first.user,
            credentials,
            nonce,
            client_first_bare: first.bare,
            server_first: server_first.clone(),
        };
        (exchange, server_first)
    }

    /// Checks the proof in `c=biws,r=nonce,p=proof` and answers the server's own, `v=signature`.
    pub fn finish(&self, message: &str) -> Result<String, ScramError> {
        let (mut binding, mut nonce, mut proof) = (None, None, None);
        for attribute in attributes(message) {
            match attribute? {
                ('c', value) if binding.is_none() => binding = Some(value),
                ('r', value) if nonce.is_none() => nonce = Some(value),
                ('p', value) if proof.is_none() => proof = Some(value),
                ('m', _) => return Err(ScramError::Extensions),
                _ => return Err(ScramError::Encoding),
            }
        }
        let (Some("biws"), Some(nonce), Some(proof)) = (binding, nonce, proof) else {
            return Err(ScramError::Encoding);
        };
        let without_proof = message.rsplit_once(",p=").ok_or(ScramError::Encoding)?.0;
        let said: [&[u8]; 5] =
            [self.client_first_bare.as_bytes(), b",", self.server_first.as_bytes(), b",", without_proof.as_bytes()];
        let signature = hmac_sha256(&self.credentials.stored_key, &said);
        // A proof of the wrong length is replaced by one that is surely wrong, so that all failures take the same way.
        let mut key: [u8; 32] = STANDARD.decode(proof).ok().and_then(|proof| proof.try_into().ok()).unwrap_or([0; 32]);
        key.iter_mut().zip(signature).for_each(|(byte, mask)| *byte ^= mask);
        let proven = sha256(&key).ct_eq(&self.credentials.stored_key) & nonce.as_bytes().ct_eq(self.nonce.as_bytes());
        let answer = hmac_sha256(&self.credentials.server_key, &said);
        if bool::from(proven) { Ok(format!("v={}", STANDARD.encode(answer))) } else { Err(ScramError::Password) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_decoded() {
        assert_eq!(decode_name("a=2Cb=3D"), Ok("a,b=".to_owned()));
        assert_eq!(decode_name("a=2c"), Err(ScramError::Username));
        assert_eq!(decode_name("a="), Err(ScramError::Username));
    }

    #[test]
    fn first_messages_are_checked() {
        let fault = |text| ClientFirst::parse(text).err();
        assert_eq!(fault("n,,n=admin,r=x"), None);
        assert_eq!(fault("n,a=other,n=admin,r=x"), None);
        assert_eq!(fault("y,,n=admin,r=x"), Some(ScramError::ChannelBinding));
        assert_eq!(fault("p=tls,,n=admin,r=x"), Some(ScramError::ChannelBinding));
        assert_eq!(fault("n,,n=admin"), Some(ScramError::Encoding));
        assert_eq!(fault("n,,n=admin,r=x,n=b"), Some(ScramError::Encoding));
        assert_eq!(fault("n,,m=1,n=admin,r=x"), Some(ScramError::Extensions));
    }
}
