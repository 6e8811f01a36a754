//! Other nodes by DNS: SRV records say where they listen (RFC 2782).
//!
//! Who is asked, and how, is what the system has in `/etc/resolv.conf`. Priorities and weights do not matter: all targets
//! are asked, for each may know the way.

use std::sync::Arc;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::ResolverOpts;
use hickory_resolver::net::NetError;
use hickory_resolver::proto::rr::RData;
use photondb_controller::Discovery;
use photondb_runtime::peers::SendFuture;
use tokio::sync::Mutex;

use crate::config::JoinService;
use crate::limits::{DISCOVERY_ANSWER_TIME_MAX, DISCOVERY_BELIEF_MAX, DISCOVERY_DISBELIEF_MAX};

type Make = Box<dyn Fn() -> Result<TokioResolver, NetError> + Send + Sync>;

/// Asks DNS. Made when it is first needed, and again after it has failed: what the system says of DNS may be new.
struct Resolver {
    make: Make,
    made: Mutex<Option<Arc<TokioResolver>>>,
}

/// One name's records.
struct Records {
    service: JoinService,
    resolver: Arc<Resolver>,
}

/// A way to the nodes of each service.
pub(crate) fn of_services(services: &[JoinService]) -> Vec<Arc<dyn Discovery>> {
    let of_the_system = || {
        let mut builder = TokioResolver::builder_tokio()?;
        *builder.options_mut() = with_limits(builder.options_mut());
        builder.build()
    };
    let resolver = Resolver::new(Box::new(of_the_system));
    services.iter().map(|service| Records::of(service.clone(), &resolver)).collect()
}

fn with_limits(options: &ResolverOpts) -> ResolverOpts {
    let mut options = options.clone();
    options.timeout = DISCOVERY_ANSWER_TIME_MAX;
    options.positive_max_ttl = Some(DISCOVERY_BELIEF_MAX);
    options.negative_max_ttl = Some(DISCOVERY_DISBELIEF_MAX);
    options
}

impl Resolver {
    fn new(make: Make) -> Arc<Resolver> {
        Arc::new(Resolver { make, made: Mutex::new(None) })
    }

    /// "host:port" of each record.
    async fn targets(&self, service: &JoinService) -> Result<Vec<String>, NetError> {
        let resolver = {
            let mut made = self.made.lock().await;
            match &*made {
                Some(resolver) => resolver.clone(),
                None => made.insert(Arc::new((self.make)()?)).clone(),
            }
        };
        let found = resolver.srv_lookup(service.name.as_str()).await;
        if found.as_ref().is_err_and(|error| !error.is_no_records_found()) {
            *self.made.lock().await = None;
        }
        let found = found?;
        let records = found.answers().iter().filter_map(|record| match &record.data {
            RData::SRV(record) => Some(record),
            _ => None,
        });
        // The root as a target says that the service is not there.
        let there = records.filter(|record| !record.target.is_root());
        let address = |target: &str, port| format!("{}:{port}", target.trim_end_matches('.'));
        Ok(there.map(|record| address(&record.target.to_utf8(), service.port.unwrap_or(record.port))).collect())
    }
}

impl Records {
    fn of(service: JoinService, resolver: &Arc<Resolver>) -> Arc<dyn Discovery> {
        Arc::new(Records { service, resolver: resolver.clone() })
    }
}

impl Discovery for Records {
    fn name(&self) -> &str {
        &self.service.name
    }

    fn look_up(&self) -> SendFuture<'static, Result<Vec<String>, String>> {
        let (resolver, service) = (self.resolver.clone(), self.service.clone());
        Box::pin(async move { resolver.targets(&service).await.map_err(|error| error.to_string()) })
    }
}

#[cfg(test)]
mod tests;
