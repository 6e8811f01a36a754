//! A connection to the driver port.

use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};

use photondb_reql::wire::frame::{HEADER_BYTES, Token, write_frame};
use photondb_reql::wire::{ClientLogin, LoginError, LoginProgress};

use crate::client::Client;
use crate::failure::Failure;
use crate::limits::ANSWER_BYTES_MAX;

/// How the body of an answer begins that is one value.
const ATOM: &[u8] = br#"{"t":1,"#;

/// How the results of a write begin that came to nothing.
const ERRORS: &[u8] = br#""errors":0"#;

/// Logged in, with nothing under way.
pub struct Connection {
    stream: TcpStream,
    next_token: u64,
    body: Vec<u8>,
}

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
pub enum OperationError {
    /// The connection is over.
    #[error("the connection broke: {0}")]
    Broken(#[from] io::Error),
    /// The node says no; the next operation may succeed.
    #[error("{0}")]
    Refused(String),
}

impl OperationError {
    /// Whether nothing more can be done on the connection.
    pub fn is_end(&self) -> bool {
        matches!(self, OperationError::Broken(_))
    }
}

impl Connection {
    /// Connects to the host of the client's address, and logs in as its user.
    pub fn open(client: &Client, port: u16) -> Result<Connection, Failure> {
        let unreachable = |source| Failure::DriverPort { address: client.address().clone(), port, source };
        let stream = connect(client, port).map_err(unreachable)?;
        let mut connection = Connection { stream, next_token: 1, body: Vec::new() };
        let (user, password) = client.user_and_password();
        match connection.log_in(user, password).map_err(unreachable)? {
            Ok(()) => Ok(connection),
            Err(LoginError::Refused { message, .. }) => {
                Err(Failure::Query { kind: "ReqlAuthError", message, is_denied: true })
            }
            Err(error) => Err(unreachable(io::Error::other(error))),
        }
    }

    fn log_in(&mut self, user: &str, password: &str) -> io::Result<Result<(), LoginError>> {
        let mut login = ClientLogin::new(user, password, nonce());
        self.stream.write_all(&login.begin())?;
        let mut bytes = [0; 512];
        loop {
            let count = self.stream.read(&mut bytes)?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let mut answer = Vec::new();
            match login.receive(&bytes[..count], &mut answer) {
                Ok(LoginProgress::Done) => return Ok(Ok(())),
                Ok(LoginProgress::Reading) => self.stream.write_all(&answer)?,
                Err(error) => return Ok(Err(error)),
            }
        }
    }

    /// Sends a query and waits for its one value.
    pub fn run(&mut self, message: &str) -> Result<(), OperationError> {
        let token = Token(self.next_token);
        self.next_token += 1;
        let mut frame = Vec::with_capacity(HEADER_BYTES + message.len());
        write_frame(token, &mut frame, |body| body.extend_from_slice(message.as_bytes()));
        self.stream.write_all(&frame)?;
        let mut header = [0; HEADER_BYTES];
        self.stream.read_exact(&mut header)?;
        let length = u32::from_le_bytes([header[8], header[9], header[10], header[11]]) as usize;
        if length > ANSWER_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "an answer is too long").into());
        }
        self.body.resize(length, 0);
        self.stream.read_exact(&mut self.body)?;
        let counts_errors = find(&self.body, br#""errors":"#);
        if self.body.starts_with(ATOM) && (!counts_errors || find(&self.body, ERRORS)) {
            return Ok(());
        }
        let shown = &self.body[..self.body.len().min(300)];
        Err(OperationError::Refused(String::from_utf8_lossy(shown).into_owned()))
    }
}

fn find(body: &[u8], wanted: &[u8]) -> bool {
    body.windows(wanted.len()).any(|found| found == wanted)
}

fn connect(client: &Client, port: u16) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in (client.address().host(), port).to_socket_addrs()? {
        let connected = TcpStream::connect_timeout(&address, client.limit()).and_then(|stream| {
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(client.limit()))?;
            stream.set_write_timeout(Some(client.limit()))?;
            Ok(stream)
        });
        match connected {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The system's randomness, as the standard library has it for its hash tables.
fn nonce() -> [u8; 18] {
    let mut nonce = [0; 18];
    for bytes in nonce.chunks_mut(8) {
        let drawn = RandomState::new().hash_one(0).to_le_bytes();
        bytes.copy_from_slice(&drawn[..bytes.len()]);
    }
    nonce
}
