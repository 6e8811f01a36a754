//! The parts of a node that other nodes speak to.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use photondb_runtime::peers::{Peer, Serve, Service};

/// Each part from the moment that it is there.
#[derive(Default)]
pub struct Services {
    consensus: OnceLock<Arc<dyn Serve>>,
    shards: OnceLock<Arc<dyn Serve>>,
    control: OnceLock<Arc<dyn Serve>>,
    reports: OnceLock<Arc<dyn Serve>>,
}

impl Services {
    /// `serve` answers for `service` from here on.
    pub fn set(&self, service: Service, serve: Arc<dyn Serve>) {
        let is_new = self.cell(service).set(serve).is_ok();
        assert!(is_new, "each part of a node is set once");
    }

    /// The part. Errors: the node is not that far yet.
    pub fn get(&self, service: Service) -> Result<Arc<dyn Serve>, String> {
        self.cell(service).get().cloned().ok_or_else(|| "the node is starting".to_owned())
    }

    /// What the part answers. An error says that nothing was done.
    pub async fn request(&self, from: Peer, service: Service, body: Bytes) -> Result<Bytes, String> {
        self.get(service)?.request(from, body).await
    }

    fn cell(&self, service: Service) -> &OnceLock<Arc<dyn Serve>> {
        match service {
            Service::Consensus => &self.consensus,
            Service::Shards => &self.shards,
            Service::Control => &self.control,
            Service::Reports => &self.reports,
        }
    }
}
