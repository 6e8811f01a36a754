//! `http` with servers that answer: what is sent for which options, what becomes of the answer, and what is refused before.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use md5::{Digest, Md5};
use photondb_test_cluster::terms::http;
use photondb_test_cluster::{Asked, NON_EXISTENCE, Node, Web, reply, reply_json};
use serde_json::{Value, json};

const LOGIC: u64 = 3_000_000;

/// A node that may fetch from this machine.
fn node() -> Node {
    Node::start_with(&["--allow-http", "--allow-http-to", "127.0.0.1"])
}

#[test]
fn requests_are_as_the_options_say() {
    let web = Web::start(|asked, stream| {
        let header: serde_json::Map<String, Value> =
            asked.header.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
        reply_json(
            stream,
            &json!({"method": asked.method, "target": asked.target, "body": asked.body, "header": header}),
        );
    });
    let mut node = node();
    let mut c = node.connect();
    let mut ask = |target: &str, options: Value| c.value(&http(&web.url(target), options));

    let plain = ask("/a/b?c", json!({}));
    assert_eq!((&plain["method"], &plain["target"], &plain["body"]), (&"GET".into(), &"/a/b?c".into(), &"".into()));
    assert!(plain["header"]["user-agent"].as_str().unwrap().starts_with("PhotonDB/"), "{plain}");
    assert_eq!(plain["header"]["accept-encoding"], "deflate;q=1, gzip;q=0.5");
    assert_eq!(plain["header"]["host"], format!("127.0.0.1:{}", web.port()));

    let params = json!({"params": {"q": "a b&c", "n": 1, "z": null}});
    assert_eq!(ask("/p", params.clone())["target"], "/p?n=1&q=a%20b%26c&z=");
    assert_eq!(ask("/p?x=1", params)["target"], "/p?x=1&n=1&q=a%20b%26c&z=");

    let form = ask("/", json!({"method": "POST", "data": {"a": "x y", "b": 2, "c": null}}));
    assert_eq!(
        (&form["body"], &form["header"]["content-type"]),
        (&"a=x%20y&b=2&c=".into(), &"application/x-www-form-urlencoded".into())
    );
    let text = ask("/", json!({"method": "POST", "data": "as it is", "header": {"Content-Type": "text/plain"}}));
    assert_eq!((&text["body"], &text["header"]["content-type"]), (&"as it is".into(), &"text/plain".into()));
    for method in ["PUT", "PATCH", "DELETE"] {
        let sent = ask("/", json!({"method": method, "data": {"a": 1, "b": {"c": null}}}));
        // In lines, as RethinkDB prints it.
        let body = "{\n\t\"a\":\t1,\n\t\"b\":\t{\n\t\t\"c\":\tnull\n\t}\n}";
        assert_eq!((&sent["method"], &sent["body"]), (&method.into(), &body.into()));
        assert_eq!(sent["header"]["content-type"], "application/json");
        let sent = ask("/", json!({"method": method}));
        assert_eq!(sent["body"], "");
    }
    let own = ask("/", json!({"header": {"X-Own": "1", "User-Agent": "me", "Accept": null}}));
    assert_eq!(
        (&own["header"]["x-own"], &own["header"]["user-agent"], &own["header"]["accept"]),
        (&"1".into(), &"me".into(), &Value::Null)
    );
    let lines = ask("/", json!({"header": [2, ["X-Own: a:b", "no header", "Accept:"]]}));
    assert_eq!((&lines["header"]["x-own"], &lines["header"]["accept"]), (&"a:b".into(), &Value::Null));
    let auth = ask("/", json!({"auth": {"type": "basic", "user": "user", "pass": "pass"}}));
    assert_eq!(auth["header"]["authorization"], "Basic dXNlcjpwYXNz");
    // The value says only that it succeeded.
    assert_eq!(ask("/", json!({"method": "HEAD"})), Value::Null);
    node.assert_well();
}

#[test]
fn wrong_options_are_refused_in_rethinkdbs_words() {
    let web = Web::start(|_, stream| reply(stream, "200 OK", b"x"));
    let mut node = node();
    let mut c = node.connect();
    for (options, refusal) in [
        (
            json!({"method": "TRACE"}),
            "`method` (TRACE) is not recognized (GET, HEAD, POST, PUT, PATCH and DELETE are allowed).",
        ),
        (
            json!({"data": "x"}),
            "`data` should only be specified on a PUT, POST, PATCH, or DELETE request.  If you want URL parameters, use `params` instead.",
        ),
        (json!({"method": "POST", "data": 1}), "Expected `data` to be a STRING or OBJECT, but found NUMBER."),
        (
            json!({"method": "POST", "data": {"a": true}}),
            "Expected `data.a` to be a NUMBER, STRING or NULL, but found BOOL.",
        ),
        (json!({"timeout": -1}), "`timeout` may not be negative."),
        (json!({"timeout": "x"}), "Expected type NUMBER but found STRING."),
        (json!({"params": 1}), "Expected `params` to be an OBJECT, but found NUMBER:\n1"),
        (json!({"params": {"a": [2, []]}}), "Expected `params.a` to be a NUMBER, STRING or NULL, but found ARRAY:\n[]"),
        (json!({"header": "x"}), "Expected `header` to be an ARRAY or OBJECT, but found STRING."),
        (json!({"header": {"a": 1}}), "Expected `header.a` to be a STRING or NULL, but found NUMBER."),
        (json!({"header": [2, [1]]}), "Expected `header[0]` to be a STRING, but found NUMBER."),
        (json!({"header": {"a": "x\r\nb: y"}}), "A `header` item contains newline characters."),
        (json!({"header": [2, ["a: x\nb: y"]]}), "A `header` item contains newline characters."),
        (json!({"auth": 1}), "Expected `auth` to be an OBJECT, but found NUMBER."),
        (json!({"auth": {"user": "u"}}), "`auth.pass` not found in the auth object."),
        (json!({"auth": {"user": 1, "pass": "p"}}), "Expected `auth.user` to be a STRING, but found NUMBER."),
        (
            json!({"auth": {"type": "x", "user": "u", "pass": "p"}}),
            "`auth.type` is not recognized ('basic', and 'digest' are allowed).",
        ),
        (
            json!({"result_format": "xml"}),
            "`result_format` (xml) is not recognized, ('auto', 'json', 'jsonp', 'text', and 'binary' are allowed).",
        ),
        (json!({"redirects": -1}), "Integer too large: -1"),
        (json!({"attempts": 1.5}), "Number not an integer: 1.5"),
        (
            json!({"page": "link-next"}),
            "Cannot use `page` without specifying `page_limit` (a positive number performs that many requests, -1 is unlimited).",
        ),
        (json!({"page": "link-next", "page_limit": -2}), "`page_limit` should be greater than or equal to -1."),
        (
            json!({"page": "next", "page_limit": 1}),
            "`page` method 'next' not recognized, only 'link-next' is available.",
        ),
    ] {
        assert_eq!(c.failure(&http(&web.url("/"), options)), (LOGIC, refusal.to_owned()));
    }
    for name in ["Content-Length", "transfer-encoding", "Connection", "Upgrade"] {
        let (kind, message) = c.failure(&http(&web.url("/"), json!({"header": {name: "1"}})));
        assert_eq!(kind, NON_EXISTENCE);
        assert!(message.ends_with("` is no header that can be sent."), "{message}");
    }
    assert!(web.asked().is_empty());
    let unknown = c.run(&format!("[1,{}]", http("x", json!({"x": 1})))).unwrap();
    assert_eq!((&unknown["t"], &unknown["r"][0]), (&17.into(), &"Unrecognized optional argument `x`.".into()));
    node.assert_well();
}

#[test]
fn answers_become_values() {
    let web = Web::start(|asked, stream| {
        let kind = |kind: &str| format!("200 OK\r\nContent-Type: {kind}");
        match asked.target.as_str() {
            "/json" => reply(stream, &kind("application/json; charset=utf-8"), br#"{"a":[1,null]}"#),
            "/bad" => reply(stream, &kind("application/json"), b"{nope"),
            "/text" => reply(stream, &kind("text/plain"), "grüße \u{1f600}".as_bytes()),
            "/latin1" => reply(stream, &kind("text/plain"), b"gr\xfc\xdfe"),
            "/jsonp" => reply(stream, &kind("text/javascript"), b"f({\"a\":1});"),
            "/image" => reply(stream, &kind("image/png"), b"\x89PNG\x00"),
            "/chunked" => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
                let _ = stream.flush();
                std::thread::sleep(Duration::from_millis(20));
                let _ = stream.write_all(b"4;x=y\r\ndefg\r\n0\r\nTrailer: x\r\n\r\n");
            }
            "/close" => {
                let _ = stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nuntil the end");
            }
            "/gzip" => {
                let mut packed = GzEncoder::new(Vec::new(), Compression::best());
                packed.write_all(br#"{"packed":true}"#).unwrap();
                reply(
                    stream,
                    "200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip",
                    &packed.finish().unwrap(),
                );
            }
            "/brotli" => reply(stream, "200 OK\r\nContent-Encoding: br", b"x"),
            "/empty" => reply(stream, "204 No Content", b""),
            "/404" => reply(stream, "404 Not Found\r\nX-Why: none", b"not here"),
            _ => reply(stream, "500 Oops", b""),
        }
    });
    let mut node = node();
    let mut c = node.connect();
    for (target, options, expected) in [
        ("/json", json!({}), json!({"a": [1, null]})),
        ("/json", json!({"result_format": "text"}), json!(r#"{"a":[1,null]}"#)),
        ("/text", json!({}), json!("grüße \u{1f600}")),
        ("/latin1", json!({}), json!("gr\u{fffd}\u{fffd}e")),
        ("/jsonp", json!({}), json!({"a": 1})),
        ("/jsonp", json!({"result_format": "jsonp"}), json!({"a": 1})),
        ("/image", json!({}), json!({"$reql_type$": "BINARY", "data": "iVBORwA="})),
        ("/text", json!({"result_format": "binary"}), json!({"$reql_type$": "BINARY", "data": "Z3LDvMOfZSDwn5iA"})),
        ("/chunked", json!({}), json!("abcdefg")),
        ("/close", json!({}), json!("until the end")),
        ("/gzip", json!({}), json!({"packed": true})),
        ("/empty", json!({}), json!("")),
    ] {
        assert_eq!(c.value(&http(&web.url(target), options)), expected, "{target}");
    }
    let mut fail = |target: &str, options: Value| c.failure(&http(&web.url(target), options));
    let (kind, message) = fail("/bad", json!({}));
    assert_eq!(kind, NON_EXISTENCE);
    assert!(
        message.contains(": failed to parse JSON response: ") && message.ends_with("\nbody:\n\"{nope\""),
        "{message}"
    );
    assert!(
        fail("/text", json!({"result_format": "jsonp"})).1.contains(": failed to parse JSONP response.\nheader:\n")
    );
    let (kind, message) = fail("/404", json!({}));
    let expected = format!(
        "Error in HTTP GET of `{}`: status code 404.\nheader:\n{{\n\t\"content-length\":\t\"8\",\n\t\"x-why\":\t\"none\"\n}}\nbody:\n\"not here\"",
        web.url("/404")
    );
    assert_eq!((kind, message), (NON_EXISTENCE, expected));
    assert!(fail("/brotli", json!({})).1.ends_with(": Unrecognized or bad HTTP Content or Transfer-Encoding."));
    // What failed may be caught.
    assert_eq!(c.value(&format!("[92,[{},\"caught\"]]", http(&web.url("/404"), json!({})))), "caught");
    node.assert_well();
}

#[test]
fn what_may_pass_is_tried_again() {
    let tries = Arc::new(AtomicU32::new(0));
    let count = tries.clone();
    let web = Web::start(move |asked, stream| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        match asked.target.as_str() {
            "/third" if number == 2 => reply(stream, "200 OK", b"at last"),
            "/third" | "/503" => reply(stream, "503 Busy", b"no"),
            "/remembers" if number == 0 => reply(stream, "503 Busy\r\nSet-Cookie: tried=1; Path=/", b"no"),
            "/remembers" => reply(stream, "200 OK", asked.line("cookie").as_bytes()),
            "/404" => reply(stream, "404 Not Found", b""),
            // The connection just ends, or in the middle of a body.
            "/half" => drop(stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")),
            _ => {}
        }
    });
    let mut node = node();
    let mut c = node.connect();
    let mut tried = |term: &str| {
        tries.store(0, Ordering::SeqCst);
        let answer = c.run(&format!("[1,{term}]")).unwrap()["r"][0].as_str().unwrap().to_owned();
        (answer, tries.load(Ordering::SeqCst))
    };
    let ask = |target: &str, options: Value| http(&web.url(target), options);
    assert_eq!(tried(&ask("/third", json!({}))), ("at last".to_owned(), 3));
    assert_eq!(tried(&ask("/remembers", json!({}))), ("tried=1".to_owned(), 2));
    let (message, times) = tried(&ask("/503", json!({})));
    assert!(message.contains(": status code 503.") && times == 5, "{message} after {times}");
    assert_eq!(tried(&ask("/503", json!({"attempts": 2}))).1, 2);
    assert_eq!(tried(&ask("/503", json!({"attempts": 1_000_000}))).1, 100);
    assert_eq!(tried(&ask("/404", json!({}))).1, 1);
    let (message, times) = tried(&ask("/nothing", json!({"attempts": 3})));
    assert!(message.ends_with(": error when receiving data.") && times == 3, "{message} after {times}");
    let (message, times) = tried(&ask("/half", json!({"attempts": 3})));
    assert!(message.ends_with(": error when receiving data.") && times == 3, "{message} after {times}");
    let (message, times) = tried(&ask("/", json!({"attempts": 0})));
    assert!(message.ends_with(": could not perform, no attempts allowed.") && times == 0, "{message}");
    // Nobody listens there.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (message, _) = tried(&http(&format!("http://127.0.0.1:{free}/"), json!({})));
    assert!(message.ends_with(": could not connect to server."), "{message}");
    let (message, _) = tried(&http("http://no-such-name.invalid/", json!({"timeout": 60})));
    assert!(message.ends_with(": Couldn't resolve host name."), "{message}");
    for (url, why) in [
        ("file:///etc/passwd", "Unsupported protocol"),
        ("gopher://127.0.0.1/", "Unsupported protocol"),
        ("http://a b/", "URL using bad/illegal format or missing URL"),
    ] {
        assert_eq!(tried(&http(url, json!({}))).0, format!("Error in HTTP GET of `{url}`: {why}."));
    }
    node.assert_well();
}

fn md5(text: String) -> String {
    Md5::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn digest_answers_the_servers_challenge() {
    let web = Web::start(|asked, stream| {
        let line = asked.line("authorization").to_owned();
        let field = |name: &str| {
            let start = line.find(&format!("{name}=\"")).map(|at| at + name.len() + 2);
            start.map_or("", |start| line[start..].split('"').next().unwrap_or_default()).to_owned()
        };
        let secret = md5(format!("{}:the realm:secret", field("username")));
        let asked_for = md5(format!("{}:{}", asked.method, asked.target));
        let right = md5(format!("{secret}:nonce1:00000001:{}:auth:{asked_for}", field("cnonce")));
        if line.starts_with("Digest ") && field("response") == right && field("uri") == asked.target {
            reply_json(stream, &json!({"user": field("username"), "body": asked.body}));
        } else {
            reply(
                stream,
                "401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"the realm\", nonce=\"nonce1\", qop=\"auth\"",
                b"who?",
            );
        }
    });
    let mut node = node();
    let mut c = node.connect();
    let auth = |password: &str| json!({"type": "digest", "user": "me", "pass": password});
    let right = c.value(&http(&web.url("/x?y=1"), json!({"auth": auth("secret"), "method": "POST", "data": "text"})));
    assert_eq!(right, json!({"user": "me", "body": "text"}));
    let bodies: Vec<String> = web.asked().into_iter().map(|asked| asked.body).collect();
    assert_eq!(bodies, ["", "text"], "the body goes only to who is asked by name");
    let (_, message) = c.failure(&http(&web.url("/"), json!({"auth": auth("wrong")})));
    assert!(message.contains(": status code 401."), "{message}");
    assert_eq!(web.asked().len(), 2);
    node.assert_well();
}

/// Pages of three numbers each, of which the first is the number of the page.
fn pages(count: u64) -> Web {
    let origin = Arc::new(Mutex::new(String::new()));
    let known = origin.clone();
    let web = Web::start(move |asked: &Asked, stream: &mut TcpStream| {
        let page: u64 = asked.target.rsplit('=').next().and_then(|page| page.parse().ok()).unwrap_or(1);
        let body = if page == 2 { json!([]) } else { json!([page, "row", asked.line("cookie")]) };
        let mut head = format!("200 OK\r\nContent-Type: application/json\r\nSet-Cookie: seen={page}; Path=/");
        if page < count {
            let origin = known.lock().unwrap();
            head.push_str(&format!(
                "\r\nLink: <{origin}?page={}>; rel=\"next\", <{origin}?page={count}>; rel=\"last\"",
                page + 1
            ));
        }
        reply(stream, &head, body.to_string().as_bytes());
    });
    *origin.lock().unwrap() = web.url("/list");
    web
}

#[test]
fn pages_become_one_stream() {
    let web = pages(4);
    let mut node = node();
    let mut c = node.connect();
    let all = [
        json!(1),
        json!("row"),
        json!(""),
        json!(3),
        json!("row"),
        json!("seen=2"),
        json!(4),
        json!("row"),
        json!("seen=3"),
    ];
    let link = |limit: i64| http(&web.url("/list"), json!({"page": "link-next", "page_limit": limit}));
    assert_eq!(c.rows(&link(-1)), all);
    assert_eq!(web.asked().len(), 4);
    assert_eq!(c.rows(&link(3)), all[..6]);
    assert_eq!(web.asked().len(), 3);
    assert_eq!(c.rows(&link(1)), all[..3]);
    assert_eq!(c.rows(&link(0)), Vec::<Value>::new());
    // The sequence is like any other, and nothing is fetched that nobody reads.
    web.asked();
    assert_eq!(c.value(&format!("[43,[{}]]", link(-1))), 9);
    assert_eq!(web.asked().len(), 4);
    assert_eq!(c.rows(&format!("[71,[{},2]]", link(-1))), all[..2]);
    assert_eq!(web.asked().len(), 1);

    // A function of parameters, header and body gives the next parameters, a URL, or null.
    let body_first = "[170,[[170,[[10,[1]],\"body\"]],0]]";
    let by_function = |body: &str| {
        let page = format!("[69,[[2,[1]],{body}]]");
        format!(
            "[153,[{}],{{\"params\":{{\"page\":1}},\"page\":{page},\"page_limit\":-1}}]",
            Value::from(web.url("/list"))
        )
    };
    let next = "[65,[[19,[[170,[[170,[[10,[1]],\"params\"]],\"page\"]],4]],{\"params\":{\"page\":[24,[[170,[[170,[[10,[1]],\"params\"]],\"page\"]],1]]}},null]]";
    assert_eq!(c.rows(&by_function(next)), all);
    let url = Value::from(web.url("/list?page=4"));
    // `url` and parameters: those go behind it.
    let jump = format!("[65,[[17,[{body_first},1]],{{\"url\":{url},\"params\":{{\"page\":3}}}},null]]");
    let jumped = c.rows(&by_function(&jump));
    assert_eq!((&jumped[..5], &jumped[5]), (&all[..5], &json!("seen=1")));
    for (found, why) in [
        ("1", "Expected `page` to return an OBJECT, but found NUMBER."),
        ("{\"x\":1}", "OBJECT returned by `page` must contain `url` and/or `params` fields."),
        ("{\"url\":1}", "Expected `url` in OBJECT returned by `page` to be a STRING or NULL, but found NUMBER."),
        ("{\"params\":1}", "Expected `params` to be an OBJECT, but found NUMBER:\n1"),
        ("[12,[\"mine\"]]", "mine"),
    ] {
        let answer = c.run(&format!("[1,{}]", by_function(found))).unwrap();
        let message = answer["r"][0].as_str().unwrap();
        let expected = format!(
            "Error in HTTP GET of `{}`: {why}.\nError occurred during `page` called with:\n{{\n\t\"body\":\t[\n\t\t1,",
            web.url("/list")
        );
        assert!(message.starts_with(&expected), "{message}");
    }
    node.assert_well();
}
