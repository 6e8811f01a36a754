//! A client that says exactly what a test wants, under any token.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

const MAGIC_V0_4: u32 = 0x400c_2d20;
const MAGIC_JSON: u32 = 0x7e69_70c7;

pub struct Raw(TcpStream);

impl Raw {
    /// Logs in as `admin`, who has no password.
    pub fn connect(port: u16) -> Raw {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.set_nodelay(true).unwrap();
        let hello = [MAGIC_V0_4, 0, MAGIC_JSON].map(u32::to_le_bytes).concat();
        stream.write_all(&hello).unwrap();
        let mut welcome = [0; 8];
        stream.read_exact(&mut welcome).unwrap();
        assert_eq!(&welcome, b"SUCCESS\0");
        Raw(stream)
    }

    /// The client's own port.
    #[allow(dead_code, reason = "not every test asks")]
    pub fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }

    pub fn send(&mut self, token: u64, message: &Value) {
        self.send_text(token, &message.to_string());
    }

    pub fn send_text(&mut self, token: u64, message: &str) {
        let length = u32::try_from(message.len()).unwrap();
        let header = [&token.to_le_bytes()[..], &length.to_le_bytes()].concat();
        self.0.write_all(&header).unwrap();
        self.0.write_all(message.as_bytes()).unwrap();
    }

    pub fn receive(&mut self) -> (u64, Value) {
        let mut header = [0; 12];
        self.0.read_exact(&mut header).unwrap();
        let token = u64::from_le_bytes(header[..8].try_into().unwrap());
        let mut body = vec![0; u32::from_le_bytes(header[8..].try_into().unwrap()) as usize];
        self.0.read_exact(&mut body).unwrap();
        (token, serde_json::from_slice(&body).unwrap())
    }
}
