//! One look for nodes.

use tokio::time::timeout;

use crate::account::ServiceAccount;
use crate::api::Listing;
use crate::error::SearchError;
use crate::limits::{LOOK_TIME_MAX, PODS_MAX};
use crate::pods::{Wanted, addresses};
use crate::server::ApiServer;
use crate::service::HeadlessService;

/// How pods are spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoken {
    /// By their addresses: DNS is not needed.
    ByAddress,
    /// By their names in DNS, POD.SERVICE.NAMESPACE.svc: certificates name those.
    ByName,
}

/// A way to the pods of a headless service.
#[derive(Clone, Debug)]
pub struct Search {
    /// Whose pods.
    pub service: HeadlessService,
    /// Who is asked.
    pub server: ApiServer,
    /// As whom.
    pub account: ServiceAccount,
    /// How they are spoken to.
    pub spoken: Spoken,
    /// Where nodes listen if neither user nor service says so.
    pub default_port: u16,
}

impl Search {
    /// "host:port" of each pod that the service has at this moment, ready or not, this one perhaps among them; sorted, and never
    /// empty. It takes [`LOOK_TIME_MAX`] at most and must be polled on a runtime of tokio with I/O and time.
    pub async fn look(&self) -> Result<Vec<String>, SearchError> {
        let namespace = match &self.service.namespace {
            Some(namespace) => namespace.clone(),
            None => self.account.namespace()?,
        };
        let listing = Listing::new(&self.server, &self.account, &namespace, &self.service.name)?;
        let slices = timeout(LOOK_TIME_MAX, listing.slices())
            .await
            .map_err(|_| SearchError::Silent { server: self.server.to_string(), after: LOOK_TIME_MAX })??;
        let wanted = Wanted {
            service: &self.service.name,
            namespace: &namespace,
            port: self.service.port,
            default_port: self.default_port,
            by_name: self.spoken == Spoken::ByName,
        };
        let found = addresses(&slices, &wanted);
        let service = self.service.name.clone();
        match found.len() {
            0 if slices.is_empty() => Err(SearchError::NoService { service, namespace }),
            0 => Err(SearchError::NoPods { service, namespace }),
            1..=PODS_MAX => Ok(found),
            _ => Err(SearchError::TooMuch { server: self.server.to_string() }),
        }
    }
}
