//! Handshakes byte for byte as they were recorded, and each fault in one.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::*;

const SUPPORTED: &str =
    r#"{"max_protocol_version":0,"min_protocol_version":0,"server_version":"2.4.4","success":true}"#;

/// One user per name that is given, with the salt and nonce of the recorded handshake.
struct Fixed {
    password: &'static [u8],
    iterations: u32,
}

impl Accounts for Fixed {
    fn credentials(&mut self, user: &str) -> Option<Credentials> {
        let mut salt = [0; 16];
        salt.copy_from_slice(&STANDARD.decode("cJkdkiBz+IaazMi2YH88UQ==").unwrap());
        (user == "admin").then(|| Credentials::from_password(self.password, salt, self.iterations))
    }

    fn nonce(&mut self) -> [u8; NONCE_BYTES] {
        [3; NONCE_BYTES]
    }

    fn decoy_secret(&mut self) -> [u8; 32] {
        [9; 32]
    }
}

fn converse(password: &'static [u8], said: &[&[u8]]) -> (Vec<String>, Progress) {
    let mut accounts = Fixed { password, iterations: 1 };
    let mut handshake = Handshake::new("2.4.4");
    let mut progress = Progress::Reading;
    let mut answers = Vec::new();
    for bytes in said {
        let mut out = Vec::new();
        progress = handshake.receive(bytes, &mut accounts, &mut out);
        answers.extend(out.split_inclusive(|byte| *byte == 0).map(|answer| {
            assert_eq!(answer.last(), Some(&0));
            String::from_utf8(answer[..answer.len() - 1].to_vec()).unwrap()
        }));
    }
    (answers, progress)
}

fn v1(said: &[&str]) -> (Vec<String>, Progress) {
    let mut bytes: Vec<Vec<u8>> = vec![MAGIC_V1_0.to_le_bytes().to_vec()];
    bytes.extend(said.iter().map(|text| [text.as_bytes(), b"\0"].concat()));
    converse(b"", &bytes.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

fn first(user: &str) -> String {
    format!(r#"{{"protocol_version":0,"authentication_method":"SCRAM-SHA-256","authentication":"n,,n={user},r=abc"}}"#)
}

/// A client's proof, computed from the password as a driver does.
fn proof(user: &str, password: &[u8], server_first: &str) -> String {
    let fields = json::parse(server_first.as_bytes()).unwrap();
    let text = fields.field("authentication").unwrap().as_string().unwrap().as_str().to_owned();
    let part = |name: &str| text.split(',').find_map(|piece| piece.strip_prefix(name)).unwrap().to_owned();
    let salt = STANDARD.decode(part("s=")).unwrap();
    let mut salted = [0; 32];
    pbkdf2::pbkdf2_hmac::<sha2::Sha256>(password, &salt, part("i=").parse().unwrap(), &mut salted);
    use super::super::credentials::{hmac_sha256, sha256};
    let client_key = hmac_sha256(&salted, &[b"Client Key"]);
    let bare = format!("c=biws,r={}", part("r="));
    let said = format!("n={user},r=abc,{text},{bare}");
    let signature = hmac_sha256(&sha256(&client_key), &[said.as_bytes()]);
    let proof: Vec<u8> = client_key.iter().zip(signature).map(|(a, b)| a ^ b).collect();
    format!(r#"{{"authentication":"{bare},p={}"}}"#, STANDARD.encode(proof))
}

#[test]
fn the_recorded_handshake_replays_byte_for_byte() {
    // The exchange alone, with the recorded nonce; the JSON around it is checked by the other tests.
    use super::super::scram::{ClientFirst, Exchange};
    let credentials = Fixed { password: b"", iterations: 1 }.credentials("admin").unwrap();
    let first = ClientFirst::parse("n,,n=admin,r=UzIW11xkFMgH09rVDI3boDvu").unwrap_or_else(|_| panic!("parses"));
    let nonce = STANDARD.decode("8W5V8mV4ZFC6nXUehPmB").unwrap();
    let (exchange, answer) = Exchange::start(first, credentials, &nonce);
    assert_eq!(answer, "r=UzIW11xkFMgH09rVDI3boDvu8W5V8mV4ZFC6nXUehPmB,s=cJkdkiBz+IaazMi2YH88UQ==,i=1");
    let said = "c=biws,r=UzIW11xkFMgH09rVDI3boDvu8W5V8mV4ZFC6nXUehPmB,p=76aYfL/HTIIOV5w7+jIA6m+qnMeaDa+ADL+G+3SetiI=";
    assert_eq!(exchange.finish(said).as_deref(), Ok("v=KQ0cPB8pRFuD0CUmLMbfsLylL0JPOJh6kH9sT+vIHuw="));
}

#[test]
fn the_right_password_gets_in() {
    for (password, version) in [(b"".as_slice(), Version::V1_0), (b"s3cret", Version::V1_0)] {
        let mut accounts = Fixed { password, iterations: 5 };
        let mut handshake = Handshake::new("2.4.4");
        let mut out = Vec::new();
        let mut hello = MAGIC_V1_0.to_le_bytes().to_vec();
        hello.extend_from_slice(first("admin").as_bytes());
        hello.push(0);
        assert_eq!(handshake.receive(&hello, &mut accounts, &mut out), Progress::Reading);
        let answers: Vec<&[u8]> = out.split(|byte| *byte == 0).collect();
        assert_eq!(answers[0], SUPPORTED.as_bytes());
        let proof = proof("admin", password, std::str::from_utf8(answers[1]).unwrap());
        let mut last = Vec::new();
        // The first frame may come with the last message.
        let progress = handshake.receive(format!("{proof}\0rest").as_bytes(), &mut accounts, &mut last);
        assert_eq!(progress, Progress::Authenticated { user: "admin".into(), version, rest: b"rest".to_vec() });
        assert!(last.starts_with(br#"{"authentication":"v="#) && last.ends_with(b"\"success\":true}\0"));
    }
}

#[test]
fn an_unknown_user_looks_like_a_wrong_password() {
    let mut accounts = Fixed { password: b"right", iterations: PASSWORD_ITERATIONS };
    let mut ends = Vec::new();
    for user in ["admin", "nobody"] {
        let mut handshake = Handshake::new("2.4.4");
        let mut out = Vec::new();
        handshake.receive(&MAGIC_V1_0.to_le_bytes(), &mut accounts, &mut out);
        out.clear();
        handshake.receive(format!("{}\0", first(user)).as_bytes(), &mut accounts, &mut out);
        let answer = String::from_utf8(out[..out.len() - 1].to_vec()).unwrap();
        assert!(answer.contains(",i=4096\""));
        let mut last = Vec::new();
        let proof = proof(user, b"wrong", &answer);
        assert_eq!(handshake.receive(format!("{proof}\0").as_bytes(), &mut accounts, &mut last), Progress::Refused);
        ends.push(String::from_utf8(last).unwrap());
    }
    assert_eq!(ends[0], ends[1]);
    assert_eq!(ends[0], "{\"error\":\"Wrong password\",\"error_code\":12,\"success\":false}\0");
}

#[test]
fn faults_of_v1_as_recorded() {
    let method = r#""protocol_version":0,"authentication_method":"SCRAM-SHA-256""#;
    for (said, code, text) in [
        ("{", 8, "Invalid JSON object."),
        ("", 8, "Invalid JSON object."),
        ("{}", 1, "Expected a number for `protocol_version`."),
        (r#"{"protocol_version":1}"#, 2, "Unsupported `protocol_version`."),
        (r#"{"protocol_version":0}"#, 3, "Expected a string for `authentication_method`."),
        (r#"{"protocol_version":0,"authentication_method":"PLAIN"}"#, 4, "Unsupported `authentication_method`."),
        (&format!("{{{method}}}"), 5, "Expected a string for `authentication`."),
        (&format!(r#"{{{method},"authentication":"n,,n=admin"}}"#), 10, "Invalid encoding"),
        (&format!(r#"{{{method},"authentication":"garbage"}}"#), 15, "Channel binding is not supported"),
    ] {
        let (answers, progress) = v1(&[said]);
        assert_eq!(answers[0], SUPPORTED);
        assert_eq!(answers[1], format!(r#"{{"error":"{text}","error_code":{code},"success":false}}"#), "{said}");
        assert_eq!(progress, Progress::Refused);
    }
    assert_eq!(v1(&["null"]), (vec![SUPPORTED.to_owned()], Progress::Refused));
}

#[test]
fn faulty_proofs_as_recorded() {
    for (said, code, text) in [
        (r#"{"authentication":"garbage"}"#, 10, "Invalid encoding"),
        ("{}", 5, "Expected a string for `authentication`."),
        ("{", 8, "Invalid JSON object."),
        (r#"{"authentication":"c=biws,r=abc,p=AAAA"}"#, 12, "Wrong password"),
    ] {
        let (answers, progress) = v1(&[&first("admin"), said]);
        assert_eq!(answers[2], format!(r#"{{"error":"{text}","error_code":{code},"success":false}}"#));
        assert_eq!(progress, Progress::Refused);
    }
}

#[test]
fn old_protocols() {
    let hello = |magic: u32, key: &[u8], encoding: u32| {
        let mut bytes = magic.to_le_bytes().to_vec();
        bytes.extend_from_slice(&(key.len() as u32).to_le_bytes());
        bytes.extend_from_slice(key);
        bytes.extend_from_slice(&encoding.to_le_bytes());
        bytes
    };
    for (magic, version) in [(MAGIC_V0_3, Version::V0_3), (MAGIC_V0_4, Version::V0_4)] {
        let (answers, progress) = converse(b"pw", &[&hello(magic, b"pw", ENCODING_JSON)]);
        assert_eq!(answers, ["SUCCESS"]);
        assert_eq!(progress, Progress::Authenticated { user: "admin".into(), version, rest: Vec::new() });
    }
    for (bytes, text) in [
        (hello(MAGIC_V0_4, b"no", ENCODING_JSON), "Incorrect authorization key."),
        (hello(MAGIC_V0_4, b"pw", ENCODING_PROTOBUF), "The PROTOBUF client protocol is no longer supported"),
        (hello(MAGIC_V0_4, b"pw", 7), "Unrecognized protocol specified: '7'"),
        (hello(MAGIC_V0_4, &[b'x'; 2049], 7), "Client provided an authorization key that is too long."),
        (hello(MAGIC_V0_2, b"", 7), "The PROTOBUF client protocol is no longer supported"),
        (
            b"GET / HTTP/1.1\r\n\r\n".to_vec(),
            "Received an unsupported protocol version. This port is for RethinkDB queries. Does your client driver \
             version not match the server?",
        ),
    ] {
        let (answers, progress) = converse(b"pw", &[&bytes]);
        assert_eq!(answers, [format!("ERROR: {text}\n")]);
        assert_eq!(progress, Progress::Refused);
    }
}

#[test]
fn a_trickle_works_and_a_flood_does_not() {
    let mut accounts = Fixed { password: b"", iterations: 1 };
    let mut handshake = Handshake::new("2.4.4");
    let mut out = Vec::new();
    for byte in MAGIC_V1_0.to_le_bytes().iter().chain(first("admin").as_bytes()).chain(b"\0") {
        assert_eq!(handshake.receive(&[*byte], &mut accounts, &mut out), Progress::Reading);
    }
    assert_eq!(out.iter().filter(|byte| **byte == 0).count(), 2);
    let mut last = Vec::new();
    assert_eq!(handshake.receive(&[b' '; HANDSHAKE_BYTES_MAX], &mut accounts, &mut last), Progress::Refused);
    assert_eq!(last, b"{\"error\":\"Limited read buffer size.\",\"error_code\":7,\"success\":false}\0");
}
