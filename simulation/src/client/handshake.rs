//! The client's side of the V1_0 handshake: SCRAM-SHA-256 (RFC 5802, RFC 7677) inside JSON messages that end with a NUL.

use std::io;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use photondb_runtime::network::ByteStream;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::limits::{HANDSHAKE_BYTES_MAX, PASSWORD_ITERATIONS_MAX};

const V1_0: u32 = 0x34c2_bdc3;

/// As whom a client logs in.
#[derive(Clone, Debug)]
pub struct Login {
    /// The user.
    pub user: String,
    /// The password; empty for none.
    pub password: String,
}

impl Default for Login {
    fn default() -> Login {
        Login { user: "admin".to_owned(), password: String::new() }
    }
}

/// Shakes hands. `nonce` is the client's half of the nonce. Errors: `PermissionDenied` when the node does not want this
/// user, `InvalidData` when it breaks the protocol or cannot prove that it knows the password, or the stream's.
pub async fn shake_hands(stream: &mut dyn ByteStream, login: &Login, nonce: u64) -> io::Result<()> {
    let user = login.user.replace('=', "=3D").replace(',', "=2C");
    let nonce = STANDARD.encode([nonce.to_le_bytes(), nonce.rotate_left(17).to_be_bytes()].concat());
    let bare = format!("n={user},r={nonce}");
    let first = json!({
        "protocol_version": 0,
        "authentication_method": "SCRAM-SHA-256",
        "authentication": format!("n,,{bare}"),
    });
    // A driver need not wait for the greeting before it says who it is.
    let mut hello = V1_0.to_le_bytes().to_vec();
    hello.extend(first.to_string().bytes());
    hello.push(0);
    stream.write_all(&hello).await?;
    stream.flush().await?;
    accepted(receive(stream).await?)?;
    let said = authentication(&accepted(receive(stream).await?)?)?;
    let part = |name: &str| said.split(',').find_map(|piece| piece.strip_prefix(name)).ok_or_else(|| strange(&said));
    let (nonces, salt, iterations) = (part("r=")?, part("s=")?, part("i=")?);
    let salt = STANDARD.decode(salt).map_err(|_| strange(&said))?;
    let iterations: u32 = iterations.parse().map_err(|_| strange(&said))?;
    if !nonces.starts_with(&nonce) || iterations == 0 || iterations > PASSWORD_ITERATIONS_MAX {
        return Err(strange(&said));
    }
    let without_proof = format!("c=biws,r={nonces}");
    let (proof, signature) = prove(login, &salt, iterations, &format!("{bare},{said},{without_proof}"));
    let last = json!({ "authentication": format!("{without_proof},p={}", STANDARD.encode(proof)) });
    stream.write_all(format!("{last}\0").as_bytes()).await?;
    stream.flush().await?;
    let verdict = authentication(&accepted(receive(stream).await?)?)?;
    if verdict != format!("v={}", STANDARD.encode(signature)) {
        return Err(strange(&verdict));
    }
    Ok(())
}

/// The client's proof and the node's signature over `said`.
fn prove(login: &Login, salt: &[u8], iterations: u32, said: &str) -> (Vec<u8>, Vec<u8>) {
    let mut salted = [0; 32];
    pbkdf2::pbkdf2_hmac::<Sha256>(login.password.as_bytes(), salt, iterations, &mut salted);
    let client_key = hmac(&salted, b"Client Key");
    let signed = hmac(&Sha256::digest(&client_key), said.as_bytes());
    let proof = client_key.iter().zip(&signed).map(|(key, signed)| key ^ signed).collect();
    (proof, hmac(&hmac(&salted, b"Server Key"), said.as_bytes()))
}

fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

async fn receive(stream: &mut dyn ByteStream) -> io::Result<Value> {
    let mut text = Vec::new();
    loop {
        match stream.read_u8().await? {
            0 => break,
            byte => text.push(byte),
        }
        if text.len() > HANDSHAKE_BYTES_MAX {
            return Err(strange("a message without an end"));
        }
    }
    serde_json::from_slice(&text).map_err(|_| strange(&String::from_utf8_lossy(&text)))
}

fn accepted(message: Value) -> io::Result<Value> {
    if message["success"] == true {
        return Ok(message);
    }
    Err(io::Error::new(io::ErrorKind::PermissionDenied, message["error"].to_string()))
}

fn authentication(message: &Value) -> io::Result<String> {
    message["authentication"].as_str().map(str::to_owned).ok_or_else(|| strange(&message.to_string()))
}

fn strange(said: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the node said in the handshake: {said}"))
}
