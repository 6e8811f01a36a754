//! The proxies between nodes, tried without nodes: this process connects as one, and answers as the other.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use photondb_test_cluster::{Network, Weather};

/// Longer than anything takes where nothing is in the way, and shorter than what is in the way here.
const MOMENT: Duration = Duration::from_millis(150);

/// A network in which this process is node 0, and gives back what it is sent as node 1.
fn network() -> Network {
    let echo = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = echo.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in echo.incoming().flatten() {
            let (mut from, mut to) = (stream.try_clone().unwrap(), stream);
            std::thread::spawn(move || {
                // The link may be cut while it is used.
                drop(std::io::copy(&mut from, &mut to));
            });
        }
    });
    let network = Network::new(&[0, port], 1);
    network.is_process(0, std::process::id());
    network
}

fn connect(network: &Network) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", network.port(1))).unwrap();
    stream.set_read_timeout(Some(MOMENT)).unwrap();
    stream
}

/// Sends a byte and waits a moment for it.
fn comes_back(stream: &mut TcpStream, byte: u8) -> bool {
    stream.write_all(&[byte]).unwrap();
    arrives(stream) == Some(byte)
}

/// What arrives within a moment.
fn arrives(stream: &mut TcpStream) -> Option<u8> {
    let mut found = [0];
    match stream.read_exact(&mut found) {
        Ok(()) => Some(found[0]),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => None,
        Err(error) => panic!("{error}"),
    }
}

fn is_broken(stream: &mut TcpStream) -> bool {
    // Whether the byte is taken or not, nothing comes any more.
    drop(stream.write_all(b"x"));
    match stream.read(&mut [0]) {
        Ok(length) => length == 0,
        Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
    }
}

#[test]
fn a_clear_link_carries_and_a_cut_one_breaks() {
    let network = network();
    let mut stream = connect(&network);
    assert!(comes_back(&mut stream, 1));
    network.set_between(0, 1, Weather::Cut);
    assert!(is_broken(&mut stream));
    assert!(is_broken(&mut connect(&network)));
    network.heal();
    assert!(comes_back(&mut connect(&network), 2));
}

#[test]
fn a_silent_link_keeps_what_it_is_sent_in_either_direction() {
    let network = network();
    for [from, to] in [[0, 1], [1, 0]] {
        let mut stream = connect(&network);
        assert!(comes_back(&mut stream, 1));
        network.set(from, to, Weather::Silent);
        assert!(!comes_back(&mut stream, 2));
        // Nobody is let in, and nobody is told.
        let mut late = connect(&network);
        assert!(!comes_back(&mut late, 3));
        network.heal();
        assert_eq!((arrives(&mut stream), arrives(&mut late)), (Some(2), Some(3)));
    }
}

#[test]
fn a_slow_link_takes_its_time_and_keeps_the_order() {
    let network = network();
    let delay = Duration::from_millis(30);
    network.set_between(0, 1, Weather::Slow { delay, jitter: delay, bytes_per_second: 0 });
    let mut stream = connect(&network);
    let begun = Instant::now();
    for byte in 0..20 {
        stream.write_all(&[byte]).unwrap();
        std::thread::sleep(Duration::from_millis(3));
    }
    let mut found = [0; 20];
    stream.set_read_timeout(None).unwrap();
    stream.read_exact(&mut found).unwrap();
    assert!(begun.elapsed() > 2 * delay, "{:?}", begun.elapsed());
    assert!(found.is_sorted(), "{found:?}");
}

#[test]
fn a_bad_cable_delays_and_breaks() {
    let network = network();
    network.set_between(0, 1, Weather::Lossy { lost_in: 3, again_after: MOMENT, broken_in: 40 });
    let begun = Instant::now();
    let (mut late, mut broken) = (0, 0);
    while late == 0 || broken == 0 {
        assert!(begun.elapsed() < Duration::from_secs(30), "{late} late, {broken} broken");
        let mut stream = connect(&network);
        stream.set_read_timeout(None).unwrap();
        for byte in 0..100 {
            let sent = Instant::now();
            if stream.write_all(&[byte]).is_err() || stream.read_exact(&mut [0]).is_err() {
                broken += 1;
                break;
            }
            late += u64::from(sent.elapsed() >= MOMENT);
        }
    }
}

#[test]
fn who_is_no_node_is_let_in_nowhere() {
    let network = Network::new(&[0, 1], 1);
    let mut stream = TcpStream::connect(("127.0.0.1", network.port(1))).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    assert!(is_broken(&mut stream));
}
