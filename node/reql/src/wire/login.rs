//! The client's side of the beginning of a connection: V1_0 with SCRAM-SHA-256, as [`handshake`](super::handshake) is the node's.
//! Bytes in, bytes out.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq;

use super::credentials::{SaltedPassword, hmac_sha256, sha256};
use super::handshake::MAGIC_V1_0;
use super::scram::NONCE_BYTES;
use crate::datum::json;
use crate::datum::{Datum, Object};
use crate::limits::{HANDSHAKE_BYTES_MAX, PASSWORD_ITERATIONS_MAX};

/// Why a login came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// The node says no; in its words.
    #[error("{message}")]
    Refused { message: String, code: u32 },
    /// Whoever is there does not speak the protocol.
    #[error("not a driver port: {0}")]
    Strange(&'static str),
    /// Whoever is there does not know the password either.
    #[error("the other side does not prove that it knows the user")]
    Unproven,
}

/// How far a login is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginProgress {
    /// The node has to say more.
    Reading,
    /// Queries may be sent.
    Done,
}

/// A login in progress. Send [`ClientLogin::begin`], then feed it what arrives and send what it appends.
pub struct ClientLogin {
    password: String,
    first_bare: String,
    nonce: String,
    state: State,
    /// What arrived and was not used yet.
    buffer: Vec<u8>,
}

enum State {
    /// The node introduces itself.
    Hello,
    /// The node sends salt and nonce.
    Salt,
    /// The node proves itself with this signature.
    Proof([u8; 32]),
}

impl ClientLogin {
    /// `nonce` is fresh randomness.
    pub fn new(user: &str, password: &str, nonce: [u8; NONCE_BYTES]) -> ClientLogin {
        let nonce = STANDARD.encode(nonce);
        let user = user.replace('=', "=3D").replace(',', "=2C");
        let first_bare = format!("n={user},r={nonce}");
        ClientLogin { password: password.to_owned(), first_bare, nonce, state: State::Hello, buffer: Vec::new() }
    }

    /// What is sent first.
    pub fn begin(&self) -> Vec<u8> {
        let mut out = MAGIC_V1_0.to_le_bytes().to_vec();
        let first = Object::from([
            ("protocol_version", Datum::from(0)),
            ("authentication_method", Datum::from("SCRAM-SHA-256")),
            ("authentication", Datum::from(format!("n,,{}", self.first_bare))),
        ]);
        write_message(first, &mut out);
        out
    }

    /// Takes bytes from the node; appends bytes for it to `out`.
    pub fn receive(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<LoginProgress, LoginError> {
        self.buffer.extend_from_slice(bytes);
        while let Some(end) = self.buffer.iter().position(|byte| *byte == 0) {
            let message: Vec<u8> = self.buffer.drain(..=end).take(end).collect();
            let fields = match json::parse(&message) {
                Ok(Datum::Object(fields)) => fields,
                // An old node, and many another server, says in plain text what it does not like.
                _ => return Err(LoginError::Strange("its answer is no JSON")),
            };
            if let Some(progress) = self.step(&fields, out)? {
                return Ok(progress);
            }
        }
        if self.buffer.len() > HANDSHAKE_BYTES_MAX {
            return Err(LoginError::Strange("its answer has no end"));
        }
        Ok(LoginProgress::Reading)
    }

    fn step(&mut self, fields: &Object, out: &mut Vec<u8>) -> Result<Option<LoginProgress>, LoginError> {
        if fields.get("success") != Some(Datum::Bool(true)) {
            let message = text(fields, "error")?;
            let code = fields.get("error_code").and_then(|code| code.as_integer().ok()).unwrap_or(0);
            return Err(LoginError::Refused { message, code: u32::try_from(code).unwrap_or(0) });
        }
        match self.state {
            State::Hello => {
                self.state = State::Salt;
                Ok(None)
            }
            State::Salt => {
                let server_first = text(fields, "authentication")?;
                let (answer, signature) = self.prove(&server_first)?;
                write_message(Object::from([("authentication", Datum::from(answer))]), out);
                self.state = State::Proof(signature);
                Ok(None)
            }
            State::Proof(expected) => {
                let proof = text(fields, "authentication")?;
                let proof = proof.strip_prefix("v=").and_then(|proof| STANDARD.decode(proof).ok()).unwrap_or_default();
                if bool::from(proof.ct_eq(&expected)) {
                    Ok(Some(LoginProgress::Done))
                } else {
                    Err(LoginError::Unproven)
                }
            }
        }
    }

    /// The message that proves the password, and the signature by which the node is to prove itself.
    fn prove(&self, server_first: &str) -> Result<(String, [u8; 32]), LoginError> {
        let attribute = |name: &str| {
            let found = server_first.split(',').find_map(|attribute| attribute.strip_prefix(name));
            found.ok_or(LoginError::Strange("its login lacks something"))
        };
        let (nonce, salt, iterations) = (attribute("r=")?, attribute("s=")?, attribute("i=")?);
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err(LoginError::Strange("its login is not an answer to this one"));
        }
        let salt = STANDARD.decode(salt).map_err(|_| LoginError::Strange("its salt is no base64"))?;
        let iterations = iterations.parse().ok().filter(|count| (1..=PASSWORD_ITERATIONS_MAX).contains(count));
        let iterations = iterations.ok_or(LoginError::Strange("it asks for more work than a login is"))?;
        let salted = SaltedPassword::new(self.password.as_bytes(), &salt, iterations);
        let without_proof = format!("c=biws,r={nonce}");
        let said = [self.first_bare.as_bytes(), b",", server_first.as_bytes(), b",", without_proof.as_bytes()];
        let key = salted.client_key();
        let mask = hmac_sha256(&sha256(&key), &said);
        let mut proof = key;
        proof.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
        Ok((format!("{without_proof},p={}", STANDARD.encode(proof)), hmac_sha256(&salted.server_key(), &said)))
    }
}

fn text(fields: &Object, name: &str) -> Result<String, LoginError> {
    match fields.get(name) {
        Some(Datum::String(text)) => Ok(text.to_string()),
        _ => Err(LoginError::Strange("its answer lacks something")),
    }
}

fn write_message(fields: Object, out: &mut Vec<u8>) {
    Datum::Object(fields).write_json(out).expect("texts and numbers have JSON");
    out.push(0);
}

#[cfg(test)]
mod tests {
    use super::super::credentials::Credentials;
    use super::super::handshake::{Accounts, Handshake, Progress};
    use super::*;

    struct Accepts(&'static str, &'static str);

    impl Accounts for Accepts {
        fn credentials(&mut self, user: &str) -> Option<Credentials> {
            (user == self.0).then(|| Credentials::from_password(self.1.as_bytes(), [3; 16], 7))
        }

        fn nonce(&mut self) -> [u8; NONCE_BYTES] {
            [9; NONCE_BYTES]
        }

        fn decoy_secret(&mut self) -> [u8; 32] {
            [1; 32]
        }
    }

    /// Lets both sides speak until one is done; bytes go in pieces of `piece`.
    fn log_in(user: &str, password: &str, piece: usize) -> (Result<LoginProgress, LoginError>, Progress) {
        let mut client = ClientLogin::new(user, password, [5; NONCE_BYTES]);
        let (mut node, mut accounts) = (Handshake::new("2.4.4"), Accepts("a,b=c", "secret"));
        let mut to_node = client.begin();
        loop {
            let mut to_client = Vec::new();
            let mut at_node = Progress::Reading;
            for bytes in to_node.chunks(piece) {
                at_node = node.receive(bytes, &mut accounts, &mut to_client);
            }
            let mut answer = Vec::new();
            let mut at_client = Ok(LoginProgress::Reading);
            for bytes in to_client.chunks(piece) {
                at_client = client.receive(bytes, &mut answer);
            }
            if at_client != Ok(LoginProgress::Reading) {
                return (at_client, at_node);
            }
            to_node = answer;
        }
    }

    #[test]
    fn both_sides_agree_who_is_in() {
        for piece in [1, 7, 10_000] {
            let (client, node) = log_in("a,b=c", "secret", piece);
            assert_eq!(client, Ok(LoginProgress::Done));
            assert!(matches!(node, Progress::Authenticated { user, .. } if user == "a,b=c"));
        }
    }

    #[test]
    fn a_wrong_password_is_refused_in_the_words_of_the_node() {
        for (user, password) in [("a,b=c", "Secret"), ("nobody", "secret")] {
            let (client, node) = log_in(user, password, 10_000);
            assert_eq!(client, Err(LoginError::Refused { message: "Wrong password".to_owned(), code: 12 }));
            assert_eq!(node, Progress::Refused);
        }
    }

    #[test]
    fn who_does_not_know_the_password_is_not_believed() {
        let hello = b"{\"success\":true}\0";
        let receive = |login: &mut ClientLogin, bytes: &[u8]| login.receive(bytes, &mut Vec::new());
        let start = || {
            let mut login = ClientLogin::new("u", "p", [5; NONCE_BYTES]);
            assert_eq!(receive(&mut login, hello), Ok(LoginProgress::Reading));
            login
        };
        let nonce = STANDARD.encode([5; NONCE_BYTES]);
        let first = |text: &str| format!("{{\"success\":true,\"authentication\":\"{text}\"}}\0").into_bytes();
        let mut login = start();
        assert_eq!(receive(&mut login, &first(&format!("r={nonce}x,s=AAAA,i=1"))), Ok(LoginProgress::Reading));
        assert_eq!(receive(&mut login, &first("v=AAAA")), Err(LoginError::Unproven));
        for other in [
            "r=other,s=AAAA,i=1".to_owned(),
            format!("r={nonce},s=AAAA,i=1"),
            format!("r={nonce}x,s=AAAA,i=4000000000"),
        ] {
            assert!(matches!(receive(&mut start(), &first(&other)), Err(LoginError::Strange(_))), "{other}");
        }
        let mut login = ClientLogin::new("u", "p", [5; NONCE_BYTES]);
        assert!(matches!(receive(&mut login, b"ERROR: old\n\0"), Err(LoginError::Strange(_))));
        let mut login = ClientLogin::new("u", "p", [5; NONCE_BYTES]);
        assert!(matches!(receive(&mut login, &[b'x'; 5000]), Err(LoginError::Strange(_))));
    }
}
