//! A plain client of the driver port, for tests that look at single messages. The V0_4 handshake is enough for `admin`
//! without a password.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

const V0_4: u32 = 0x400c_2d20;
const JSON: u32 = 0x7e69_70c7;

/// One connection.
pub struct Connection {
    stream: TcpStream,
    next_token: u64,
}

impl Connection {
    /// Connects and shakes hands; `None` when the node does not answer.
    pub fn try_open(port: u16) -> Option<Connection> {
        let stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        stream.set_nodelay(true).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(60))).ok()?;
        let mut connection = Connection { stream, next_token: 1 };
        let mut hello = V0_4.to_le_bytes().to_vec();
        hello.extend(0u32.to_le_bytes());
        hello.extend(JSON.to_le_bytes());
        connection.stream.write_all(&hello).ok()?;
        let mut answer = Vec::new();
        loop {
            let mut byte = [0];
            connection.stream.read_exact(&mut byte).ok()?;
            if byte == [0] {
                break;
            }
            answer.push(byte[0]);
        }
        (answer == b"SUCCESS").then_some(connection)
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

    /// The next answer, whichever query it belongs to.
    pub fn receive(&mut self) -> io::Result<(u64, Value)> {
        let mut head = [0; 12];
        self.stream.read_exact(&mut head)?;
        let token = u64::from_le_bytes(head[..8].try_into().expect("eight bytes"));
        let length = u32::from_le_bytes(head[8..].try_into().expect("four bytes")) as usize;
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        let answer = serde_json::from_slice(&body).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        Ok((token, answer))
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
        assert_eq!(answer["t"], 1, "{term}: {answer}");
        answer["r"][0].clone()
    }
}
