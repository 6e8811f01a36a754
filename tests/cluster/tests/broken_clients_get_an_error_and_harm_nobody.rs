//! What comes to the driver port and is no client: each gets a clear error or is closed, and the node goes on in bounded
//! memory.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use photondb_test_cluster::{JSON, Node, Numbers, V0_4, full, photondb, seed, text};

const MIB: u64 = 1024 * 1024;
const V1_0: u32 = 0x34c2_bdc3;
const V0_2: u32 = 0x7230_81e1;
const PROTOBUF: u32 = 0x271f_fc41;

/// All that is said until the other side closes.
fn until_closed(stream: &mut TcpStream) -> String {
    let mut said = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => said.extend_from_slice(&chunk[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
            Err(error) => panic!("the connection stays open ({error}); it said {:?}", String::from_utf8_lossy(&said)),
        }
    }
    String::from_utf8_lossy(&said).into_owned()
}

/// What the node says to these first bytes before it closes.
fn answer_to(node: &Node, bytes: &[u8]) -> String {
    let mut stream = node.dial();
    stream.write_all(bytes).unwrap();
    until_closed(&mut stream)
}

fn v0_4(key: &str, encoding: u32) -> Vec<u8> {
    [&V0_4.to_le_bytes()[..], &(key.len() as u32).to_le_bytes(), key.as_bytes(), &encoding.to_le_bytes()].concat()
}

#[test]
fn another_protocol_is_named() {
    let mut node = Node::start();
    for (bytes, words) in [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), "unsupported protocol version"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS hello".to_vec(), "unsupported protocol version"),
        (vec![0xff; 64], "unsupported protocol version"),
        (V0_2.to_le_bytes().to_vec(), "PROTOBUF client protocol is no longer supported"),
        (v0_4("", PROTOBUF), "PROTOBUF client protocol is no longer supported"),
        (v0_4("", 7), "Unrecognized protocol specified: '7'"),
    ] {
        let said = answer_to(&node, &bytes);
        assert!(said.starts_with("ERROR: ") && said.contains(words), "{bytes:?}: {said}");
    }
    node.assert_well();
}

#[test]
fn the_other_ports_survive_the_wrong_protocol_too() {
    let mut node = Node::start();
    for port in [node.ports().http, node.ports().cluster] {
        for bytes in [v0_4("", JSON), vec![0; 100_000], b"\r\n\r\n\r\n".to_vec(), b"GET / HTTP/1.1\r\n".to_vec()] {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
            // The other side may close before all of it is written.
            let _ = stream.write_all(&bytes);
        }
    }
    assert!(node.http_get("/health").0.contains("200"));
    node.assert_well();
}

#[test]
fn before_a_login_2048_bytes_are_all_that_is_read() {
    let mut node = Node::start();
    let long_key = answer_to(&node, &v0_4(&"k".repeat(3000), JSON));
    assert!(long_key.contains("authorization key that is too long"), "{long_key}");
    let endless = [&V1_0.to_le_bytes()[..], &[b'{'; 4096]].concat();
    let said = answer_to(&node, &endless);
    assert!(said.contains("Limited read buffer size"), "{said}");
    let nonsense = [&V1_0.to_le_bytes()[..], b"{\"protocol_version\":\"none\"}\0"].concat();
    assert!(answer_to(&node, &nonsense).contains("\"success\":false"));
    let not_json = [&V1_0.to_le_bytes()[..], b"not json\0"].concat();
    assert!(answer_to(&node, &not_json).contains("\"success\":false"));
    // However much somebody pours in, nothing of it is kept.
    let mut pourers: Vec<TcpStream> = (0..20).map(|_| node.dial()).collect();
    for stream in &mut pourers {
        stream.set_write_timeout(Some(Duration::from_millis(50))).unwrap();
        while stream.write(&[b'x'; 65536]).is_ok_and(|count| count > 0) {}
    }
    assert!(node.memory() < 100 * MIB, "{}", node.memory());
    node.assert_well();
}

#[test]
fn half_handshakes_hold_nothing_up() {
    let mut node = Node::start();
    let halves: Vec<TcpStream> = (0..200)
        .map(|number| {
            let mut stream = node.dial();
            stream.write_all(&v0_4("", JSON)[..number % 12]).unwrap();
            stream
        })
        .collect();
    node.assert_well();
    for (number, half) in halves.into_iter().enumerate() {
        if number % 2 == 0 {
            half.shutdown(Shutdown::Write).unwrap();
        }
    }
    // One that takes its time, a byte after the other, but gets there.
    let mut slow = node.dial();
    for byte in v0_4("", JSON) {
        slow.write_all(&[byte]).unwrap();
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut answer = [0; 8];
    slow.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"SUCCESS\0");
    node.assert_well();
}

#[test]
fn a_login_has_ten_seconds() {
    if !full() {
        println!("takes ten seconds: only under PHOTONDB_TESTS=full");
        return;
    }
    let mut node = Node::start();
    let begun = Instant::now();
    let mut silent = node.dial();
    let mut trickling = node.dial();
    let trickle = std::thread::spawn(move || {
        trickling.write_all(&V1_0.to_le_bytes()).unwrap();
        while trickling.write_all(b" ").is_ok() {
            std::thread::sleep(Duration::from_millis(100));
        }
        begun.elapsed()
    });
    until_closed(&mut silent);
    let took = begun.elapsed();
    assert!((Duration::from_secs(9)..Duration::from_secs(15)).contains(&took), "{took:?}");
    let took = trickle.join().unwrap();
    assert!((Duration::from_secs(9)..Duration::from_secs(15)).contains(&took), "{took:?}");
    node.assert_well();
}

#[test]
fn a_wrong_password_and_an_unknown_user_get_the_same_answer() {
    let mut node = Node::stopped(&["--initial-password", "secret"]);
    node.launch();
    let server = format!("127.0.0.1:{}", node.ports().driver);
    let refusal = |user: &str, password: &str| {
        let begun = Instant::now();
        let output = photondb(&["db", "list", "--connect", &server, "--user", user, "--password", password]);
        assert!(!output.status.success());
        (text(&output), begun.elapsed())
    };
    for (user, password) in [("admin", "wrong"), ("admin", ""), ("nobody", "wrong"), ("nobody", ""), ("", "")] {
        assert_eq!(refusal(user, password).0, refusal("someone", "else").0, "{user}");
    }
    // The oldest handshake knows only the administrator.
    let mut said = answer_to(&node, &v0_4("wrong", JSON));
    assert_eq!(said, "ERROR: Incorrect authorization key.\n\0");
    said = answer_to(&node, &v0_4("", JSON));
    assert_eq!(said, "ERROR: Incorrect authorization key.\n\0");
    let allowed = photondb(&["db", "list", "--connect", &server, "--password", "secret"]);
    assert!(allowed.status.success(), "{}", text(&allowed));
}

#[test]
fn a_frame_past_the_limit_is_refused_and_a_claimed_length_takes_no_memory() {
    let mut node = Node::start();
    for length in [128 * 1024 * 1024, u32::MAX] {
        let mut connection = node.connect();
        connection.send_bytes(&[&7u64.to_le_bytes()[..], &length.to_le_bytes()].concat()).unwrap();
        let (token, answer) = connection.receive().unwrap();
        assert_eq!((token, &answer["t"]), (7, &16.into()), "{answer}");
        let expected = format!("Query size ({length}) greater than maximum (134217727).");
        assert_eq!(answer["r"][0], expected, "{answer}");
        assert!(connection.is_closed());
    }
    let before = node.memory();
    let claims: Vec<_> = (0..100)
        .map(|_| {
            let mut connection = node.connect();
            connection.send_bytes(&[&1u64.to_le_bytes()[..], &(127u32 << 20).to_le_bytes(), b"[1,"].concat()).unwrap();
            connection
        })
        .collect();
    node.assert_well();
    assert!(node.memory() < before + 50 * MIB, "{before} bytes became {}", node.memory());
    drop(claims);
    node.assert_well();
}

#[test]
fn trickling_and_truncated_frames_disturb_nobody() {
    let mut node = Node::start();
    let frame = [&1u64.to_le_bytes()[..], &10u32.to_le_bytes(), b"[1,[24,[1,"].concat();
    for cut in 0..frame.len() {
        node.connect().send_bytes(&frame[..cut]).unwrap();
    }
    let mut trickling = node.connect();
    for byte in [&5u64.to_le_bytes()[..], &14u32.to_le_bytes(), b"[1,[24,[1,2]]]"].concat() {
        trickling.send_bytes(&[byte]).unwrap();
        std::thread::sleep(Duration::from_millis(2));
    }
    let (token, answer) = trickling.receive().unwrap();
    assert_eq!((token, &answer["r"][0]), (5, &3.into()), "{answer}");
    node.assert_well();
}

#[test]
fn garbage_in_frames_is_a_client_error() {
    let mut node = Node::start();
    let mut numbers = Numbers(seed("garbage"));
    let mut connection = node.connect();
    let fixed: &[&[u8]] = &[
        b"",
        b"x",
        b"[",
        b"[]",
        b"{}",
        b"null",
        b"1",
        b"[1]",
        b"[99]",
        b"[-1]",
        b"[1,",
        b"[1,[]]",
        b"[1,[24]]",
        b"[1,[24,7]]",
        b"[1,[99999,[]]]",
        b"[1,[-1,[]]]",
        b"[1,[1.5,[]]]",
        b"[1,1,7]",
        b"[1,1,[]]",
        b"[1,{\"a\"}]",
        b"\xff\xfe",
        b"[1,\"\xff\"]",
        b"[1,\"\\ud800\"]",
        b"[1,1e999]",
        b"[1,\"a\x00b\"]",
        b"[1,[153,[]]]",
        b"[1,1]]",
    ];
    for body in fixed {
        connection.send_bytes(&[&9u64.to_le_bytes()[..], &(body.len() as u32).to_le_bytes(), body].concat()).unwrap();
        let (token, answer) = connection.receive().unwrap();
        let kind = answer["t"].as_u64().unwrap();
        assert!(token == 9 && (16..=18).contains(&kind), "{:?}: {answer}", String::from_utf8_lossy(body));
        assert!(!answer["r"][0].as_str().unwrap().is_empty(), "{answer}");
    }
    for _ in 0..if full() { 100_000 } else { 3_000 } {
        // Mostly near misses of a query: a real one with some bytes changed.
        let mut body =
            br#"[1,[39,[[15,["t"]],[69,[[2,[1]],[21,[[170,[[10,[1]],"a"]],1]]]]]],{"db":[14,["test"]]}]"#.to_vec();
        for _ in 0..=numbers.below(3) {
            let at = numbers.below(body.len() as u64) as usize;
            body[at] = match numbers.below(3) {
                0 => numbers.below(256) as u8,
                1 => br#"[]{},:"0123456789"#[numbers.below(17) as usize],
                _ => body[numbers.below(body.len() as u64) as usize],
            };
        }
        connection.send_bytes(&[&9u64.to_le_bytes()[..], &(body.len() as u32).to_le_bytes(), &body].concat()).unwrap();
        // A STOP or CONTINUE answers too; NOREPLY_WAIT as well. Only a query with `noreply` would not, and none has it.
        let (token, _) =
            connection.receive().unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&body)));
        assert_eq!(token, 9);
    }
    node.assert_well();
}

#[test]
fn pure_noise_after_a_login_ends_in_an_error_or_a_close() {
    let mut node = Node::start();
    let mut numbers = Numbers(seed("noise"));
    for _ in 0..if full() { 2_000 } else { 100 } {
        let noise: Vec<u8> = (0..numbers.below(4096)).map(|_| numbers.below(256) as u8).collect();
        let mut connection = node.connect();
        // The other side may close before all of it is written.
        let _ = connection.send_bytes(&noise);
    }
    node.assert_well();
    assert!(node.memory() < 200 * MIB, "{}", node.memory());
}
