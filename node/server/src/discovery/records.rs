//! Other nodes by DNS: SRV records say where they listen (RFC 2782).
//!
//! Who is asked, and how, is what the system has in `/etc/resolv.conf`. Priorities and weights do not matter: all targets
//! are asked, for each may know the way.

use std::sync::Arc;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::ResolverOpts;
use hickory_resolver::net::NetError;
use hickory_resolver::proto::rr::RData;
use parking_lot::Mutex;
use photondb_controller::Discovery;
use photondb_runtime::peers::SendFuture;

use crate::config::JoinService;
use crate::limits::{DISCOVERY_ANSWER_TIME_MAX, DISCOVERY_BELIEF_MAX, DISCOVERY_DISBELIEF_MAX};

type Make = dyn Fn() -> Result<TokioResolver, NetError> + Send + Sync;

/// One name's records.
#[derive(Clone)]
struct Records {
    service: JoinService,
    make: Arc<Make>,
    /// What the last look was made with and what it remembers, unless it failed: what the system says of DNS may be new then.
    kept: Arc<Mutex<Option<TokioResolver>>>,
}

/// A way to the nodes of each service.
pub(super) fn of_services(services: &[JoinService]) -> Vec<Arc<dyn Discovery>> {
    let make: Arc<Make> = Arc::new(|| {
        let mut builder = TokioResolver::builder_tokio()?;
        limit(builder.options_mut());
        builder.build()
    });
    let of = |service: &JoinService| Arc::new(Records::new(service.clone(), make.clone())) as Arc<dyn Discovery>;
    services.iter().map(of).collect()
}

fn limit(options: &mut ResolverOpts) {
    options.timeout = DISCOVERY_ANSWER_TIME_MAX;
    options.positive_max_ttl = Some(DISCOVERY_BELIEF_MAX);
    options.negative_max_ttl = Some(DISCOVERY_DISBELIEF_MAX);
}

impl Records {
    fn new(service: JoinService, make: Arc<Make>) -> Records {
        Records { service, make, kept: Arc::default() }
    }

    /// "host:port" of each record.
    async fn targets(&self) -> Result<Vec<String>, NetError> {
        let kept = self.kept.lock().take();
        let resolver = match kept {
            Some(resolver) => resolver,
            None => (self.make)()?,
        };
        let found = resolver.srv_lookup(self.service.name.as_str()).await;
        if found.as_ref().err().is_none_or(NetError::is_no_records_found) {
            *self.kept.lock() = Some(resolver);
        }
        let found = found?;
        let records = found.answers().iter().filter_map(|record| match &record.data {
            RData::SRV(record) => Some(record),
            _ => None,
        });
        // The root as a target says that the service is not there.
        let there = records.filter(|record| !record.target.is_root());
        let port = |given: u16| self.service.port.unwrap_or(given);
        let address = |target: String, given| format!("{}:{}", target.trim_end_matches('.'), port(given));
        Ok(there.map(|record| address(record.target.to_ascii(), record.port)).collect())
    }
}

impl Discovery for Records {
    fn name(&self) -> &str {
        &self.service.name
    }

    fn look_up(&self) -> SendFuture<'static, Result<Vec<String>, String>> {
        let records = self.clone();
        Box::pin(async move { records.targets().await.map_err(|error| error.to_string()) })
    }
}

#[cfg(test)]
mod tests;
