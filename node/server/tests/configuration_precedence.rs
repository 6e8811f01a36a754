//! Flags win over the environment, which wins over the file, which wins over what is built in; and what is wrong is
//! refused with a message that helps.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use photondb::config::{
    Bind, Config, Given, HeadlessService, InitialPassword, JoinService, LogFormat, TlsFiles, TlsVersion, file,
};
use photondb::fetch::Reach;
use photondb::scripts::ScriptProgram;

fn given(values: &[(&str, &str)]) -> Given {
    let mut given = Given::default();
    for (name, value) in values {
        given.add(name, *value).unwrap();
    }
    given
}

fn load(flags: &[(&str, &str)], environment: &[(&str, &str)]) -> Result<Config, String> {
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::load(given(flags), environment).map_err(|error| error.to_string())
}

fn in_file(name: &str, text: &str) -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name);
    std::fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (directory, path)
}

#[test]
fn what_is_built_in() {
    let config = load(&[], &[]).unwrap();
    assert_eq!(config.directory, Some(PathBuf::from("photondb_data")));
    assert_eq!((config.driver.port, config.cluster.port), (28015, 29015));
    assert_eq!(config.http.as_ref().map(|http| http.port), Some(8080));
    assert_eq!(config.driver.bind, Bind::Loopback);
    assert_eq!(config.initial_password, InitialPassword::None);
    assert_eq!(config.log_format, LogFormat::Text);
    assert!(config.worker_threads >= 1 && config.cache_bytes >= 8 << 20);
}

#[test]
fn each_source_wins_over_the_weaker_ones() {
    let (_directory, path) = in_file("a.conf", "driver-port=1\nhttp-port=1\ncluster-port=1\n");
    let flags = [("driver-port", "3"), ("config-file", path.as_str())];
    let environment = [("PHOTONDB_DRIVER_PORT", "2"), ("PHOTONDB_HTTP_PORT", "2")];
    let config = load(&flags, &environment).unwrap();
    assert_eq!(config.driver.port, 3);
    assert_eq!(config.http.unwrap().port, 2);
    assert_eq!(config.cluster.port, 1);
}

#[test]
fn the_environment_has_its_known_names() {
    let config = load(&[], &[("DEV_MODE", "true"), ("PHOTONDB_NODE_ID", "node-0.photondb")]).unwrap();
    assert!(config.dev_mode);
    assert_eq!(config.server_name.as_deref(), Some("node-0_photondb"));
    load(&[], &[("PHOTONDB_CLUSTER_ENABLED", "true")]).unwrap();
    // What Kubernetes sets for a service named photondb.
    load(&[], &[("PHOTONDB_SERVICE_HOST", "10.0.0.1"), ("PHOTONDB_PORT_28015_TCP_PORT", "28015")]).unwrap();
}

#[test]
fn a_file_may_be_rethinkdbs_or_toml() {
    let lines = "# a comment\nbind=all\n server_tag = a\nserver-tag=b # another\nno-http-admin\n";
    let config = Config::resolve(&file::parse_lines(Path::new("x"), lines).unwrap()).unwrap();
    assert_eq!(config.driver.bind, Bind::All);
    assert_eq!(config.server_tags, ["a", "b"]);
    assert_eq!(config.http, None);

    let toml = "driver-port = 7\nserver_tag = [\"a\", \"b\"]\nno-http-admin = true\n";
    let (_directory, path) = in_file("a.toml", toml);
    let config = load(&[("config-file", path.as_str())], &[]).unwrap();
    assert_eq!(config.driver.port, 7);
    assert_eq!(config.server_tags, ["a", "b"]);
    assert_eq!(config.http, None);
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_known_one() {
    let (_directory, path) = in_file("a.conf", "\ndriver-prot=1\n");
    let refused = load(&[("config-file", path.as_str())], &[]).unwrap_err();
    assert!(refused.contains("line 2"), "{refused}");
    assert!(refused.contains("unknown option `driver-prot`; did you mean `driver-port`?"), "{refused}");

    let (_directory, path) = in_file("a.toml", "cache_sise = 5\n");
    let refused = load(&[("config-file", path.as_str())], &[]).unwrap_err();
    assert!(refused.contains("did you mean `cache-size`?"), "{refused}");

    assert_eq!(Given::default().add("xyzzy", "1").unwrap_err().to_string(), "unknown option `xyzzy`");
}

#[test]
fn values_that_do_not_fit_are_refused() {
    for (option, value) in [
        ("driver-port", "65536"),
        ("driver-port", "http"),
        ("bind", "everywhere"),
        ("server-name", "two words"),
        ("server-tag", ""),
        ("cache-size", "-1"),
        ("cache-size", "1"),
        ("cache-size", "7MiB"),
        ("cache-size", "1.5G"),
        ("cache-size", "5 parsecs"),
        ("cache-size", "99999999999T"),
        ("shard-size-max", "0"),
        ("shard-size-max", "63KiB"),
        ("shard-writes-max", "0"),
        ("shard-writes-max", "many"),
        ("shard-reads-max", "0"),
        ("shard-reads-max", "-1"),
        ("cores", "0"),
        ("node-lost-after", "0"),
        ("node-lost-after", "-5"),
        ("node-lost-after", "10m"),
        ("node-lost-after", "1.5"),
        ("node-lost-after", "never"),
        ("log-format", "xml"),
        ("tls-min-protocol", "TLSv1.1"),
        ("memory", "perhaps"),
        ("allow-http-to", "10.0.0.0/33"),
        ("allow-http-to", "example.org"),
        // Alone it would open nothing, which its giver does not expect.
        ("allow-http-to", "10.0.0.0/8"),
    ] {
        let refused = load(&[(option, value)], &[]).unwrap_err();
        assert!(refused.starts_with(&format!("option `{option}`: `{value}` is not ")), "{refused}");
    }
    assert!(load(&[("port-offset", "60000")], &[]).unwrap_err().contains("port-offset"));
    assert!(load(&[("config-file", "/nowhere/at/all")], &[]).unwrap_err().contains("/nowhere/at/all"));
}

#[test]
fn a_cache_size_is_mebibytes_or_has_a_unit() {
    let mebibytes = |value| load(&[("cache-size", value)], &[]).unwrap().cache_bytes >> 20;
    assert_eq!(mebibytes("512"), 512);
    assert_eq!(mebibytes("512MiB"), 512);
    assert_eq!(mebibytes("2g"), 2048);
    assert_eq!(mebibytes("65536 KB"), 64);
    assert_eq!(mebibytes("8388608b"), 8);
    assert!(mebibytes("auto") >= 8);
}

#[test]
fn a_node_is_given_up_after_ten_minutes_unless_something_else_is_said() {
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    assert_eq!(load(&[], &[]).unwrap().node_lost_after, seconds(600));
    let (_directory, path) = in_file("a.toml", "node-lost-after = 30\n");
    let file = [("config-file", path.as_str())];
    assert_eq!(load(&file, &[]).unwrap().node_lost_after, seconds(30));
    let environment = [("PHOTONDB_NODE_LOST_AFTER", "off")];
    assert_eq!(load(&file, &environment).unwrap().node_lost_after, None);
    let flags = [&file[..], &[("node-lost-after", "1")]].concat();
    assert_eq!(load(&flags, &environment).unwrap().node_lost_after, seconds(1));
    let refused = load(&[("node-lost-after", "10m")], &[]).unwrap_err();
    assert_eq!(refused, "option `node-lost-after`: `10m` is not `off`, or a number of seconds, 1 or more");
}

#[test]
fn shards_are_split_by_limits_of_which_each_may_be_off() {
    let split = |flags: &[(&str, &str)]| {
        let split = load(flags, &[]).unwrap().split;
        (split.bytes_max, split.writes_max, split.reads_max)
    };
    assert_eq!(split(&[]), (Some(8 << 30), Some(10_000), Some(100_000)));
    assert_eq!(
        split(&[("shard-size-max", "64k"), ("shard-writes-max", "1")]),
        (Some(64 << 10), Some(1), Some(100_000))
    );
    assert_eq!(split(&[("shard-reads-max", "2")]), (Some(8 << 30), Some(10_000), Some(2)));
    let off = [("shard-size-max", "off"), ("shard-writes-max", "off"), ("shard-reads-max", "off")];
    assert_eq!(split(&off), (None, None, None));
    let environment = [("PHOTONDB_SHARD_READS_MAX", "3")];
    assert_eq!(load(&[], &environment).unwrap().split.reads_max, Some(3));
    assert_eq!(load(&[("shard-reads-max", "off")], &environment).unwrap().split.reads_max, None);
}

#[test]
fn a_port_speaks_tls_with_all_its_files_or_not_at_all() {
    let paths = |files: &TlsFiles| {
        let authority = files.authority.as_ref().map(|file| file.path.clone());
        (files.certificate.path.clone(), files.key.path.clone(), authority)
    };
    let config =
        load(&[("driver-tls-cert", "c"), ("driver-tls-key", "k")], &[("PHOTONDB_DRIVER_TLS_CA", "a")]).unwrap();
    assert_eq!(paths(&config.tls.driver.unwrap()), ("c".into(), "k".into(), Some("a".into())));
    assert_eq!((config.tls.cluster, config.tls.http, config.tls.minimum), (None, None, TlsVersion::V1_2));
    let whole = [("cluster-tls-cert", "c"), ("cluster-tls-key", "k"), ("cluster-tls-ca", "a")];
    let config = load(&[&whole[..], &[("tls-min-protocol", "TLSv1.3"), ("join", "h")]].concat(), &[]).unwrap();
    assert!(config.tls.cluster.is_some() && config.joins(), "certificates stand in for the secret");
    assert_eq!(config.tls.minimum, TlsVersion::V1_3);
    for (given, missing) in [
        (&[("driver-tls-cert", "c")][..], "driver-tls-key"),
        (&[("http-tls-key", "k")], "http-tls-cert"),
        (&[("driver-tls-ca", "a")], "driver-tls-cert"),
        (&whole[..2], "cluster-tls-ca"),
        (&whole[1..], "cluster-tls-cert"),
    ] {
        let refused = load(given, &[]).unwrap_err();
        assert!(refused.contains(&format!("is given and `{missing}` is not")), "{refused}");
    }
}

#[test]
fn others_are_looked_for_at_addresses_and_behind_names() {
    let secret = in_file("secret", "0123456789abcdef");
    let load = |join| load(&[("join", join), ("cluster-secret-file", secret.1.as_str())], &[]);
    let config = load("a,srv+_photondb._tcp.example.com,srv+db.example:4,[::1]:7").unwrap();
    assert_eq!(config.join, ["a:29015", "[::1]:7"]);
    let service = |name: &str, port| JoinService { name: name.to_owned(), port };
    assert_eq!(config.join_services, [service("_photondb._tcp.example.com", None), service("db.example", Some(4))]);
    for wrong in ["srv+", "srv+a b", "srv+a:0", "srv+a:b", "srv+[::1]"] {
        let refused = load(wrong).unwrap_err();
        assert!(refused.starts_with(&format!("option `join`: `{wrong}` is not ")), "{refused}");
    }
}

#[test]
fn others_are_looked_for_among_the_pods_of_a_service() {
    let secret = in_file("secret", "0123456789abcdef");
    let load = |more: &[(&str, &str)]| load(&[&[("cluster-secret-file", secret.1.as_str())], more].concat(), &[]);
    let config = load(&[("join", "kubernetes+db-headless.data:7,kubernetes+db")]).unwrap();
    let service = |name: &str, namespace: Option<&str>, port| HeadlessService {
        name: name.to_owned(),
        namespace: namespace.map(str::to_owned),
        port,
    };
    assert_eq!(config.join_pods, [service("db-headless", Some("data"), Some(7)), service("db", None, None)]);
    assert!(config.joins() && config.join_at_least == 0);
    assert_eq!(config.kubernetes_account, Path::new("/var/run/secrets/kubernetes.io/serviceaccount"));
    let config = load(&[("join", "kubernetes+db"), ("join-at-least", "3"), ("kubernetes-account", "/a")]).unwrap();
    assert_eq!((config.join_at_least, config.kubernetes_account.as_path()), (3, Path::new("/a")));
    for (wrong, reason) in [
        ("kubernetes+", "`` is no name of a service"),
        ("kubernetes+My_DB", "`My_DB` is no name of a service"),
        ("kubernetes+db.data.svc", "does not belong to it"),
        ("kubernetes+db:70000", "`70000` is no port"),
    ] {
        let refused = load(&[("join", wrong)]).unwrap_err();
        assert!(refused.starts_with(&format!("option `join`: `{wrong}`: ")) && refused.contains(reason), "{refused}");
        assert!(refused.ends_with("kubernetes+SERVICE[.NAMESPACE][:PORT] is wanted"), "{refused}");
    }
    for wrong in ["0", "1001", "three"] {
        let refused = load(&[("join", "kubernetes+db"), ("join-at-least", wrong)]).unwrap_err();
        assert!(refused.starts_with(&format!("option `join-at-least`: `{wrong}` is not a number")), "{refused}");
    }
    let refused = load(&[("join-at-least", "3")]).unwrap_err();
    assert!(refused.contains("needs `join`"), "{refused}");
}

#[test]
fn what_is_not_there_yet_says_so() {
    for option in ["tls-ciphers", "tls-dhparams"] {
        let refused = load(&[(option, "x")], &[]).unwrap_err();
        assert!(refused.starts_with(&format!("option `{option}` is not supported yet")), "{refused}");
    }
}

#[test]
fn what_queries_may_reach_is_closed_until_it_is_opened() {
    let config = load(&[], &[]).unwrap();
    assert_eq!((config.http_client, config.scripts), (None, ScriptProgram::Missing));
    let config = load(&[("allow-http", "yes"), ("no-javascript", "true")], &[]).unwrap();
    assert_eq!((config.http_client, config.scripts), (Some(Reach::default()), ScriptProgram::Off));
    let config = load(&[("allow-http", "true"), ("allow-http-to", "10.0.0.0/8, 127.0.0.1")], &[]).unwrap();
    let reach = config.http_client.unwrap();
    for (address, allowed) in [("10.9.9.9", true), ("127.0.0.1", true), ("127.0.0.2", false), ("1.1.1.1", true)] {
        assert_eq!(reach.allows(address.parse().unwrap()), allowed, "{address}");
    }
}

#[test]
fn ports_move_together_but_a_free_one_stays_free() {
    let config = load(&[("port-offset", "10"), ("http-port", "0")], &[]).unwrap();
    assert_eq!((config.driver.port, config.cluster.port), (28025, 29025));
    assert_eq!(config.http.unwrap().port, 0);
}

#[test]
fn binding_adds_to_the_loopback() {
    let config = load(&[("bind", "192.0.2.7"), ("bind-http", "127.0.0.1"), ("bind-cluster", "all")], &[]).unwrap();
    let addresses = ["192.0.2.7", "127.0.0.1"].map(|text| text.parse::<IpAddr>().unwrap());
    assert_eq!(config.driver.bind, Bind::Addresses(addresses.to_vec()));
    assert_eq!(config.http.unwrap().bind, Bind::Loopback);
    assert_eq!(config.cluster.bind, Bind::All);
}
