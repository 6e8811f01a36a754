//! One process, from the node's side. Its standard input is a socket, over which messages go both ways.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use bytes::Bytes;
use photondb_javascript::message::{LENGTH_BYTES, MessageError, Reply, Request, reply_length};
use photondb_reql::error::Error;
use photondb_reql::eval::Cx;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::limits::SCRIPT_ALLOCATOR_STEP_KIB;

/// A process at the disposal of a query of this thread.
pub(super) struct Process {
    child: Guarded,
    connection: UnixStream,
}

/// A process that no query has.
pub(super) struct Idle {
    child: Guarded,
    connection: StdStream,
}

/// A process that was killed. It stays a zombie until somebody asks whether it is over.
pub(super) struct Ending(Child);

/// Dropped, it kills the process and waits for the end, which after a kill is near.
struct Guarded(Option<Child>);

/// Why an exchange failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExchangeError {
    #[error(transparent)]
    Connection(#[from] io::Error),
    #[error(transparent)]
    Message(#[from] MessageError),
    /// The query may not hold the reply.
    #[error(transparent)]
    Memory(Error),
}

impl Process {
    /// Starts one. It inherits nothing but its end of the socket and the place for its last words.
    pub fn start(program: &Path) -> io::Result<Process> {
        let (ours, theirs) = StdStream::pair()?;
        ours.set_nonblocking(true)?;
        let child = Command::new(program)
            .arg0("photondb")
            .arg(crate::command::JAVASCRIPT_WORKER)
            .env_clear()
            // Scripts see the same days everywhere, and the engine need not read a file about them.
            .env("TZ", "UTC")
            // What is only reserved counts for the limit of addresses.
            .env("MIMALLOC_ARENA_RESERVE", SCRIPT_ALLOCATOR_STEP_KIB.to_string())
            .current_dir("/")
            // A Ctrl-C is for the node, whose queries may finish.
            .process_group(0)
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()?;
        let child = Guarded(Some(child));
        Ok(Process { child, connection: UnixStream::from_std(ours)? })
    }

    /// Sends a request and waits for its reply, which is counted in `cx`.
    pub async fn exchange(&mut self, request: &[u8], cx: &Cx) -> Result<Reply, ExchangeError> {
        self.connection.write_all(request).await?;
        let mut length = [0; LENGTH_BYTES];
        self.connection.read_exact(&mut length).await?;
        let expected = reply_length(length)?;
        cx.hold(expected).map_err(ExchangeError::Memory)?;
        // The buffer grows with what arrives, not with what the length claims.
        let mut body = Vec::new();
        (&mut self.connection).take(expected as u64).read_to_end(&mut body).await?;
        if body.len() < expected {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        Ok(Reply::decode(Bytes::from(body))?)
    }

    /// The query is over: the next one gets a fresh realm.
    pub fn rest(self) -> Result<Idle, Ending> {
        let reset = Request::Reset.encode().unwrap_or_default();
        let Process { child, connection } = self;
        // A few bytes into an empty socket go at once or never.
        if !matches!(connection.try_write(&reset), Ok(written) if written == reset.len()) {
            return Err(child.kill());
        }
        match connection.into_std() {
            Ok(connection) => Ok(Idle { child, connection }),
            Err(_) => Err(child.kill()),
        }
    }

    pub fn kill(self) -> Ending {
        self.child.kill()
    }
}

impl Idle {
    /// For a query of this thread; `None`: the process has died meanwhile.
    pub fn wake(mut self) -> Option<Process> {
        let alive = self.child.0.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)));
        if !alive {
            return None;
        }
        let connection = UnixStream::from_std(self.connection).ok()?;
        Some(Process { child: self.child, connection })
    }
}

impl Ending {
    pub fn is_over(&mut self) -> bool {
        !matches!(self.0.try_wait(), Ok(None))
    }
}

impl Guarded {
    fn kill(mut self) -> Ending {
        let mut child = self.0.take().expect("it is taken by this function alone, which ends it");
        // An error says that it is gone already.
        let _ = child.kill();
        Ending(child)
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        let _ = self.0.wait();
    }
}
