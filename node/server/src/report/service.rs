//! Answers other nodes that ask what this one knows of itself.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use bytes::Bytes;
use photondb_proto::convert::REPORT_VERSION;
use photondb_proto::v1::report::{Answer, Call};
use photondb_runtime::peers::{Exchange, Peer, SendFuture, Serve};
use photondb_runtime::task::Handle;
use prost::Message;

use super::Reporter;

/// What answers. The work is done on the threads of clients: to print queries takes time, and the thread of the cluster port
/// has more urgent messages.
pub(crate) struct ReportService {
    reporter: Weak<Reporter>,
    workers: Vec<Handle>,
    next_worker: AtomicUsize,
}

impl ReportService {
    /// For as long as somebody else holds `reporter`.
    pub fn new(reporter: &Arc<Reporter>, workers: Vec<Handle>) -> ReportService {
        assert!(!workers.is_empty(), "somebody must do the work");
        ReportService { reporter: Arc::downgrade(reporter), workers, next_worker: AtomicUsize::new(0) }
    }
}

impl Serve for ReportService {
    fn request(&self, _from: Peer, body: Bytes) -> SendFuture<'static, Result<Bytes, String>> {
        let reporter = self.reporter.upgrade();
        let worker = self.next_worker.fetch_add(1, Ordering::Relaxed) % self.workers.len();
        let worker = self.workers[worker].clone();
        Box::pin(async move {
            let call = Call::decode(body).map_err(|error| format!("a call that cannot be read: {error}"))?;
            if call.version != REPORT_VERSION {
                return Err(format!("messages of version {}, not {REPORT_VERSION}", call.version));
            }
            let ask = call.ask.ok_or("asks for nothing that is known here")?;
            let reporter = reporter.ok_or("the node is stopping")?;
            let telling = worker.spawn(async move {
                let told = reporter.tell(ask).await;
                Bytes::from(Answer { told: Some(told) }.encode_to_vec())
            });
            telling.await.map_err(|_| "the node is stopping".to_owned())
        })
    }

    /// There is none: an exchange that is opened ends.
    fn exchange(&self, _from: Peer, _first: Bytes, exchange: Exchange) -> SendFuture<'static, ()> {
        drop(exchange);
        Box::pin(async {})
    }
}
