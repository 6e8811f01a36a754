//! What `http` fetches with: requests to other servers, as the client of an operator who does not trust his users.
//!
//! Every connection goes to an address that was looked at ([`Reach`]), which is found anew for each redirect: nothing is
//! resolved between the look and the connection. Sizes, redirects, repetitions, time and the number of requests at once
//! are bounded. A request runs as a task of the query's thread, on the thread's own stack (a fiber's is too small for a
//! TLS handshake), and ends when the query does.

mod body;
mod connect;
mod cookies;
mod digest;
mod exchange;
mod follow;
mod reach;
mod tls;

use std::rc::Rc;
use std::sync::Arc;

use metrics::counter;
use photondb_query::fetch::{Fetch, FetchError, Request, Response};
use photondb_reql::eval::Cx;
use photondb_runtime::fiber;
use photondb_runtime::random::Random;
use photondb_runtime::task::{JoinHandle, spawn_local, timeout};
use tokio::sync::Semaphore;

use crate::limits::{HTTP_LOOKUPS_MAX, HTTP_REQUESTS_MAX};
pub use reach::{Network, Reach};
pub use tls::CertificatesError;

/// The client of one node.
pub struct Client {
    reach: Reach,
    tls: tls::Tls,
    random: Arc<dyn Random>,
    /// Requests that may run at once.
    room: Semaphore,
    /// Names that may be looked up at once.
    lookups: Arc<Semaphore>,
}

impl Client {
    /// A client that connects to public addresses and to what `reach` adds. Reads the system's certificates.
    pub fn new(reach: Reach, random: Arc<dyn Random>) -> Result<Arc<Client>, CertificatesError> {
        Ok(Arc::new(Client {
            reach,
            tls: tls::Tls::load()?,
            random,
            room: Semaphore::new(HTTP_REQUESTS_MAX),
            lookups: Arc::new(Semaphore::new(HTTP_LOOKUPS_MAX)),
        }))
    }

    async fn perform(&self, request: &Request, cx: &Cx) -> Result<Response, FetchError> {
        let Ok(_room) = self.room.acquire().await else { return Err(FetchError::Connect) };
        counter!("photondb_http_requests_total").increment(1);
        let mut cookies = request.cookies.clone();
        let mark = cx.held();
        let mut attempts_left = request.attempts;
        while let Some(left) = attempts_left.checked_sub(1) {
            attempts_left = left;
            // What came the last time was let go of.
            cx.release_to(mark);
            let outcome = follow::follow(self, request, &mut cookies, cx).await;
            let again = match &outcome {
                Err(FetchError::Connect | FetchError::Send | FetchError::Receive) => true,
                Ok(response) => matches!(response.status, 408 | 500 | 502 | 503 | 504),
                Err(_) => false,
            };
            if !again || left == 0 {
                return outcome;
            }
        }
        Err(FetchError::NoAttempts)
    }
}

/// The client as sessions see it; `None`: it is not allowed.
pub fn for_sessions(client: Option<Arc<Client>>) -> Rc<dyn Fetch> {
    Rc::new(Sessions { client })
}

struct Sessions {
    client: Option<Arc<Client>>,
}

impl Fetch for Sessions {
    fn check_allowed(&self) -> Result<(), FetchError> {
        self.client.as_ref().map(|_| ()).ok_or(FetchError::NotAllowed)
    }

    fn fetch(&self, request: &Request, cx: &Cx) -> Result<Response, FetchError> {
        let client = self.client.clone().ok_or(FetchError::NotAllowed)?;
        let (request, cx) = (request.clone(), cx.clone());
        let time = request.timeout;
        let task = async move { timeout(time, client.perform(&request, &cx)).await };
        let mut task = EndsWithItsOwner(spawn_local(task));
        match fiber::wait(&mut task.0) {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(FetchError::TimedOut(time)),
            Err(error) => {
                tracing::error!(%error, "a request of `http` panicked");
                Err(FetchError::Receive)
            }
        }
    }
}

/// A task that is aborted when whoever waits for it is dropped.
struct EndsWithItsOwner<T>(JoinHandle<T>);

impl<T> Drop for EndsWithItsOwner<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
