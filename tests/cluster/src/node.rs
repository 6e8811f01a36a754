//! One node as a process.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::connection::Connection;
use crate::memory_limit::MemoryLimit;
use crate::small_disk::SmallDisk;

/// How long a node may take to answer, or to end, before a test gives up on it.
const PATIENCE: Duration = Duration::from_secs(60);

const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// A node: its process, when it runs, and its directory. Dropping it kills the one and removes the other.
pub struct Node {
    /// Dropped after the process is gone, see `Drop`.
    directory: TempDir,
    data: PathBuf,
    flags: Vec<String>,
    environment: Vec<(String, String)>,
    /// What the program is started by; see [`Node::within`] and [`Node::on`].
    starter: Vec<String>,
    process: Option<Child>,
    /// How much was in the log when the process was started last.
    printed_before: usize,
    ports: Ports,
}

/// The ports that a running node took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ports {
    pub driver: u16,
    pub cluster: u16,
    pub http: u16,
}

/// The `photondb` program that was built beside this test.
pub fn program() -> PathBuf {
    let test = std::env::current_exe().expect("a running test knows its file");
    let folder = test.parent().and_then(Path::parent).expect("tests are built into target/<profile>/deps");
    let program = folder.join("photondb");
    assert!(program.exists(), "{} is missing: build it with `cargo build -p photondb`", program.display());
    program
}

/// Runs `photondb` with these arguments to its end. Killed when it does not end.
pub fn photondb(arguments: &[&str]) -> Output {
    run(&program(), &arguments.iter().map(PathBuf::from).collect::<Vec<_>>())
}

/// The same of `photonctl`.
pub fn photonctl(arguments: &[&str]) -> Output {
    let program = program().with_file_name("photonctl");
    assert!(program.exists(), "{} is missing: build it with `cargo build -p photonctl`", program.display());
    run(&program, &arguments.iter().map(PathBuf::from).collect::<Vec<_>>())
}

fn run(program: &Path, arguments: &[PathBuf]) -> Output {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let ended = wait(&mut child, PATIENCE);
    if ended.is_none() {
        child.kill().expect("the process can be killed");
    }
    let output = child.wait_with_output().expect("its output can be read");
    assert!(ended.is_some(), "{} {arguments:?} does not end:\n{}", program.display(), text(&output));
    output
}

/// What a program printed.
pub fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

impl Node {
    /// Starts a node on an empty directory and waits until it answers.
    pub fn start() -> Node {
        Node::start_with(&[])
    }

    /// Starts a node with more flags.
    pub fn start_with(flags: &[&str]) -> Node {
        let mut node = Node::stopped(flags);
        node.restart();
        node
    }

    /// A node that was not started yet.
    pub fn stopped(flags: &[&str]) -> Node {
        let directory = tempfile::Builder::new().prefix("photondb-test-").tempdir().expect("a temporary directory");
        let data = directory.path().join("data");
        let flags = flags.iter().map(|&flag| flag.to_owned()).collect();
        Node {
            directory,
            data,
            flags,
            environment: Vec::new(),
            starter: Vec::new(),
            process: None,
            printed_before: 0,
            ports: Ports::default(),
        }
    }

    /// Keeps its data elsewhere than in a directory of its own.
    pub fn with_data(mut self, data: &Path) -> Node {
        data.clone_into(&mut self.data);
        self
    }

    /// Starts with a variable of the environment.
    pub fn with_variable(mut self, name: &str, value: &str) -> Node {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The processes that the node has started and that have not ended.
    pub fn children(&self) -> Vec<u32> {
        let parent = self.process_id().to_string();
        let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let ids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let of_the_node = |id: &u32| {
            let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
            // State and parent follow the name, which stands in parentheses.
            let rest = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
            let mut fields = rest.split(' ');
            fields.next().is_some_and(|state| state != "Z") && fields.next() == Some(&parent)
        };
        ids.filter(of_the_node).collect()
    }

    /// Runs in a control group: the process enters it before it becomes the node.
    pub fn within(mut self, limit: &MemoryLimit) -> Node {
        let entrance = limit.entrance().display().to_string();
        self.starter = ["sh", "-c", r#"echo $$ > "$0" && exec "$@""#, &entrance].map(str::to_owned).to_vec();
        self
    }

    /// Keeps its data on a disk of its own.
    pub fn on(mut self, disk: &SmallDisk) -> Node {
        self.starter = disk.entrance();
        self.data = disk.folder().join("data");
        self
    }

    /// Starts the process, again on the same directory; gives the time from the start to the first answer.
    pub fn restart(&mut self) -> Duration {
        match self.try_restart() {
            Ok(took) => took,
            Err(status) => panic!("the node ended with {status}:\n{}", self.log()),
        }
    }

    /// As [`Node::restart`]; the exit status of a process that ended before it answered.
    pub fn try_restart(&mut self) -> Result<Duration, ExitStatus> {
        let begun = Instant::now();
        let printed_before = self.spawn();
        self.wait_until(begun, printed_before, |ports| {
            Connection::try_open(ports.driver).is_some_and(|mut connection| connection.run("[1,1]").is_ok())
        })?;
        Ok(begun.elapsed())
    }

    /// Starts the process and waits until it says that it is ready: for a node that does not let us in.
    pub fn launch(&mut self) {
        let printed_before = self.spawn();
        if let Err(status) = self.wait_until(Instant::now(), printed_before, |_| true) {
            panic!("the node ended with {status}:\n{}", self.log());
        }
    }

    /// Starts the process and waits for nothing.
    pub fn begin(&mut self) {
        self.spawn();
    }

    /// Waits until a node that has begun answers.
    pub fn await_answer(&mut self) {
        let printed_before = self.printed_before;
        if let Err(status) =
            self.wait_until(Instant::now(), printed_before, |ports| Connection::try_open(ports.driver).is_some())
        {
            panic!("the node ended with {status}:\n{}", self.log());
        }
    }

    /// Gives how much was in the log before.
    fn spawn(&mut self) -> usize {
        assert!(self.process.is_none(), "the node runs");
        let log = File::options().create(true).append(true).open(self.log_path()).expect("the log can be opened");
        let printed_before = self.log().len();
        let mut words = self.starter.iter().map(PathBuf::from).chain([program()]);
        let child = Command::new(words.next().expect("the program is one word at least"))
            .args(words)
            .arg("serve")
            .arg("--directory")
            .arg(&self.data)
            .args(["--bind", "127.0.0.1", "--driver-port=0", "--http-port=0"])
            .args(self.flags.iter().all(|flag| !flag.starts_with("--cluster-port=")).then_some("--cluster-port=0"))
            .args(&self.flags)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the log's handle can be shared"))
            .stderr(log)
            .spawn()
            .expect("the program starts");
        self.process = Some(child);
        self.printed_before = printed_before;
        printed_before
    }

    fn wait_until(
        &mut self,
        begun: Instant,
        printed_before: usize,
        answers: impl Fn(Ports) -> bool,
    ) -> Result<(), ExitStatus> {
        loop {
            let child = self.process.as_mut().expect("the node was started");
            let ended = child.try_wait().expect("the process can be asked");
            let log = self.log();
            if let Some(ports) = log.get(printed_before..).and_then(ports_of_banner) {
                self.ports = ports;
                if answers(ports) {
                    return Ok(());
                }
            }
            if let Some(status) = ended {
                self.process = None;
                return Err(status);
            }
            assert!(begun.elapsed() < PATIENCE, "the node does not answer:\n{log}");
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    /// Ends the process as a power switch would: no handler runs.
    pub fn kill(&mut self) {
        let mut child = self.process.take().expect("the node runs");
        child.kill().expect("the process can be killed");
        let status = child.wait().expect("the process can be awaited");
        assert_eq!(status.signal(), Some(9), "the node had ended by itself:\n{}", self.log());
    }

    /// Sends a signal, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let id = self.process_id().to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &id]).status().expect("`kill` is there");
        assert!(sent.success(), "the signal was not sent");
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        let mut child = self.process.take().expect("the node runs");
        match wait(&mut child, PATIENCE) {
            Some(status) => status,
            None => {
                self.process = Some(child);
                panic!("the node does not end:\n{}", self.log());
            }
        }
    }

    /// Asks the process to end and waits for it.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait()
    }

    /// Runs `photondb check` on the directory of a stopped node; whether it found nothing, and what it printed.
    pub fn try_check(&self) -> (bool, String) {
        assert!(self.process.is_none(), "a running node holds its directory's lock");
        let mut words = self.starter.iter().map(PathBuf::from).chain([program()]);
        let first = words.next().expect("the program is one word at least");
        let arguments: Vec<PathBuf> = words.chain(["check".into(), self.data.clone()]).collect();
        let output = run(&first, &arguments);
        (output.status.success(), text(&output))
    }

    /// As [`Node::try_check`]. Panics when it finds damage.
    pub fn check(&self) -> String {
        let (sound, printed) = self.try_check();
        assert!(sound, "photondb check: {printed}\nthe node's log:\n{}", self.log());
        printed
    }

    /// The ports of a running node.
    pub fn ports(&self) -> Ports {
        self.ports
    }

    /// The process id of a running node.
    pub fn process_id(&self) -> u32 {
        self.process.as_ref().expect("the node runs").id()
    }

    /// Memory that the process holds, in bytes.
    pub fn memory(&self) -> u64 {
        self.status_bytes("VmRSS:")
    }

    /// The most memory that the process has held at once, in bytes; files' cached pages not counted.
    pub fn memory_peak(&self) -> u64 {
        self.status_bytes("VmHWM:")
    }

    fn status_bytes(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process_id())).expect("a running process");
        let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("a running process has memory");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number of kibibytes") * 1024
    }

    /// Processor time that the process has taken.
    pub fn processor_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process_id())).expect("a running process");
        let after_name = stat.rsplit_once(')').expect("the name is in brackets").1;
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        // proc(5): utime and stime are fields 14 and 15, the name is the second; in hundredths of a second on Linux.
        let ticks: u64 = fields[11].parse::<u64>().expect("a number") + fields[12].parse::<u64>().expect("a number");
        Duration::from_millis(ticks * 10)
    }

    /// The share of one processor that the process takes over some time.
    pub fn load_over(&self, time: Duration) -> f64 {
        let before = self.processor_time();
        std::thread::sleep(time);
        (self.processor_time() - before).as_secs_f64() / time.as_secs_f64()
    }

    /// Waits until the process takes next to no processor time.
    pub fn wait_idle(&self) {
        let begun = Instant::now();
        loop {
            let load = self.load_over(Duration::from_millis(300));
            if load < 0.2 {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "the node is still busy: {load:.2} processors");
        }
    }

    /// Waits until memory is below `limit` bytes.
    pub fn wait_memory_below(&self, limit: u64, what: &str) -> u64 {
        let begun = Instant::now();
        loop {
            let memory = self.memory();
            if memory < limit {
                return memory;
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "{what}: {memory} bytes are held, not below {limit}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Whether the process still runs.
    pub fn is_running(&mut self) -> bool {
        self.process.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Panics unless the node runs, answers, and nothing panicked in it.
    pub fn assert_well(&mut self) {
        assert!(self.is_running(), "the node has ended:\n{}", self.log());
        assert_eq!(self.connect().value("[24,[1,2]]"), 3);
        let log = self.log();
        assert!(!log.contains("panicked"), "something panicked:\n{log}");
    }

    /// A new connection as `admin` without a password.
    pub fn connect(&self) -> Connection {
        Connection::try_open(self.ports.driver)
            .unwrap_or_else(|| panic!("the node does not take a connection:\n{}", self.log()))
    }

    /// A connection to the driver port on which nothing was said yet.
    pub fn dial(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.ports.driver)).expect("the driver port is open");
        stream.set_nodelay(true).expect("an open socket");
        stream.set_read_timeout(Some(PATIENCE)).expect("an open socket");
        stream
    }

    /// One HTTP GET: status line and body.
    pub fn http_get(&self, path: &str) -> (String, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.ports.http)).expect("the HTTP port is open");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .expect("the request is sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the answer is text");
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
        (head.lines().next().unwrap_or_default().to_owned(), body.to_owned())
    }

    /// The data directory.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// What the files of the data directory hold, in bytes.
    pub fn stored_bytes(&self) -> u64 {
        let files = std::fs::read_dir(&self.data).expect("a node has a directory");
        // A file of the log may go at any time.
        files.filter_map(|file| file.ok()?.metadata().ok()).map(|file| file.len()).sum()
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
        if let Some(mut child) = self.process.take() {
            // It may have ended already; a panic here would hide the test's own.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn ports_of_banner(printed: &str) -> Option<Ports> {
    let port = |title: &str| {
        let rest = printed.lines().find_map(|line| line.strip_prefix(title))?.trim_start();
        rest.strip_prefix("port ")?.split(' ').next()?.parse().ok()
    };
    printed.contains("Server ready\n").then(|| Ports {
        driver: port("Drivers").unwrap_or(0),
        cluster: port("Cluster").unwrap_or(0),
        http: port("HTTP").unwrap_or(0),
    })
}

fn wait(child: &mut Child, patience: Duration) -> Option<ExitStatus> {
    let begun = Instant::now();
    loop {
        match child.try_wait().expect("the process can be asked") {
            Some(status) => return Some(status),
            None if begun.elapsed() > patience => return None,
            None => std::thread::sleep(LOOK_AGAIN),
        }
    }
}
