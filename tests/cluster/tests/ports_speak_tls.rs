//! The driver port and the HTTP port speak TLS, and nothing else, where they have certificates; certificates change while the
//! node runs; files that are of no use stop the start.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use photondb_test_cluster::certificates::{Authority, Issued};
use photondb_test_cluster::secret::PATIENCE;
use photondb_test_cluster::{Encrypted, Node, photondb, text};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::version::{TLS12, TLS13};

fn node(flags: &[String]) -> Node {
    let mut node = Node::stopped(&flags.iter().map(String::as_str).collect::<Vec<_>>());
    node.launch();
    node
}

/// Whatever a port answers to somebody who does not speak TLS: an alert, and the end.
fn answer_in_the_clear(port: u16, said: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(said).unwrap();
    let mut answer = Vec::new();
    // The node may close before it has read everything.
    if let Err(error) = stream.read_to_end(&mut answer) {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
    answer
}

#[test]
fn both_ports_speak_tls_and_nothing_else() {
    let authority = Authority::new("clients");
    let issued = authority.issue("node");
    let node = node(&[issued.flags("driver"), issued.flags("http")].concat());
    let mut driver = Encrypted::open(node.ports().driver, &authority, None).unwrap();
    assert!(driver.log_in().unwrap());
    assert_eq!(driver.run("[1,[24,[1,2]]]").unwrap()["r"][0], 3);
    // Larger than a record, both ways.
    let long = "x".repeat(200_000);
    assert_eq!(driver.run(&format!("[1,\"{long}\"]")).unwrap()["r"][0], long);
    for path in ["/health/ready", "/_metrics"] {
        let answer = Encrypted::open(node.ports().http, &authority, None).unwrap().http_get(path).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{path}: {answer}");
    }
    for port in [node.ports().driver, node.ports().http] {
        for said in [&b"GET /health HTTP/1.1\r\n\r\n"[..], &0x400c_2d20_u32.to_le_bytes(), &[0; 2000]] {
            let answer = answer_in_the_clear(port, said);
            assert!(answer.is_empty() || answer.starts_with(&[0x15, 3]), "{answer:?}");
        }
    }
    assert!(node.log().contains("it does not speak TLS"), "{}", node.log());
    let stranger = Encrypted::open(node.ports().driver, &Authority::new("others"), None);
    assert!(stranger.is_err(), "a client believes whom it was told to believe");
}

#[test]
fn the_subcommands_come_over_tls_too() {
    let authority = Authority::new("clients");
    let encrypted = node(&authority.flags("driver", &authority.issue("node")));
    let clear = Node::start();
    let list = |node: &Node, flags: &[&str]| {
        let address = format!("127.0.0.1:{}", node.ports().driver);
        let output = photondb(&[&["db", "list", "--connect", &address], flags].concat());
        (output.status.success(), text(&output))
    };
    let Issued { certificate, key } = authority.issue("client");
    let file = authority.file();
    let [file, certificate, key] = [&file, &certificate, &key].map(|path| path.to_str().unwrap());
    let whole = ["--tls-ca", file, "--tls-cert", certificate, "--tls-key", key];
    assert_eq!(list(&encrypted, &whole), (true, "rethinkdb\ntest\n".to_owned()));
    let stranger = Authority::new("others");
    let other = stranger.file();
    for (node, flags, reason) in [
        (&encrypted, &[][..], "the server speaks TLS there (--tls-ca)"),
        (&encrypted, &["--tls-ca", other.to_str().unwrap()], "UnknownIssuer"),
        (&encrypted, &["--tls-ca", "/nowhere"], "option `tls-ca`, file /nowhere: No such file"),
        (&clear, &["--tls-ca", file], "the server does not speak TLS there"),
    ] {
        let (done, said) = list(node, flags);
        assert!(!done && said.contains(reason), "{said}");
    }
}

#[test]
fn drivers_show_certificates_where_there_are_authorities_for_them() {
    let (authority, other) = (Authority::new("clients"), Authority::new("others"));
    let node = node(&authority.flags("driver", &authority.issue("node")));
    let enter = |shown: Option<&Issued>| {
        let mut driver = Encrypted::open(node.ports().driver, &authority, shown)?;
        driver.log_in()
    };
    assert!(enter(Some(&authority.issue("client"))).unwrap());
    assert!(enter(None).is_err());
    assert!(enter(Some(&other.issue("stranger"))).is_err());
}

#[test]
fn versions_below_the_least_one_are_refused() {
    let authority = Authority::new("clients");
    let issued = authority.issue("node");
    let opens = |node: &Node, version| {
        Encrypted::open_with(node.ports().driver, &authority, None, &[version]).and_then(|mut driver| driver.log_in())
    };
    let by_default = node(&issued.flags("driver"));
    assert!(opens(&by_default, &TLS12).unwrap() && opens(&by_default, &TLS13).unwrap());
    let strict = node(&[issued.flags("driver"), vec!["--tls-min-protocol=TLSv1.3".to_owned()]].concat());
    assert!(opens(&strict, &TLS12).is_err() && opens(&strict, &TLS13).unwrap());
}

fn replace(with: &Path, what: &Path) {
    std::fs::copy(with, what).unwrap();
}

/// Waits until the port shows this certificate.
fn shows(node: &Node, authority: &Authority, expected: &[u8]) {
    let begun = Instant::now();
    while Encrypted::open(node.ports().driver, authority, None).unwrap().certificate() != expected {
        assert!(begun.elapsed() < PATIENCE, "{}", node.log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn certificates_are_read_again_and_what_is_no_good_changes_nothing() {
    let authority = Authority::new("clients");
    let issued = authority.issue("node");
    let mut node = node(&issued.flags("driver"));
    let mut before = Encrypted::open(node.ports().driver, &authority, None).unwrap();
    assert!(before.log_in().unwrap());
    let first = before.certificate();

    // A key without its certificate.
    let next = authority.issue("next");
    replace(&next.key, &issued.key);
    let refusal = "is not the key of the certificate in";
    let begun = Instant::now();
    while !node.log().contains(refusal) {
        assert!(begun.elapsed() < PATIENCE, "{}", node.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    shows(&node, &authority, &first);
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(node.log().matches(refusal).count(), 1, "it is said once:\n{}", node.log());

    replace(&next.certificate, &issued.certificate);
    let second = CertificateDer::from_pem_file(&next.certificate).unwrap().to_vec();
    shows(&node, &authority, &second);
    assert_ne!(first, second);
    // Who was there before stays.
    assert_eq!(before.run("[1,[24,[1,2]]]").unwrap()["r"][0], 3);

    std::fs::remove_file(&issued.certificate).unwrap();
    let begun = Instant::now();
    while !node.log().contains("No such file") {
        assert!(begun.elapsed() < PATIENCE, "{}", node.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    shows(&node, &authority, &second);
    assert!(node.is_running());
}

#[test]
fn files_of_no_use_stop_the_start_before_the_directory_is_touched() {
    let authority = Authority::new("clients");
    let (issued, other) = (authority.issue("node"), authority.issue("other"));
    let expired = authority.issue_as("expired", |params| params.not_after = rcgen::date_time_ymd(2020, 3, 1));
    let early = authority.issue_as("early", |params| params.not_before = rcgen::date_time_ymd(2999, 1, 1));
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let nowhere = Path::new("/nowhere");
    for (certificate, key, option, reason) in [
        (nowhere, issued.key.as_path(), "driver-tls-cert", "No such file"),
        (&issued.certificate, nowhere, "driver-tls-key", "No such file"),
        (&issued.key, &issued.key, "driver-tls-cert", "no certificate stands in it"),
        (&issued.certificate, &issued.certificate, "driver-tls-key", "no private key stands in it"),
        (&issued.certificate, &other.key, "driver-tls-key", "it is not the key of the certificate in"),
        (&expired.certificate, &expired.key, "driver-tls-cert", "has expired on Sun, 01 Mar 2020"),
        (&early.certificate, &early.key, "driver-tls-cert", "is not valid before Tue, 01 Jan 2999"),
    ] {
        let (certificate, key) = (certificate.to_str().unwrap(), key.to_str().unwrap());
        let ports = ["--driver-port=0", "--cluster-port=0", "--http-port=0", "--directory", data.to_str().unwrap()];
        let files = ["serve", "--driver-tls-cert", certificate, "--driver-tls-key", key];
        let output = photondb(&[&files[..], &ports].concat());
        let said = text(&output);
        assert!(!output.status.success(), "{said}");
        assert!(said.contains(&format!("option `{option}`, file ")) && said.contains(reason), "{said}");
        assert!(!data.exists(), "{said}");
    }
}
