//! A server that answers `http` as a test wants it, one connection after the other's request.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::Value;

/// What was asked.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Names in lower case, in order.
    pub header: Vec<(String, String)>,
    pub body: String,
}

/// The server. It runs until the test ends.
pub struct Web {
    port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Web {
    /// Answers each request by `answer`, which writes what it likes; the connection is closed behind it.
    pub fn start(answer: impl Fn(&Asked, &mut TcpStream) + Send + Sync + 'static) -> Web {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().expect("a bound listener has an address").port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (seen, answer) = (asked.clone(), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, answer) = (seen.clone(), answer.clone());
                std::thread::spawn(move || serve(stream, &seen, &*answer));
            }
        });
        Web { port, asked }
    }

    /// The address of a page.
    pub fn url(&self, target: &str) -> String {
        format!("http://127.0.0.1:{}{target}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// What was asked since the last look.
    pub fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.asked.lock().expect("no test panics while it looks"))
    }
}

impl Asked {
    /// The line of this name; empty when there is none.
    pub fn line(&self, name: &str) -> &str {
        self.header.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// Reads a request, head and body. `None`: the other side sent none.
    pub fn read(stream: &mut impl Read) -> Option<Asked> {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let mut words = line.split_whitespace();
        let mut asked =
            Asked { method: words.next()?.to_owned(), target: words.next()?.to_owned(), ..Asked::default() };
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            asked.header.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let length = asked.line("content-length").parse().unwrap_or(0);
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        asked.body = String::from_utf8_lossy(&body).into_owned();
        Some(asked)
    }
}

/// An answer whose first line and header are `head`.
pub fn reply(stream: &mut TcpStream, head: &str, body: &[u8]) {
    let head = format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n", body.len());
    // Whoever asked may have gone.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
}

/// A value, as JSON.
pub fn reply_json(stream: &mut TcpStream, value: &Value) {
    reply(stream, "200 OK\r\nContent-Type: application/json", value.to_string().as_bytes());
}

fn serve(mut stream: TcpStream, seen: &Mutex<Vec<Asked>>, answer: &(dyn Fn(&Asked, &mut TcpStream) + Send + Sync)) {
    let Some(asked) = Asked::read(&mut stream) else { return };
    seen.lock().expect("no test panics while it looks").push(asked.clone());
    answer(&asked, &mut stream);
    let _ = stream.flush();
}
