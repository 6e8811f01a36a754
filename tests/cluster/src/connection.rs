//! A plain client of the driver port, for tests that look at single messages. The V0_4 handshake is enough for `admin`
//! without a password.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// The number that opens protocol V0_4.
pub const V0_4: u32 = 0x400c_2d20;
/// The number that chooses JSON in it.
pub const JSON: u32 = 0x7e69_70c7;

/// The number of the errors that `default` catches.
pub const NON_EXISTENCE: u64 = 3_100_000;

const ANSWER_WAIT_MAX: Duration = Duration::from_secs(60);

/// One connection.
pub struct Connection {
    stream: TcpStream,
    next_token: u64,
    wait_max: Duration,
}

impl Connection {
    /// Connects and shakes hands; `None` when the node does not answer.
    pub fn try_open(port: u16) -> Option<Connection> {
        Connection::open_within(port, ANSWER_WAIT_MAX)
    }

    /// The same for a client who waits no longer than this, now and for each answer.
    pub fn open_within(port: u16, wait_max: Duration) -> Option<Connection> {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let stream = TcpStream::connect_timeout(&address, wait_max).ok()?;
        stream.set_nodelay(true).ok()?;
        stream.set_read_timeout(Some(wait_max)).ok()?;
        stream.set_write_timeout(Some(wait_max)).ok()?;
        let mut connection = Connection { stream, next_token: 1, wait_max };
        let hello = [V0_4.to_le_bytes(), 0u32.to_le_bytes(), JSON.to_le_bytes()].concat();
        connection.stream.write_all(&hello).ok()?;
        let mut answer = [0; 8];
        connection.stream.read_exact(&mut answer).ok()?;
        (answer == *b"SUCCESS\0").then_some(connection)
    }

    /// Sends one message; gives its token.
    pub fn send(&mut self, message: &str) -> io::Result<u64> {
        let token = self.next_token;
        self.next_token += 1;
        self.send_as(token, message)?;
        Ok(token)
    }

    /// Sends one message under a token of the caller's.
    pub fn send_as(&mut self, token: u64, message: &str) -> io::Result<()> {
        let mut frame = token.to_le_bytes().to_vec();
        frame.extend((message.len() as u32).to_le_bytes());
        frame.extend(message.as_bytes());
        self.stream.write_all(&frame)
    }

    /// Sends bytes as they are.
    pub fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// The next answer, whichever query it belongs to.
    pub fn receive(&mut self) -> io::Result<(u64, Value)> {
        let mut head = [0; 12];
        self.stream.read_exact(&mut head)?;
        let token = u64::from_le_bytes(head[..8].try_into().expect("eight bytes"));
        let length = u32::from_le_bytes(head[8..].try_into().expect("four bytes")) as usize;
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        let answer =
            serde_json::from_slice(&body).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        Ok((token, answer))
    }

    /// The next answer, if it begins to come within some time.
    pub fn receive_within(&mut self, time: Duration) -> io::Result<Option<(u64, Value)>> {
        self.stream.set_read_timeout(Some(time))?;
        let begun = self.stream.peek(&mut [0]);
        self.stream.set_read_timeout(Some(self.wait_max))?;
        match begun {
            Ok(_) => self.receive().map(Some),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sends a message and waits for its answer.
    pub fn run(&mut self, message: &str) -> io::Result<Value> {
        let token = self.send(message)?;
        let (answered, answer) = self.receive()?;
        assert_eq!(answered, token, "answers to one query at a time come in order");
        Ok(answer)
    }

    /// Runs a term and gives its one result. Panics on an error answer.
    pub fn value(&mut self, term: &str) -> Value {
        let answer = self.run(&format!("[1,{term}]")).expect("the node answers");
        assert_eq!(answer["t"], 1, "{}: {answer}", &term[..term.len().min(300)]);
        answer["r"][0].clone()
    }

    /// Runs a term that must fail; gives the number of the kind of error, and the message.
    pub fn error(&mut self, term: &str) -> (u64, String) {
        let answer = self.run(&format!("[1,{term}]")).expect("the node answers");
        let kind = answer["t"].as_u64().expect("an answer has a kind");
        assert!((16..=18).contains(&kind), "{}: {answer}", &term[..term.len().min(300)]);
        (kind, answer["r"][0].as_str().expect("an error has a message").to_owned())
    }

    /// Runs a term that must fail when it runs; gives the number of the error, and the message.
    pub fn failure(&mut self, term: &str) -> (u64, String) {
        let answer = self.run(&format!("[1,{term}]")).expect("the node answers");
        assert_eq!(answer["t"], 18, "{}: {answer}", &term[..term.len().min(300)]);
        let message = answer["r"][0].as_str().expect("an error has a message");
        (answer["e"].as_u64().expect("an error of a run has a number"), message.to_owned())
    }

    /// The rows of a whole sequence.
    pub fn rows(&mut self, term: &str) -> Vec<Value> {
        let token = self.send(&format!("[1,{term}]")).expect("the node takes it");
        let mut rows = Vec::new();
        loop {
            let (_, mut answer) = self.receive().expect("the node answers");
            assert!(answer["t"] == 2 || answer["t"] == 3, "{term}: {answer}");
            rows.append(answer["r"].as_array_mut().expect("results are an array"));
            if answer["t"] == 2 {
                return rows;
            }
            self.send_as(token, "[2]").expect("the node takes it");
        }
    }

    /// The rows of a whole sequence, or the elements of an array; or the number and message of the error.
    pub fn elements(&mut self, term: &str) -> Result<Vec<Value>, (u64, String)> {
        let token = self.send(&format!("[1,{term}]")).expect("the node takes it");
        let mut rows = Vec::new();
        loop {
            let (_, mut answer) = self.receive().expect("the node answers");
            let kind = answer["t"].as_u64();
            let results = answer["r"].as_array_mut().expect("results are an array");
            match kind {
                Some(1) => match results.pop() {
                    Some(Value::Array(elements)) => return Ok(elements),
                    other => return Ok(other.into_iter().collect()),
                },
                Some(2) => {
                    rows.append(results);
                    return Ok(rows);
                }
                Some(3) => rows.append(results),
                _ => {
                    let message = answer["r"][0].as_str().unwrap_or_default().to_owned();
                    return Err((answer["e"].as_u64().or(kind).unwrap_or(0), message));
                }
            }
            self.send_as(token, "[2]").expect("the node takes it");
        }
    }

    /// Whether the other side has closed the connection; reads and drops what comes before that.
    pub fn is_closed(&mut self) -> bool {
        let mut rest = [0; 4096];
        loop {
            match self.stream.read(&mut rest) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => return error.kind() == io::ErrorKind::ConnectionReset,
            }
        }
    }
}
