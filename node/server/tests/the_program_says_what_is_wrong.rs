//! The program from outside: its help, its refusals, its signals, its small client.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Ports that the system chooses, so that tests do not get into each other's way.
const FREE_PORTS: &[&str] = &["--driver-port=0", "--http-port=0", "--cluster-port=0"];

fn photondb(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_photondb")).args(arguments).env_remove("DEV_MODE").output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A running server. Dropping it kills the process.
struct Server {
    process: Child,
    output: BufReader<ChildStdout>,
    port: u16,
}

impl Server {
    #[expect(clippy::zombie_processes, reason = "a panic before the server is ready ends the test run")]
    fn start(directory: &Path, more: &[&str]) -> Server {
        let mut process = Command::new(env!("CARGO_BIN_EXE_photondb"))
            .args(["serve", "--log-level", "warn"])
            .args(FREE_PORTS)
            .arg("-d")
            .arg(directory)
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut port = 0;
        loop {
            let mut line = String::new();
            assert!(output.read_line(&mut line).unwrap() > 0, "the server ended before it was ready");
            if let Some(rest) = line.strip_prefix("Drivers    port ") {
                port = rest.split(' ').next().unwrap().parse().unwrap();
            }
            if line == "Server ready\n" {
                return Server { process, output, port };
            }
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    /// Waits for its end: exit code and what else it printed.
    fn wait(&mut self) -> (Option<i32>, String) {
        let begun = Instant::now();
        while self.process.try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < Duration::from_secs(30), "the server does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        (self.process.wait().unwrap().code(), rest)
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn without_a_subcommand_it_prints_help() {
    let output = photondb(&[]);
    let help = stdout(&output) + &stderr(&output);
    for word in ["serve", "check", "table", "db", "version"] {
        assert!(help.contains(word), "{help}");
    }
    let help = stdout(&photondb(&["serve", "--help"]));
    for word in [
        "--directory",
        "--driver-port",
        "28015",
        "PHOTONDB_CACHE_SIZE",
        "--initial-password",
        "--driver-tls-cert",
        "--node-lost-after",
    ] {
        assert!(help.contains(word), "{help}");
    }
    assert!(!help.contains("tls-ciphers"), "{help}");
    assert_eq!(stdout(&photondb(&["version"])), format!("photondb {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn what_it_cannot_do_is_refused_with_a_reason() {
    for (arguments, reason) in [
        (&["serve", "--join", "other:29015"][..], "`join` needs a secret that all nodes of the cluster share"),
        (&["serve", "--join", "[::1]x"], "option `join`: `[::1]x` is not HOST or HOST:PORT"),
        (&["serve", "--cluster-secret-file", "/nowhere"], "the cluster's secret in /nowhere: No such file"),
        (&["serve", "--cluster-secret-file", "/dev/null"], "16 to 4096 bytes are wanted, it has 0"),
        (&["serve", "--tls-ciphers", "EECDH+AESGCM"], "option `tls-ciphers` is not supported yet"),
        (
            &["serve", "--driver-tls-key", "key.pem"],
            "option `driver-tls-key` is given and `driver-tls-cert` is not; TLS on the driver port needs",
        ),
        (
            &["serve", "--http-tls-cert", "/nowhere", "--http-tls-key", "/nowhere"],
            "option `http-tls-cert`, file /nowhere: No such file",
        ),
        (&["serve", "--driver-prot", "1"], "--driver-port"),
        (&["serve", "--driver-port", "many"], "`many` is not a number in range"),
        (&["serve", "--log-level", "loud[", "--memory"], "option `log-level`"),
        (&["check", "/nowhere/at/all"], "/nowhere/at/all does not exist"),
        (&["db", "list", "--connect", "127.0.0.1:1"], "cannot connect to 127.0.0.1:1"),
    ] {
        let output = photondb(arguments);
        assert!(!output.status.success(), "{arguments:?}");
        assert!(stderr(&output).contains(reason), "{arguments:?}: {}", stderr(&output));
    }
}

#[test]
fn a_signal_ends_it_cleanly_and_the_directory_is_sound() {
    for signal in [Signal::TERM, Signal::INT] {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        let mut server = Server::start(&data, &[]);
        let refused = photondb(&[&["serve", "-d", data.to_str().unwrap()], FREE_PORTS].concat());
        assert!(!refused.status.success());
        assert!(stderr(&refused).contains(data.to_str().unwrap()), "{}", stderr(&refused));
        assert!(stderr(&refused).contains("in use by another process"), "{}", stderr(&refused));

        server.signal(signal);
        assert_eq!(server.wait().0, Some(0));
        let checked = photondb(&["check", data.to_str().unwrap()]);
        assert!(checked.status.success(), "{}{}", stdout(&checked), stderr(&checked));
        assert!(stdout(&checked).contains("no problems found"), "{}", stdout(&checked));
    }
}

#[test]
fn a_taken_port_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(&directory.path().join("a"), &[]);
    let port = server.port.to_string();
    let other = directory.path().join("b");
    let taken = ["serve", "-d", other.to_str().unwrap(), "--driver-port", &port];
    let refused = photondb(&[&taken, &FREE_PORTS[1..]].concat());
    assert!(!refused.status.success());
    assert!(stderr(&refused).contains(&format!("127.0.0.1:{port}")), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("--driver-port"), "{}", stderr(&refused));
}

#[test]
fn databases_and_tables_are_managed_from_the_command_line() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(&directory.path().join("data"), &["--initial-password", "secret"]);
    let address = server.address();
    let run = |arguments: &[&str]| {
        let connect = ["--connect", address.as_str(), "--password", "secret"];
        photondb(&[arguments, &connect[..]].concat())
    };
    assert_eq!(stdout(&run(&["db", "list"])), "rethinkdb\ntest\n");
    assert_eq!(stdout(&run(&["db", "create", "shop"])), "created database shop\n");
    assert!(stderr(&run(&["db", "create", "shop"])).contains("Database `shop` already exists."));
    assert_eq!(
        stdout(&run(&["table", "create", "orders", "--db", "shop", "--primary-key", "number"])),
        "created table shop.orders\n"
    );
    assert_eq!(stdout(&run(&["table", "list", "--db", "shop"])), "orders\n");
    let info = run(&["table", "info", "orders", "--db", "shop"]);
    let info: serde_json::Value = serde_json::from_slice(&info.stdout).unwrap();
    assert_eq!(info["primary_key"], "number");
    assert_eq!(stdout(&run(&["table", "drop", "orders", "--db", "shop"])), "dropped table shop.orders\n");
    assert_eq!(stdout(&run(&["db", "drop", "shop"])), "dropped database shop\n");
    assert!(!run(&["db", "info", "shop"]).status.success());
}

#[test]
fn wrong_password_and_unknown_user_look_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(&directory.path().join("data"), &["--initial-password", "secret"]);
    let address = server.address();
    let refusal = |user: &str, password: &str| {
        let output = photondb(&["db", "list", "--connect", &address, "--user", user, "--password", password]);
        assert!(!output.status.success());
        stderr(&output)
    };
    assert_eq!(refusal("admin", "wrong"), refusal("nobody", "wrong"));
    assert_eq!(refusal("admin", ""), refusal("nobody", ""));
}

#[test]
fn garbage_on_the_driver_port_is_answered_and_harms_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(&directory.path().join("data"), &[]);
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("ERROR: Received an unsupported protocol version."), "{answer}");
    let listed = photondb(&["db", "list", "--connect", &server.address()]);
    assert_eq!(stdout(&listed), "rethinkdb\ntest\n");
}
