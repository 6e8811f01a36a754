//! With certificates on the cluster port, nodes of one authority are a cluster and need no secret; everybody else is told why
//! not, on both sides; photonctl comes over the same port as a user.

use std::time::{Duration, Instant};

use photondb_test_cluster::certificates::{Authority, Issued};
use photondb_test_cluster::secret::{PATIENCE, Secret, make_table};
use photondb_test_cluster::terms::{count, insert, table};
use photondb_test_cluster::{Node, photonctl, text};
use rcgen::{ExtendedKeyUsagePurpose, SanType};

/// A node that shows `issued` and believes `authority`, and joins `contacts`.
fn node(authority: &Authority, issued: &Issued, contacts: &[&Node]) -> Node {
    let mut flags = authority.flags("cluster", issued);
    flags.extend(contacts.iter().map(|contact| format!("--join=127.0.0.1:{}", contact.ports().cluster)));
    Node::stopped(&flags.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Waits until the node says that it waits, and for this reason; then it is stopped.
fn waits_because(mut node: Node, reason: &str) {
    node.begin();
    let begun = Instant::now();
    while !(node.log().contains("this node waits until") && node.log().contains(reason)) {
        assert!(begun.elapsed() < PATIENCE && node.is_running(), "no `{reason}`:\n{}", node.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(node.terminate().code(), Some(0), "{}", node.log());
}

/// As `photonctl` says it, with these flags, to a node.
fn ask(node: &Node, flags: &[String]) -> (Option<i32>, String) {
    let address = format!("127.0.0.1:{}", node.ports().cluster);
    let flags = flags.iter().map(String::as_str);
    let arguments: Vec<&str> = ["--address", &address, "node", "list"].into_iter().chain(flags).collect();
    let output = photonctl(&arguments);
    (output.status.code(), text(&output))
}

#[test]
fn three_nodes_with_certificates_are_one_database_and_need_no_secret() {
    let authority = Authority::new("nodes");
    let [a, b, c] = ["a", "b", "c"].map(|name| authority.issue(name));
    let mut first = node(&authority, &a, &[]);
    first.restart();
    let mut second = node(&authority, &b, &[&first]);
    second.restart();
    let mut third = node(&authority, &c, &[&first, &second]);
    third.restart();
    make_table(&mut second.connect());
    let stored = third.connect().value(&insert("t", &[r#"{"id":1}"#.to_owned()]));
    assert_eq!(stored["inserted"], 1);

    // People come as users: with a certificate of the authority or without one.
    for shown in [None, Some(&a)] {
        let (code, said) = ask(&second, &authority.photonctl_flags(shown));
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(said.lines().filter(|line| line.contains(" up ")).count(), 3, "{said}");
    }

    third.kill();
    let begun = Instant::now();
    while second.connect().run(&format!("[1,{}]", insert("t", &[r#"{"id":2}"#.to_owned()]))).unwrap()["t"] != 1 {
        assert!(begun.elapsed() < PATIENCE, "nothing is written without the third node");
    }
    third.restart();
    for node in [&mut first, &mut second, &mut third] {
        assert_eq!(node.connect().value(&count(&table("t"))), 2);
        node.assert_well();
    }
}

#[test]
fn who_has_no_certificate_of_the_authority_is_no_node_of_the_cluster() {
    let (authority, other) = (Authority::new("nodes"), Authority::new("others"));
    let issued = authority.issue("a");
    let secret = Secret::new("0123456789abcdef0123456789abcdef");
    let mut first = node(&authority, &issued, &[]);
    first.restart();

    // It does not believe the first node, which would not believe it either.
    waits_because(node(&other, &other.issue("b"), &[&first]), "none of the authorities of this node has signed");
    // It speaks in the clear.
    waits_because(secret.node(&[&first]), "the node there speaks TLS, and this one does not");
    assert!(first.log().contains("it does not speak TLS"), "{}", first.log());
    // Its certificate names another host: nobody reaches it under its own, nor may the first node be somebody else.
    let nowhere = |params: &mut rcgen::CertificateParams| {
        params.subject_alt_names = vec![SanType::DnsName("elsewhere.example".try_into().unwrap())];
    };
    let mut misnamed = node(&authority, &authority.issue_as("c", nowhere), &[]);
    misnamed.restart();
    waits_because(node(&authority, &issued, &[&misnamed]), "the certificate there does not name `127.0.0.1`");
    // It speaks TLS, and the other does not.
    let mut clear = secret.node(&[]);
    clear.restart();
    waits_because(node(&authority, &issued, &[&clear]), "the node there does not speak TLS, and this one does");
    first.assert_well();
}

#[test]
fn where_there_is_a_secret_too_a_node_needs_both() {
    let authority = Authority::new("nodes");
    let issued = authority.issue("a");
    let secret = Secret::new("0123456789abcdef0123456789abcdef");
    let with_secret = |contacts: &[&Node]| {
        let mut flags = authority.flags("cluster", &issued);
        flags.push(format!("--cluster-secret-file={}", secret.path().display()));
        flags.extend(contacts.iter().map(|contact| format!("--join=127.0.0.1:{}", contact.ports().cluster)));
        Node::stopped(&flags.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let mut first = with_secret(&[]);
    first.restart();
    waits_because(node(&authority, &issued, &[&first]), "the two nodes do not have the same secret");
    let mut second = with_secret(&[&first]);
    second.restart();
    second.assert_well();
}

#[test]
fn photonctl_says_what_is_wrong_between_it_and_the_node() {
    let (authority, other) = (Authority::new("nodes"), Authority::new("others"));
    let mut node = node(&authority, &authority.issue("a"), &[]);
    node.restart();
    let flags = |flags: &[&str]| flags.iter().map(|flag| (*flag).to_owned()).collect::<Vec<_>>();
    let refused = |flags: &[String], code: i32, reason: &str| {
        let (exit, said) = ask(&node, flags);
        assert!(exit == Some(code) && said.contains(reason), "{exit:?}: {said}");
    };
    refused(&[], 3, "it speaks TLS (--tls, --tls-ca)");
    refused(&other.photonctl_flags(None), 3, "its certificate is not to be believed");
    let foreign = other.issue("b");
    refused(&authority.photonctl_flags(Some(&foreign)), 3, "it does not believe this side");
    let named = [authority.photonctl_flags(None), flags(&["--tls-server-name", "elsewhere.example"])].concat();
    refused(&named, 3, "its certificate is not to be believed");
    let named = [authority.photonctl_flags(None), flags(&["--tls-server-name", "localhost"])].concat();
    assert_eq!(ask(&node, &named).0, Some(0));
    let half = [authority.photonctl_flags(None), flags(&["--tls-cert", "/nowhere"])].concat();
    refused(&half, 2, "--tls-cert is given and --tls-key is not");
    refused(&flags(&["--tls-ca", "/nowhere"]), 2, "--tls-ca /nowhere: No such file");
    let empty = flags(&["--tls-ca", "/dev/null"]);
    refused(&empty, 2, "--tls-ca /dev/null: it holds no certificate");
    let clear = Node::start();
    let (code, said) = ask(&clear, &authority.photonctl_flags(None));
    assert!(code == Some(3) && said.contains("it does not speak TLS"), "{code:?}: {said}");
}

#[test]
fn a_certificate_that_others_would_refuse_stops_the_start() {
    let (authority, other) = (Authority::new("nodes"), Authority::new("others"));
    let for_servers =
        authority.issue_as("server", |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]);
    for (issued, reason) in
        [(other.issue("b"), "none of them has signed it"), (for_servers, "it is not for both servers and clients")]
    {
        let mut node = node(&authority, &issued, &[]);
        assert!(node.try_restart().is_err(), "it starts");
        let log = node.log();
        assert!(log.contains("option `cluster-tls-cert`, file ") && log.contains(reason), "{log}");
    }
}
