//! The end of a process, asked for from anywhere inside of it.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

/// Where the product would end its process. Clones share it.
#[derive(Clone, Default)]
pub struct Ended {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    reason: Mutex<Option<String>>,
    arrived: Notify,
}

impl Ended {
    /// The process ends here. Only the first reason counts.
    pub fn end(&self, reason: String) {
        self.shared.reason.lock().get_or_insert(reason);
        self.shared.arrived.notify_one();
    }

    /// Whether it has ended: nothing that comes out of it now would have come out of a real one.
    pub fn is_ended(&self) -> bool {
        self.shared.reason.lock().is_some()
    }

    /// Waits for the end, and gives its reason.
    pub async fn wait(&self) -> String {
        loop {
            if let Some(reason) = &*self.shared.reason.lock() {
                return reason.clone();
            }
            self.shared.arrived.notified().await;
        }
    }
}
