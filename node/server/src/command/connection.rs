//! A small blocking ReQL client, for the subcommands that talk to a running server.

mod stream;

use std::io;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{Arg, ArgMatches, Command};
use hmac::{Hmac, KeyInit, Mac};
use photondb_reql::TermKind;
use photondb_reql::wire::frame::{Token, write_frame};
use photondb_runtime::random::Random;
use photondb_runtime::system::SystemRandom;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::tls::TlsError;
use stream::Stream;

/// The first bytes of a connection that speaks V1_0.
const MAGIC_V1_0: [u8; 4] = 0x34c2_bdc3_u32.to_le_bytes();

/// How TLS begins to tell somebody who does not speak it that it does not understand: a record of type alert, version 3.
const TLS_ALERT: [u8; 2] = [0x15, 0x03];

/// How long an answer may take.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(60);

/// The longest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 128 * 1024 * 1024;

/// Why a server did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody answers there.
    #[error("cannot connect to {address}: {source}; is the server running?")]
    Unreachable { address: String, source: io::Error },
    /// The connection broke.
    #[error("the connection to the server broke: {0}")]
    Broken(#[from] io::Error),
    /// The options about TLS name files of no use.
    #[error(transparent)]
    TlsFile(#[from] TlsError),
    /// The library refuses.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    /// It was spoken to in the clear.
    #[error("the server speaks TLS there (--tls-ca)")]
    SpeaksTls,
    /// It was spoken to in TLS.
    #[error("the server does not speak TLS there")]
    NoTls,
    /// There is nothing that the server's certificate could be compared with.
    #[error("no certificate can name `{host}`")]
    NoName { host: String },
    /// The login was refused.
    #[error("login refused: {0}")]
    Refused(String),
    /// What came back is not ReQL.
    #[error("the server's answer makes no sense: {0}")]
    Nonsense(&'static str),
    /// The query failed.
    #[error("{0}")]
    Query(String),
}

/// A connection that has logged in.
pub struct Connection {
    stream: Box<dyn Stream>,
    token: u64,
}

impl Connection {
    /// The options that every subcommand with a connection has.
    pub fn arguments(command: Command) -> Command {
        stream::arguments(command)
            .arg(
                Arg::new("connect")
                    .long("connect")
                    .value_name("HOST:PORT")
                    .default_value("localhost:28015")
                    .help("The server's ReQL port"),
            )
            .arg(Arg::new("user").long("user").default_value("admin").help("The user to log in as"))
            .arg(Arg::new("password").long("password").default_value("").help("The user's password"))
    }

    /// Connects as the options say.
    pub fn from_arguments(arguments: &ArgMatches) -> Result<Connection, ClientError> {
        let text = |name: &str| arguments.get_one::<String>(name).map_or("", String::as_str);
        let stream = stream::open(text("connect"), stream::tls(arguments)?)?;
        Connection::over(stream, text("user"), text("password"))
    }

    /// Connects to `address` (host and port), in the clear, and logs in.
    pub fn open(address: &str, user: &str, password: &str) -> Result<Connection, ClientError> {
        Connection::over(stream::open(address, None)?, user, password)
    }

    fn over(stream: Box<dyn Stream>, user: &str, password: &str) -> Result<Connection, ClientError> {
        let mut connection = Connection { stream, token: 0 };
        connection.log_in(user, password)?;
        Ok(connection)
    }

    /// SCRAM-SHA-256 (RFC 5802, 7677) inside RethinkDB's JSON messages.
    fn log_in(&mut self, user: &str, password: &str) -> Result<(), ClientError> {
        self.stream.write_all(&MAGIC_V1_0)?;
        self.read_message()?;
        let mut nonce = [0; 18];
        SystemRandom.fill(&mut nonce);
        let nonce = STANDARD.encode(nonce);
        let name = user.replace('=', "=3D").replace(',', "=2C");
        let first = format!("n={name},r={nonce}");
        self.write_message(&json!({
            "protocol_version": 0,
            "authentication_method": "SCRAM-SHA-256",
            "authentication": format!("n,,{first}"),
        }))?;
        let challenge = self.read_authentication()?;
        let both_nonces = field(&challenge, "r")?;
        if !both_nonces.starts_with(&nonce) {
            return Err(ClientError::Nonsense("its nonce does not continue ours"));
        }
        let salt = STANDARD.decode(field(&challenge, "s")?).map_err(|_| ClientError::Nonsense("no salt"))?;
        let iterations = field(&challenge, "i")?.parse().map_err(|_| ClientError::Nonsense("no iteration count"))?;
        let mut salted = [0; 32];
        pbkdf2::pbkdf2_hmac::<Sha256>(password.as_bytes(), &salt, iterations, &mut salted);
        let unproved = format!("c=biws,r={both_nonces}");
        let transcript = format!("{first},{challenge},{unproved}");
        let client_key = keyed_hash(&salted, b"Client Key");
        let signature = keyed_hash(&Sha256::digest(client_key), transcript.as_bytes());
        let proof: Vec<u8> = client_key.iter().zip(signature).map(|(key, sign)| key ^ sign).collect();
        self.write_message(&json!({ "authentication": format!("{unproved},p={}", STANDARD.encode(proof)) }))?;
        let server_proof = self.read_authentication()?;
        let expected = keyed_hash(&keyed_hash(&salted, b"Server Key"), transcript.as_bytes());
        if STANDARD.decode(field(&server_proof, "v")?).ok().as_deref() != Some(&expected[..]) {
            return Err(ClientError::Nonsense("the server does not know the password"));
        }
        Ok(())
    }

    fn write_message(&mut self, message: &Value) -> Result<(), ClientError> {
        Ok(self.stream.write_all(format!("{message}\0").as_bytes())?)
    }

    /// One message of the login, up to its NUL.
    fn read_message(&mut self) -> Result<Value, ClientError> {
        let mut text = Vec::new();
        let mut byte = [0];
        loop {
            self.stream.read_exact(&mut byte)?;
            if byte[0] == 0 {
                break;
            }
            text.push(byte[0]);
            if text == TLS_ALERT {
                return Err(ClientError::SpeaksTls);
            }
            if text.len() > 64 * 1024 {
                return Err(ClientError::Nonsense("an endless message"));
            }
        }
        let message: Value = serde_json::from_slice(&text)
            .map_err(|_| ClientError::Refused(String::from_utf8_lossy(&text).trim().to_owned()))?;
        match message["success"] {
            Value::Bool(true) => Ok(message),
            _ => Err(ClientError::Refused(message["error"].as_str().unwrap_or("without a reason").to_owned())),
        }
    }

    fn read_authentication(&mut self) -> Result<String, ClientError> {
        let message = self.read_message()?;
        message["authentication"].as_str().map(str::to_owned).ok_or(ClientError::Nonsense("no authentication"))
    }

    /// Runs a term to its end. A sequence comes back as an array.
    pub fn run(&mut self, term: &Value) -> Result<Value, ClientError> {
        self.token += 1;
        self.send(&json!([1, term, {}]))?;
        let mut rows = Vec::new();
        loop {
            let mut answer = self.receive()?;
            let mut results = match answer["r"].take() {
                Value::Array(results) => results,
                _ => return Err(ClientError::Nonsense("no results")),
            };
            match answer["t"].as_u64() {
                Some(1) => return results.pop().ok_or(ClientError::Nonsense("an empty result")),
                Some(2) => {
                    rows.append(&mut results);
                    return Ok(Value::Array(rows));
                }
                Some(3) => {
                    rows.append(&mut results);
                    self.send(&json!([2]))?;
                }
                _ => {
                    let text = results.first().and_then(Value::as_str).unwrap_or("an error without a message");
                    return Err(ClientError::Query(text.to_owned()));
                }
            }
        }
    }

    fn send(&mut self, message: &Value) -> Result<(), ClientError> {
        let mut frame = Vec::new();
        write_frame(Token(self.token), &mut frame, |body| body.extend_from_slice(message.to_string().as_bytes()));
        Ok(self.stream.write_all(&frame)?)
    }

    fn receive(&mut self) -> Result<Value, ClientError> {
        let mut header = [0; 12];
        self.stream.read_exact(&mut header)?;
        let [.., a, b, c, d] = header;
        let length = u32::from_le_bytes([a, b, c, d]) as usize;
        if length > ANSWER_BYTES_MAX {
            return Err(ClientError::Nonsense("an answer that is too long"));
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        serde_json::from_slice(&body).map_err(|_| ClientError::Nonsense("not JSON"))
    }
}

/// A term as the wire has it.
pub fn term(kind: TermKind, arguments: &[Value]) -> Value {
    json!([kind.number(), arguments])
}

fn keyed_hash(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text);
    mac.finalize().into_bytes().into()
}

/// The value of `name` in `a=1,b=2`.
fn field<'a>(message: &'a str, name: &str) -> Result<&'a str, ClientError> {
    message
        .split(',')
        .find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
        .ok_or(ClientError::Nonsense("a field of the login is missing"))
}
