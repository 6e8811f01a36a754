//! The beginning of a connection: bytes in, bytes out, until it is known who speaks which protocol.
//!
//! V1_0 exchanges JSON messages, each ended by a NUL, around SCRAM-SHA-256. V0_4 and V0_3 send a key (the password of
//! `admin`) and the number of an encoding, of which only JSON is spoken. Whoever is unknown gets the same answers after the
//! same work as whoever gives a wrong password.

use super::credentials::Credentials;
use super::scram::{ClientFirst, Exchange, NONCE_BYTES, ScramError};
use crate::datum::json;
use crate::datum::{Datum, Object};
use crate::limits::{HANDSHAKE_BYTES_MAX, PASSWORD_ITERATIONS};

const MAGIC_V0_1: u32 = 0x3f61_ba36;
const MAGIC_V0_2: u32 = 0x7230_81e1;
const MAGIC_V0_3: u32 = 0x5f75_e83e;
const MAGIC_V0_4: u32 = 0x400c_2d20;
pub(super) const MAGIC_V1_0: u32 = 0x34c2_bdc3;

const ENCODING_JSON: u32 = 0x7e69_70c7;
const ENCODING_PROTOBUF: u32 = 0x271f_fc41;

/// Who may connect, and the randomness the exchange needs.
pub trait Accounts {
    /// What is stored of a user's password; nothing if there is no such user.
    fn credentials(&mut self, user: &str) -> Option<Credentials>;

    /// Fresh random bytes for a nonce.
    fn nonce(&mut self) -> [u8; NONCE_BYTES];

    /// A secret of the cluster or node that never changes: it makes unknown users look like known ones.
    fn decoy_secret(&mut self) -> [u8; 32];
}

/// The protocols a client can choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// One query at a time per connection; streams may answer empty batches.
    V0_3,
    V0_4,
    V1_0,
}

/// How far the handshake has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The client has to say more.
    Reading,
    /// Somebody is in. What came after the handshake is `rest`, the beginning of the first frame.
    Authenticated { user: String, version: Version, rest: Vec<u8> },
    /// It failed: send what there is to send, then close.
    Refused,
}

/// The state machine. Feed it what arrives, send what it appends, until the progress is not `Reading`.
pub struct Handshake {
    server_version: String,
    state: State,
    /// What arrived and was not used yet.
    buffer: Vec<u8>,
    /// What was used so far.
    used: usize,
}

enum State {
    Magic,
    /// V0_3 and V0_4: key and encoding.
    Key(Version),
    /// V1_0: the client's first message.
    First,
    /// V1_0: the client's proof.
    Proof(Box<Exchange>),
    Over,
}

/// The handshake cannot go on.
enum Stop {
    /// Something is missing yet.
    Incomplete,
    /// RethinkDB's number and words.
    Fault(u32, String),
    /// RethinkDB closes the connection here without a word.
    Silent,
}

impl From<ScramError> for Stop {
    fn from(error: ScramError) -> Stop {
        Stop::Fault(error.code(), error.to_string())
    }
}

impl Handshake {
    /// `server_version` is what V1_0 clients are told, such as `2.4.4-photondb`.
    pub fn new(server_version: impl Into<String>) -> Handshake {
        Handshake { server_version: server_version.into(), state: State::Magic, buffer: Vec::new(), used: 0 }
    }

    /// Takes bytes from the client; appends bytes for the client to `out`.
    pub fn receive(&mut self, bytes: &[u8], accounts: &mut dyn Accounts, out: &mut Vec<u8>) -> Progress {
        self.buffer.extend_from_slice(bytes);
        loop {
            let json = matches!(self.state, State::First | State::Proof(_));
            match self.step(accounts, out) {
                Ok(Some((user, version))) => {
                    self.state = State::Over;
                    return Progress::Authenticated { user, version, rest: std::mem::take(&mut self.buffer) };
                }
                Ok(None) => {}
                Err(Stop::Incomplete) if self.used + self.buffer.len() <= HANDSHAKE_BYTES_MAX => {
                    return Progress::Reading;
                }
                Err(stop) => {
                    match stop {
                        Stop::Incomplete => write_fault(json, 7, "Limited read buffer size.", out),
                        Stop::Fault(code, text) => write_fault(json, code, &text, out),
                        Stop::Silent => {}
                    }
                    self.state = State::Over;
                    self.buffer = Vec::new();
                    return Progress::Refused;
                }
            }
        }
    }

    fn step(&mut self, accounts: &mut dyn Accounts, out: &mut Vec<u8>) -> Result<Option<(String, Version)>, Stop> {
        match &self.state {
            State::Magic => self.magic(out).map(|()| None),
            State::Key(version) => {
                let version = *version;
                self.key(accounts)?;
                out.extend_from_slice(b"SUCCESS\0");
                Ok(Some(("admin".to_owned(), version)))
            }
            State::First => {
                let message = self.message()?;
                let exchange = first_message(&message, accounts, out)?;
                self.state = State::Proof(Box::new(exchange));
                Ok(None)
            }
            State::Proof(_) => {
                let message = self.message()?;
                let State::Proof(exchange) = &self.state else { return Err(Stop::Silent) };
                let answer = exchange.finish(&authentication(&message)?)?;
                write_answer(&answer, out);
                Ok(Some((exchange.user.clone(), Version::V1_0)))
            }
            State::Over => Err(Stop::Silent),
        }
    }

    fn magic(&mut self, out: &mut Vec<u8>) -> Result<(), Stop> {
        let magic = self.u32_at(0)?;
        self.consume(4);
        self.state = match magic {
            MAGIC_V1_0 => {
                let hello = Object::from([("max_protocol_version", 0), ("min_protocol_version", 0)])
                    .with("server_version", self.server_version.as_str())
                    .with("success", true);
                write_message(&hello, out);
                State::First
            }
            MAGIC_V0_4 => State::Key(Version::V0_4),
            MAGIC_V0_3 => State::Key(Version::V0_3),
            MAGIC_V0_1 | MAGIC_V0_2 => return Err(fault("The PROTOBUF client protocol is no longer supported")),
            _ => {
                return Err(fault(
                    "Received an unsupported protocol version. This port is for RethinkDB queries. Does your client \
                     driver version not match the server?",
                ));
            }
        };
        Ok(())
    }

    /// `length: u32, key, encoding: u32`
    fn key(&mut self, accounts: &mut dyn Accounts) -> Result<(), Stop> {
        let length = self.u32_at(0)? as usize;
        if length > HANDSHAKE_BYTES_MAX {
            return Err(fault("Client provided an authorization key that is too long."));
        }
        let key = self.buffer.get(4..4 + length).ok_or(Stop::Incomplete)?;
        // The encoding is read only after the key, which a client may learn to be wrong before it has sent that.
        let credentials = accounts.credentials("admin");
        let known = credentials.is_some();
        let credentials =
            credentials.unwrap_or_else(|| Credentials::decoy(&accounts.decoy_secret(), "admin", PASSWORD_ITERATIONS));
        let encoding = self.u32_at(4 + length);
        if !(credentials.accept_password(key) && known) {
            return Err(fault("Incorrect authorization key."));
        }
        match encoding? {
            ENCODING_JSON => {}
            ENCODING_PROTOBUF => return Err(fault("The PROTOBUF client protocol is no longer supported")),
            other => return Err(fault(&format!("Unrecognized protocol specified: '{}'", other as i32))),
        }
        self.consume(8 + length);
        Ok(())
    }

    /// The next message of V1_0 without its NUL.
    fn message(&mut self) -> Result<Object, Stop> {
        let end = self.buffer.iter().position(|byte| *byte == 0).ok_or(Stop::Incomplete)?;
        if self.used + end >= HANDSHAKE_BYTES_MAX {
            return Err(Stop::Fault(7, "Limited read buffer size.".to_owned()));
        }
        let parsed = json::parse(&self.buffer[..end]);
        self.consume(end + 1);
        match parsed {
            Ok(Datum::Object(fields)) => Ok(fields),
            Ok(_) => Err(Stop::Silent),
            Err(json::ParseError::Json(_)) => Err(Stop::Fault(8, "Invalid JSON object.".to_owned())),
            Err(json::ParseError::Datum(_)) => Err(Stop::Fault(9, "Failed to convert JSON to datum.".to_owned())),
        }
    }

    fn u32_at(&self, at: usize) -> Result<u32, Stop> {
        let bytes = self.buffer.get(at..at + 4).ok_or(Stop::Incomplete)?;
        bytes.try_into().map(u32::from_le_bytes).map_err(|_| Stop::Incomplete)
    }

    fn consume(&mut self, count: usize) {
        self.buffer.drain(..count);
        self.used += count;
    }
}

fn first_message(message: &Object, accounts: &mut dyn Accounts, out: &mut Vec<u8>) -> Result<Exchange, Stop> {
    match message.get("protocol_version") {
        Some(Datum::Number(0.0)) => {}
        Some(Datum::Number(_)) => return Err(Stop::Fault(2, "Unsupported `protocol_version`.".to_owned())),
        _ => return Err(Stop::Fault(1, "Expected a number for `protocol_version`.".to_owned())),
    }
    match message.get("authentication_method") {
        Some(Datum::String(method)) if method == "SCRAM-SHA-256" => {}
        Some(Datum::String(_)) => return Err(Stop::Fault(4, "Unsupported `authentication_method`.".to_owned())),
        _ => return Err(Stop::Fault(3, "Expected a string for `authentication_method`.".to_owned())),
    }
    let first = ClientFirst::parse(&authentication(message)?)?;
    let decoy = Credentials::decoy(&accounts.decoy_secret(), &first.user, PASSWORD_ITERATIONS);
    let credentials = accounts.credentials(&first.user).unwrap_or(decoy);
    let (exchange, answer) = Exchange::start(first, credentials, &accounts.nonce());
    write_answer(&answer, out);
    Ok(exchange)
}

fn authentication(message: &Object) -> Result<String, Stop> {
    match message.get("authentication") {
        Some(Datum::String(text)) => Ok(text.as_str().to_owned()),
        _ => Err(Stop::Fault(5, "Expected a string for `authentication`.".to_owned())),
    }
}

/// A fault before the version is known, or in an old one: there it has no number.
fn fault(text: &str) -> Stop {
    Stop::Fault(0, text.to_owned())
}

fn write_answer(authentication: &str, out: &mut Vec<u8>) {
    write_message(&Object::from([("authentication", authentication)]).with("success", true), out);
}

fn write_fault(json: bool, code: u32, text: &str, out: &mut Vec<u8>) {
    if json {
        write_message(&Object::from([("error", text)]).with("error_code", code).with("success", false), out);
    } else {
        out.extend_from_slice(format!("ERROR: {text}\n\0").as_bytes());
    }
}

fn write_message(message: &Object, out: &mut Vec<u8>) {
    // Only MINVAL and MAXVAL have no JSON.
    let _cannot_fail = json::write_node(crate::datum::Node::Object(message.node()), out);
    out.push(0);
}

#[cfg(test)]
mod tests;
