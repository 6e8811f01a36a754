//! Sessions over real sockets, before a database that does what the test tells it: tokens, cursors, back-pressure,
//! cancellation and everything that a client may do wrong.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use photondb::client::listener;
use photondb::client::running::Reason;
use photondb::client::worker::Workers;
use photondb::config::{Bind, Listen};
use photondb::limits::{LONG_MESSAGE_BYTES, OUTPUT_BYTES_MAX, QUERIES_IN_FLIGHT_MAX};
use photondb_reql::limits::{FRAME_BYTES_MAX, HANDSHAKE_BYTES_MAX};
use photondb_runtime::system::{SystemNet, SystemThreads};
use photondb_runtime::task::Executor;
use tokio::sync::watch;

#[path = "support/scripted.rs"]
mod scripted;

use scripted::{Counts, LONG_PARSE_TIME, Scripted};

/// A server of scripted queries. Dropping it ends its threads.
struct Server {
    address: SocketAddr,
    counts: Arc<Counts>,
    drain: watch::Sender<bool>,
    _accepting: Executor,
    workers: Arc<Workers>,
}

impl Server {
    fn start() -> Server {
        let counts = Arc::new(Counts::default());
        let (drain, draining) = watch::channel(false);
        let made = counts.clone();
        let workers = Arc::new(Workers::start(&SystemThreads, 2, move || Scripted(made.clone()), &draining).unwrap());
        let listen = Listen { bind: Bind::Loopback, port: 0, flag: "driver-port" };
        let (listeners, port) = listener::bind(&SystemNet, &listen).unwrap();
        let accepting = Executor::start("accept").unwrap();
        for listener in listeners {
            let workers = workers.clone();
            accepting.handle().spawn_local(move || listener::accept(listener, move |incoming| workers.serve(incoming)));
        }
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        Server { address, counts, drain, _accepting: accepting, workers }
    }

    fn connect(&self) -> Client {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.set_nodelay(true).unwrap();
        Client(stream)
    }

    fn log_in(&self) -> Client {
        let mut client = self.connect();
        client.0.write_all(b"open sesame\n").unwrap();
        let mut welcome = [0; 8];
        client.0.read_exact(&mut welcome).unwrap();
        client
    }

    fn begun(&self) -> usize {
        self.counts.begun.load(Ordering::SeqCst)
    }

    fn over(&self) -> usize {
        self.counts.over.load(Ordering::SeqCst)
    }
}

struct Client(TcpStream);

impl Client {
    fn send(&mut self, token: u64, body: &str) {
        self.0.write_all(&frame(token, body.as_bytes())).unwrap();
    }

    fn receive(&mut self) -> (u64, String) {
        let mut header = [0; 12];
        self.0.read_exact(&mut header).unwrap();
        let token = u64::from_le_bytes(header[..8].try_into().unwrap());
        let mut body = vec![0; u32::from_le_bytes(header[8..].try_into().unwrap()) as usize];
        self.0.read_exact(&mut body).unwrap();
        (token, String::from_utf8(body).unwrap())
    }

    fn expect(&mut self, token: u64, body: &str) {
        assert_eq!(self.receive(), (token, body.to_owned()));
    }

    fn ask(&mut self, token: u64, body: &str, answer: &str) {
        self.send(token, body);
        self.expect(token, answer);
    }

    fn expect_end(&mut self) {
        match self.0.read(&mut [0; 1]) {
            Ok(0) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            other => panic!("expected the end of the connection, got {other:?}"),
        }
    }
}

fn frame(token: u64, body: &[u8]) -> Vec<u8> {
    [&token.to_le_bytes()[..], &u32::try_from(body.len()).unwrap().to_le_bytes(), body].concat()
}

fn eventually(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(20), "never: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_long_message_holds_up_nothing_but_what_is_behind_it() {
    let server = Server::start();
    let mut long = server.log_in();
    long.send(1, &format!("bytes 1{}", " ".repeat(LONG_MESSAGE_BYTES)));
    long.send(2, "bytes 2");
    let sent = Instant::now();
    // Of so many some are on the same thread.
    for _ in 0..4 {
        server.log_in().ask(1, "bytes 3", "xxx");
    }
    if sent.elapsed() < LONG_PARSE_TIME / 2 {
        assert_eq!(server.begun(), 4);
    }
    long.expect(1, "x");
    assert!(sent.elapsed() >= LONG_PARSE_TIME);
    long.expect(2, "xx");
    // Whoever does not wait for the answer may go, and a node that stops waits for it.
    let mut gone = server.log_in();
    gone.send(1, &format!("noreply bytes 1{}", " ".repeat(LONG_MESSAGE_BYTES)));
    drop(gone);
    eventually("it is run all the same", || server.begun() == 7);
    let mut last = server.log_in();
    last.send(1, &format!("bytes 1{}", " ".repeat(LONG_MESSAGE_BYTES)));
    std::thread::sleep(LONG_PARSE_TIME / 3);
    server.drain.send(true).unwrap();
    last.expect(1, "x");
    last.expect_end();
    assert_eq!(server.begun(), 8);
}

#[test]
fn queries_sent_at_once_are_all_answered_under_their_tokens() {
    let server = Server::start();
    let mut client = server.log_in();
    let all: Vec<u8> = (0..1_000).flat_map(|token| frame(token, format!("answer-{token}").as_bytes())).collect();
    client.0.write_all(&all).unwrap();
    for token in 0..1_000 {
        client.expect(token, &format!("answer-{token}"));
    }
    client.ask(u64::MAX, "info", "scripted");
}

#[test]
fn a_result_that_is_killed_between_batches_is_let_go_at_once() {
    let server = Server::start();
    let mut client = server.log_in();
    client.ask(1, "rows 9", "first");
    client.ask(2, "rows 9", "first");
    client.ask(2, "continue", "8 left");
    client.ask(3, "rows 9", "first");
    let endings = server.counts.endings.lock().unwrap().clone();
    assert_eq!(server.counts.held.load(Ordering::SeqCst), 3);
    for ending in &endings[1..] {
        ending.ask(Reason::Killed);
    }
    eventually("the results are dropped", || server.counts.held.load(Ordering::SeqCst) == 1);
    // The client learns of it when it asks for more, once; the others go on.
    client.ask(2, "rows 9", "DuplicateToken(2)");
    client.ask(2, "continue", "Killed");
    client.ask(2, "continue", "UnknownToken(2)");
    client.ask(3, "stop", "Stopped");
    client.ask(1, "continue", "8 left");
    client.ask(2, "rows 1", "first");
    client.ask(2, "continue", "0 left");
}

#[test]
fn a_query_that_waits_holds_up_no_other() {
    let server = Server::start();
    let mut client = server.log_in();
    client.send(1, "sleep 50");
    client.send(2, "sleep 10");
    client.send(3, "quick");
    client.expect(3, "quick");
    client.expect(2, "slept");
    client.expect(1, "slept");
}

#[test]
fn frames_may_trickle_in_byte_by_byte() {
    let server = Server::start();
    let mut client = server.connect();
    let bytes = [b"open sesame\n".to_vec(), frame(7, b"slowly"), frame(8, b"surely")].concat();
    for byte in bytes {
        client.0.write_all(&[byte]).unwrap();
        std::thread::sleep(Duration::from_micros(200));
    }
    let mut welcome = [0; 8];
    client.0.read_exact(&mut welcome).unwrap();
    client.expect(7, "slowly");
    client.expect(8, "surely");
}

#[test]
fn frames_that_come_with_the_login_are_not_lost() {
    let server = Server::start();
    let mut client = server.connect();
    client.0.write_all(&[b"open sesame\n".to_vec(), frame(1, b"eager")].concat()).unwrap();
    let mut welcome = [0; 8];
    client.0.read_exact(&mut welcome).unwrap();
    client.expect(1, "eager");
}

#[test]
fn a_refused_login_is_told_and_closed() {
    let server = Server::start();
    let mut client = server.connect();
    client.0.write_all(b"open barley\n").unwrap();
    let mut told = String::new();
    client.0.read_to_string(&mut told).unwrap();
    assert_eq!(told, "refused\n");
    // More than a login may have, and never an end of it.
    let mut client = server.connect();
    client.0.write_all(&[b'x'; HANDSHAKE_BYTES_MAX + 1]).unwrap();
    client.0.read_to_string(&mut told).unwrap();
    assert_eq!(told, "refused\nrefused\n");
    eventually("closed connections are forgotten", || server.workers.connections().count() == 0);
}

#[test]
fn a_long_result_comes_in_pieces() {
    let server = Server::start();
    let mut client = server.log_in();
    client.ask(1, "rows 2", "first");
    client.ask(1, "again", "DuplicateToken(1)");
    client.ask(1, "continue", "1 left");
    client.ask(1, "continue", "0 left");
    client.ask(1, "continue", "UnknownToken(1)");
    client.ask(1, "rows 2", "first");
    client.ask(1, "stop", "Stopped");
    client.ask(1, "stop", "UnknownToken(1)");
    client.ask(1, "plain", "plain");
}

#[test]
fn continues_sent_ahead_are_answered_in_turn() {
    let server = Server::start();
    let mut client = server.log_in();
    for query in ["rows 3", "slow-rows 3"] {
        client.ask(1, query, "first");
        for _ in 0..4 {
            client.send(1, "continue");
        }
        for answer in ["2 left", "1 left", "0 left", "UnknownToken(1)"] {
            client.expect(1, answer);
        }
    }
}

#[test]
fn stop_cancels_what_runs_and_answers_both() {
    let server = Server::start();
    let mut client = server.log_in();
    client.ask(1, "feed", "feed");
    client.send(1, "continue");
    client.send(2, "for-ever");
    eventually("both run", || server.begun() == 3);
    for token in [1, 2] {
        client.send(token, "stop");
        client.expect(token, "Stopped");
        client.expect(token, "Stopped");
    }
    eventually("both are unwound", || server.over() == 3);
    client.ask(1, "free", "free");
}

#[test]
fn noreply_wait_is_answered_after_everything_before_it() {
    let server = Server::start();
    let mut client = server.log_in();
    client.ask(1, "feed", "feed");
    client.send(1, "continue");
    client.ask(2, "wait", "WaitComplete");
    client.send(3, "noreply sleep 30");
    client.send(4, "noreply quick");
    client.send(5, "wait");
    client.send(6, "noreply sleep 10000");
    client.expect(5, "WaitComplete");
    assert_eq!(server.over(), 3);
}

#[test]
fn what_is_wrong_with_a_query_is_not_told_where_nobody_waits_for_it() {
    let server = Server::start();
    let mut client = server.log_in();
    client.send(1, "noreply nonsense");
    client.ask(1, "fine", "fine");
}

#[test]
fn a_panic_is_an_answer() {
    let server = Server::start();
    let mut client = server.log_in();
    client.ask(1, "panic", "Panicked(\"told to\")");
    client.ask(1, "fine", "fine");
    client.0.write_all(&frame(2, &[0xff, 0xfe])).unwrap();
    client.expect(2, "garbage");
}

#[test]
fn a_frame_that_is_too_long_is_refused_without_being_read() {
    let server = Server::start();
    let mut client = server.log_in();
    let claim = u32::try_from(FRAME_BYTES_MAX).unwrap();
    client.0.write_all(&[&9_u64.to_le_bytes()[..], &claim.to_le_bytes(), b"whatever"].concat()).unwrap();
    let (token, told) = client.receive();
    assert_eq!(token, 9);
    assert!(told.starts_with("FrameTooLong("), "{told}");
    client.expect_end();
}

#[test]
fn a_client_that_leaves_takes_its_queries_along() {
    let server = Server::start();
    let mut client = server.log_in();
    client.ask(1, "feed", "feed");
    client.send(1, "continue");
    client.send(2, "for-ever");
    client.send(3, "noreply sleep 30");
    // A frame that never becomes whole.
    client.0.write_all(&frame(4, b"truncated")[..15]).unwrap();
    eventually("all run", || server.begun() == 4);
    drop(client);
    eventually("all are over", || server.over() == 4);
    eventually("the connection is forgotten", || server.workers.connections().count() == 0);
}

#[test]
fn a_client_that_does_not_read_is_not_served_ahead() {
    let server = Server::start();
    let mut client = server.log_in();
    let (count, size) = (2_000, 64 * 1024);
    let all: Vec<u8> = (0..count).flat_map(|token| frame(token, format!("bytes {size}").as_bytes())).collect();
    client.0.write_all(&all).unwrap();
    let mut begun = 0;
    loop {
        std::thread::sleep(Duration::from_millis(100));
        let now = server.begun();
        if now == begun && now > 0 {
            break;
        }
        begun = now;
    }
    // What the system's buffers hold comes on top of ours; both together are far less than everything.
    assert!(begun * size < OUTPUT_BYTES_MAX + (64 << 20), "{begun} answers were made for a client that reads none");
    for token in 0..count {
        let (answered, body) = client.receive();
        assert_eq!((answered, body.len()), (token, size));
    }
}

#[test]
fn queries_past_the_limit_wait_their_turn() {
    let server = Server::start();
    let mut client = server.log_in();
    let count = QUERIES_IN_FLIGHT_MAX as u64 + 200;
    let all: Vec<u8> = (0..count).flat_map(|token| frame(token, b"sleep 100")).collect();
    client.0.write_all(&all).unwrap();
    eventually("the first ones run", || server.begun() >= QUERIES_IN_FLIGHT_MAX);
    assert!(server.begun() - server.over() <= QUERIES_IN_FLIGHT_MAX);
    for _ in 0..count {
        assert_eq!(client.receive().1, "slept");
    }
}

#[test]
fn draining_lets_running_queries_finish() {
    let server = Server::start();
    let mut client = server.log_in();
    client.ask(1, "feed", "feed");
    client.send(1, "continue");
    client.send(2, "sleep 100");
    let mut idle = server.connect();
    eventually("both run", || server.begun() == 3);
    server.drain.send(true).unwrap();
    client.expect(2, "slept");
    client.expect_end();
    idle.expect_end();
    eventually("every connection is forgotten", || server.workers.connections().count() == 0);
}

#[test]
fn a_taken_port_is_named_with_its_flag() {
    let server = Server::start();
    let listen = Listen { bind: Bind::Loopback, port: server.address.port(), flag: "driver-port" };
    let refused = listener::bind(&SystemNet, &listen).err().unwrap().to_string();
    assert!(refused.contains(&server.address.to_string()), "{refused}");
    assert!(refused.contains("in use") && refused.contains("--driver-port"), "{refused}");
}
