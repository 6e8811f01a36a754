//! One node as a process.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::connection::Connection;

/// How long a node may take to answer before a test gives up on it.
const READY_WAIT_MAX: Duration = Duration::from_secs(60);

/// What to start a node with.
#[derive(Clone, Debug, Default)]
pub struct Start {
    /// Further flags.
    pub flags: Vec<String>,
}

/// A running node. Dropping it kills the process and removes the directory.
pub struct Node {
    directory: TempDir,
    start: Start,
    process: Option<Child>,
    driver_port: u16,
    http_port: u16,
}

/// The `photondb` program that was built beside this test.
pub fn program() -> PathBuf {
    let test = std::env::current_exe().expect("a running test knows its file");
    let folder = test.parent().and_then(Path::parent).expect("tests are built into target/<profile>/deps");
    let program = folder.join("photondb");
    assert!(program.exists(), "{} is missing: build it with `cargo build -p photondb`", program.display());
    program
}

impl Node {
    /// Starts a node on an empty directory and waits until it answers.
    pub fn start() -> Node {
        Node::start_with(Start::default())
    }

    /// Starts a node with more flags.
    pub fn start_with(start: Start) -> Node {
        let directory = tempfile::Builder::new().prefix("photondb-test-").tempdir().expect("a temporary directory");
        let mut node = Node { directory, start, process: None, driver_port: 0, http_port: 0 };
        node.restart();
        node
    }

    /// Starts the process again on the same directory; gives the time from the start to the first answer.
    pub fn restart(&mut self) -> Duration {
        assert!(self.process.is_none(), "the node runs");
        [self.driver_port, self.http_port] = free_ports();
        let cluster_port = free_ports::<1>()[0];
        let log = File::options().create(true).append(true).open(self.log_path()).expect("the log can be opened");
        let begun = Instant::now();
        let child = Command::new(program())
            .arg("serve")
            .arg("--directory")
            .arg(self.data())
            .args(["--bind", "127.0.0.1", "--driver-port", &self.driver_port.to_string()])
            .args(["--http-port", &self.http_port.to_string(), "--cluster-port", &cluster_port.to_string()])
            .args(&self.start.flags)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the log's handle can be shared"))
            .stderr(log)
            .spawn()
            .expect("the program starts");
        self.process = Some(child);
        self.wait_ready(begun);
        begun.elapsed()
    }

    fn wait_ready(&mut self, begun: Instant) {
        loop {
            if let Some(mut connection) = Connection::try_open(self.driver_port)
                && connection.run("[1,1]").is_ok()
            {
                return;
            }
            let child = self.process.as_mut().expect("the node was started");
            if let Some(status) = child.try_wait().expect("the process can be asked") {
                panic!("the node ended with {status}:\n{}", self.log());
            }
            assert!(begun.elapsed() < READY_WAIT_MAX, "the node does not answer:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Ends the process as a power switch would: no handler runs.
    pub fn kill(&mut self) {
        let mut child = self.process.take().expect("the node runs");
        child.kill().expect("the process can be killed");
        child.wait().expect("the process can be awaited");
    }

    /// Asks the process to end (SIGTERM) and waits for it.
    pub fn terminate(&mut self) -> ExitStatus {
        let mut child = self.process.take().expect("the node runs");
        let id = child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status().expect("`kill` is there");
        assert!(sent.success(), "the signal was not sent");
        child.wait().expect("the process can be awaited")
    }

    /// Runs `photondb check` on the directory of a stopped node; gives what it printed. Panics when it finds damage.
    pub fn check(&self) -> String {
        assert!(self.process.is_none(), "a running node holds its directory's lock");
        let output = Command::new(program()).arg("check").arg(self.data()).output().expect("the program starts");
        let printed = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "photondb check: {printed}\nthe node's log:\n{}", self.log());
        printed
    }

    /// The port for drivers.
    pub fn driver_port(&self) -> u16 {
        self.driver_port
    }

    /// The process id of a running node.
    pub fn process_id(&self) -> u32 {
        self.process.as_ref().expect("the node runs").id()
    }

    /// Whether the process still runs.
    pub fn is_running(&mut self) -> bool {
        self.process.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// A new connection as `admin` without a password.
    pub fn connect(&self) -> Connection {
        Connection::try_open(self.driver_port).unwrap_or_else(|| panic!("the node does not take a connection:\n{}", self.log()))
    }

    /// One HTTP GET: status line and body.
    pub fn http_get(&self, path: &str) -> (String, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.http_port)).expect("the HTTP port is open");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("the request is sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the answer is text");
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
        (head.lines().next().unwrap_or_default().to_owned(), body.to_owned())
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// What the node has printed.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn log_path(&self) -> PathBuf {
        self.directory.path().join("log")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if self.process.is_some() {
            self.kill();
        }
    }
}

/// Ports that were free a moment ago.
fn free_ports<const N: usize>() -> [u16; N] {
    let listeners: Vec<_> = (0..N).map(|_| TcpListener::bind(("127.0.0.1", 0)).expect("a free port")).collect();
    std::array::from_fn(|index| listeners[index].local_addr().expect("a bound port").port())
}
