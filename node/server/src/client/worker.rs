//! Threads that serve clients: each a runtime of its own with its own view of the database.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use photondb_runtime::network::Incoming;
use photondb_runtime::task::{Executor, Handle, Threads, spawn_local};
use tokio::sync::{mpsc, watch};

use super::database::Database;
use super::session;
use crate::limits::CONNECTIONS_MAX;

/// The worker threads. Dropping them ends every session at once.
pub struct Workers {
    /// Held for their threads.
    executors: Vec<Executor>,
    inboxes: Vec<mpsc::UnboundedSender<Arrival>>,
    next: AtomicUsize,
    open: Arc<Connections>,
}

/// A connection, and who is at its other end if that is known already.
struct Arrival {
    incoming: Box<dyn Incoming>,
    user: Option<String>,
}

/// How many connections are open.
#[derive(Debug, Default)]
pub struct Connections(AtomicUsize);

impl Connections {
    /// Now.
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Workers {
    /// Their threads.
    pub fn handles(&self) -> Vec<Handle> {
        self.executors.iter().map(Executor::handle).collect()
    }

    /// Starts `count` threads. `make_database` runs once on each of them.
    pub fn start<D: Database>(
        threads: &dyn Threads,
        count: usize,
        make_database: impl Fn() -> D + Send + Sync + 'static,
        draining: &watch::Receiver<bool>,
    ) -> io::Result<Workers> {
        let make_database = Arc::new(make_database);
        let open = Arc::new(Connections::default());
        let (mut executors, mut inboxes) = (Vec::new(), Vec::new());
        for number in 0..count {
            let executor = threads.executor(&format!("client-{number}"))?;
            let (send, receive) = mpsc::unbounded_channel();
            let (make_database, open, draining) = (make_database.clone(), open.clone(), draining.clone());
            executor.handle().spawn_local(move || serve_all(Rc::new(make_database()), receive, open, draining));
            executors.push(executor);
            inboxes.push(send);
        }
        Ok(Workers { executors, inboxes, next: AtomicUsize::new(0), open })
    }

    /// Gives a connection to the next thread; one too many is closed.
    pub fn serve(&self, incoming: Box<dyn Incoming>) {
        self.give(Arrival { incoming, user: None });
    }

    /// The same of a connection whose user has logged in elsewhere.
    pub fn serve_user(&self, incoming: Box<dyn Incoming>, user: String) {
        self.give(Arrival { incoming, user: Some(user) });
    }

    fn give(&self, arrival: Arrival) {
        if self.open.0.fetch_add(1, Ordering::Relaxed) >= CONNECTIONS_MAX {
            self.open.0.fetch_sub(1, Ordering::Relaxed);
            tracing::warn!(peer = %arrival.incoming.peer(), "connection closed: {CONNECTIONS_MAX} are open");
            return;
        }
        let next = self.next.fetch_add(1, Ordering::Relaxed) % self.inboxes.len();
        if self.inboxes[next].send(arrival).is_err() {
            self.open.0.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// How many connections are open.
    pub fn connections(&self) -> Arc<Connections> {
        self.open.clone()
    }

    /// The threads.
    pub fn threads(&self) -> usize {
        self.executors.len()
    }
}

async fn serve_all<D: Database>(
    database: Rc<D>,
    mut inbox: mpsc::UnboundedReceiver<Arrival>,
    open: Arc<Connections>,
    draining: watch::Receiver<bool>,
) {
    while let Some(Arrival { incoming, user }) = inbox.recv().await {
        let counted = Counted(open.clone());
        let peer = incoming.peer();
        let (database, draining) = (database.clone(), draining.clone());
        match incoming.open() {
            Ok(stream) => {
                spawn_local(async move {
                    let _counted = counted;
                    session::serve(database, peer, stream, user.as_deref(), draining).await;
                    tracing::debug!(%peer, "connection closed");
                });
            }
            Err(error) => tracing::warn!(%peer, %error, "connection could not be served"),
        }
    }
}

/// Gives a connection's place back however its session ends.
struct Counted(Arc<Connections>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}
