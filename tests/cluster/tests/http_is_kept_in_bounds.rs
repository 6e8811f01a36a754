//! `http` with a server, or a user, that means ill: addresses, redirects, bodies and answers without end, certificates.

use std::io::{Read, Write};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use photondb_test_cluster::terms::http;
use photondb_test_cluster::{Asked, NON_EXISTENCE, Node, Web, reply, reply_json};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;

/// Of 127.0.0.1, signed by itself, for a hundred years. The key guards nothing.
const CERTIFICATE: &str = include_str!("certificates/loopback.pem");
const KEY: &str = include_str!("certificates/loopback.key");

/// A node that may fetch from this machine.
fn node() -> Node {
    Node::start_with(&["--allow-http", "--allow-http-to", "127.0.0.1"])
}

#[test]
fn it_is_off_unless_an_option_allows_it() {
    let web = Web::start(|_, stream| reply(stream, "200 OK", b"x"));
    let mut node = Node::start();
    let (kind, message) = node.connect().failure(&http(&web.url("/"), json!({})));
    assert_eq!(
        (kind, message.as_str()),
        (4_100_000, "`http` is not allowed on this server (it was started without `--allow-http`).")
    );
    node.assert_well();
    assert!(web.asked().is_empty());
}

#[test]
fn private_addresses_are_refused_however_they_are_spelt() {
    let web = Web::start(|_, stream| reply(stream, "200 OK", b"x"));
    let port = web.port();
    let mut node = Node::start_with(&["--allow-http"]);
    let mut c = node.connect();
    for host in [
        "127.0.0.1",
        "0x7f.1",
        "2130706433",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
        "10.0.0.1",
        "169.254.169.254",
        "168.63.129.16",
        "[fe80::1]",
        "224.0.0.1",
    ] {
        let url = format!("http://{host}:{port}/");
        let (kind, message) = c.failure(&http(&url, json!({})));
        let expected = format!(
            "Error in HTTP GET of `{url}`: the address is not allowed (see the option `allow-http-to` of the server)."
        );
        assert_eq!((kind, message), (NON_EXISTENCE, expected));
    }
    // A name is looked up, and what it stands for is looked at, and not told.
    let (_, message) = c.failure(&http(&format!("http://localhost:{port}/"), json!({})));
    assert!(message.contains("the address is not allowed") && !message.contains("127.0.0.1"), "{message}");
    assert!(web.asked().is_empty());
    node.assert_well();
}

#[test]
fn redirects_lead_only_where_a_query_might_go_by_itself() {
    let targets: Arc<Mutex<String>> = Arc::default();
    let to = targets.clone();
    let web = Web::start(move |asked, stream| match asked.target.as_str() {
        "/away" => reply(stream, &format!("302 Found\r\nLocation: {}", to.lock().unwrap()), b"gone"),
        "/twice" => reply(stream, "301 Moved\r\nLocation: away", b""),
        "/cookie" => reply(stream, "302 Found\r\nSet-Cookie: a=1; Path=/\r\nLocation: /show", b""),
        _ => reply_json(
            stream,
            &json!({"target": asked.target, "method": asked.method, "cookie": asked.line("cookie"), "auth": asked.line("authorization"), "body": asked.body}),
        ),
    });
    let other = Web::start(|asked, stream| reply_json(stream, &json!({"auth": asked.line("authorization")})));
    let mut node = node();
    let mut c = node.connect();
    let redirect = |target: &str| *targets.lock().unwrap() = target.to_owned();

    redirect("/there?x=1#fragment");
    assert_eq!(c.value(&http(&web.url("/away"), json!({})))["target"], "/there?x=1");
    for (target, why) in [
        (
            format!("http://127.0.0.2:{}/", web.port()),
            "the address is not allowed (see the option `allow-http-to` of the server)",
        ),
        (
            format!("http://[::1]:{}/", web.port()),
            "the address is not allowed (see the option `allow-http-to` of the server)",
        ),
        ("file:///etc/passwd".to_owned(), "Unsupported protocol"),
        ("ftp://127.0.0.1/".to_owned(), "Unsupported protocol"),
        ("http://".to_owned(), "URL using bad/illegal format or missing URL"),
    ] {
        redirect(&target);
        let (kind, message) = c.failure(&http(&web.url("/away"), json!({})));
        assert_eq!((kind, message), (NON_EXISTENCE, format!("Error in HTTP GET of `{}`: {why}.", web.url("/away"))));
    }
    // One redirect by default, none with 0, as many as asked for.
    redirect("/there");
    let (_, message) = c.failure(&http(&web.url("/twice"), json!({})));
    assert!(message.ends_with(": Number of redirects hit maximum amount."), "{message}");
    assert_eq!(c.value(&http(&web.url("/twice"), json!({"redirects": 2})))["target"], "/there");
    let (_, message) = c.failure(&http(&web.url("/away"), json!({"redirects": 0})));
    assert!(
        message.contains(": status code 302.\nheader:\n{\n") && message.ends_with("\nbody:\n\"gone\""),
        "{message}"
    );
    redirect("/away");
    let (_, message) = c.failure(&http(&web.url("/away"), json!({"redirects": 20})));
    assert!(message.ends_with(": Number of redirects hit maximum amount."), "{message}");
    // Cookies go along, secrets do not leave for another server, and a form becomes a question.
    assert_eq!(c.value(&http(&web.url("/cookie"), json!({})))["cookie"], "a=1");
    let auth = json!({"auth": {"user": "u", "pass": "p"}, "header": {"X-Own": "1"}});
    redirect("/there");
    assert_eq!(c.value(&http(&web.url("/away"), auth.clone()))["auth"], "Basic dTpw");
    redirect(&other.url("/"));
    assert_eq!(c.value(&http(&web.url("/away"), auth))["auth"], "");
    redirect("/there");
    let posted = c.value(&http(&web.url("/away"), json!({"method": "POST", "data": "x=1"})));
    assert_eq!((&posted["method"], &posted["body"]), (&"GET".into(), &"".into()));
    node.assert_well();
}

#[test]
fn bodies_without_end_are_let_go() {
    let web = Web::start(|asked, stream| {
        let chunk = vec![b'x'; 1 << 16];
        match asked.target.as_str() {
            "/huge" => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000000\r\n\r\n");
                while stream.write_all(&chunk).is_ok() {}
            }
            "/endless" => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
                while stream
                    .write_all(b"10000\r\n")
                    .and_then(|()| stream.write_all(&chunk))
                    .and_then(|()| stream.write_all(b"\r\n"))
                    .is_ok()
                {}
            }
            "/header" => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nX: ");
                while stream.write_all(&chunk).is_ok() {}
            }
            _ => {
                let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
                (0..2_000).for_each(|_| packed.write_all(&chunk).unwrap());
                reply(stream, "200 OK\r\nContent-Encoding: gzip", &packed.finish().unwrap());
            }
        }
    });
    let mut node = node();
    let mut c = node.connect();
    for target in ["/huge", "/endless", "/bomb"] {
        let (kind, message) = c.failure(&http(&web.url(target), json!({})));
        assert_eq!(
            (kind, message),
            (
                NON_EXISTENCE,
                format!("Error in HTTP GET of `{}`: the response is larger than 33554432 bytes.", web.url(target))
            )
        );
    }
    let (_, message) = c.failure(&http(&web.url("/header"), json!({"attempts": 1})));
    assert!(message.ends_with(": error when receiving data."), "{message}");
    assert!(node.memory() < 400 << 20, "{} MiB", node.memory() >> 20);
    node.assert_well();
}

#[test]
fn a_slow_server_keeps_nobody_waiting_and_stop_abandons_it() {
    let gone = Arc::new(AtomicU32::new(0));
    let count = gone.clone();
    let web = Web::start(move |asked, stream| {
        if asked.target == "/silent" {
            let mut rest = [0; 1];
            // Until the other side goes away.
            let _ = stream.read(&mut rest);
        } else {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
            while stream.write_all(b"x").and_then(|()| stream.flush()).is_ok() {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        count.fetch_add(1, Ordering::SeqCst);
    });
    let mut node = node();
    for target in ["/silent", "/drip"] {
        let mut c = node.connect();
        let begun = Instant::now();
        c.send_as(1, &format!("[1,{}]", http(&web.url(target), json!({"timeout": 0.8})))).unwrap();
        for token in 2..12 {
            let asked = Instant::now();
            c.send_as(token, "[1,[24,[1,2]]]").unwrap();
            assert_eq!(c.receive().unwrap().1["r"][0], 3);
            assert!(asked.elapsed() < Duration::from_millis(300), "{:?}", asked.elapsed());
        }
        let (token, answer) = c.receive().unwrap();
        let expected = format!("Error in HTTP GET of `{}`: timed out after 0.800 seconds.", web.url(target));
        assert_eq!((token, &answer["r"][0]), (1, &expected.into()));
        assert!(begun.elapsed() >= Duration::from_millis(790) && begun.elapsed() < Duration::from_secs(4));
    }
    let wait_gone = |number: u32| {
        let begun = Instant::now();
        while gone.load(Ordering::SeqCst) < number {
            assert!(begun.elapsed() < Duration::from_secs(5), "the connection stays open");
            std::thread::sleep(Duration::from_millis(2));
        }
        begun.elapsed()
    };
    wait_gone(2);
    let mut c = node.connect();
    let token = c.send(&format!("[1,{}]", http(&web.url("/silent"), json!({})))).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    c.send_as(token, "[3]").unwrap();
    assert_eq!(c.receive().unwrap().0, token);
    let took = wait_gone(3);
    assert!(took < Duration::from_secs(1), "{took:?}");
    c.send(&format!("[1,{}]", http(&web.url("/drip"), json!({})))).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    drop(c);
    wait_gone(4);
    node.wait_idle();
    node.assert_well();
}

#[test]
fn tls_servers_prove_who_they_are_unless_nobody_asks() {
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(KEY.as_bytes()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://127.0.0.1:{}/", listener.local_addr().unwrap().port());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut session = rustls::ServerConnection::new(config.clone()).unwrap();
            let mut tls = rustls::Stream::new(&mut session, &mut stream);
            if Asked::read(&mut tls).is_some() {
                let _ = tls.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret");
                tls.conn.send_close_notify();
                let _ = tls.flush();
            }
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("authorities.pem");
    std::fs::write(&file, CERTIFICATE).unwrap();

    let mut stranger = node();
    let mut c = stranger.connect();
    let (kind, message) = c.failure(&http(&url, json!({})));
    assert_eq!(
        (kind, message),
        (
            NON_EXISTENCE,
            format!(
                "Error in HTTP GET of `{url}`: Peer certificate cannot be authenticated with given CA certificates."
            )
        )
    );
    assert_eq!(c.value(&http(&url, json!({"verify": false}))), "secret");
    let plain = Web::start(|_, stream| reply(stream, "200 OK", b"no TLS"));
    let (_, message) = c.failure(&http(&plain.url("/").replace("http:", "https:"), json!({})));
    assert!(message.ends_with(": SSL connect error."), "{message}");
    stranger.assert_well();

    let mut friend = Node::stopped(&["--allow-http", "--allow-http-to", "127.0.0.0/8"])
        .with_variable("SSL_CERT_FILE", file.to_str().unwrap());
    friend.restart();
    assert_eq!(friend.connect().value(&http(&url, json!({}))), "secret");
    friend.assert_well();
}
