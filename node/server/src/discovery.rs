//! Where else nodes listen, by names that are looked up: records of DNS, and pods of Kubernetes.

mod kubernetes;
mod records;

use std::sync::Arc;

use photondb_controller::Discovery;
use photondb_discovery_kubernetes::NotInAPod;

use crate::config::Config;

/// A way to the nodes of each name that `join` has. Errors: this process is where one of them cannot work.
pub(crate) fn of(config: &Config) -> Result<Vec<Arc<dyn Discovery>>, NotInAPod> {
    let mut all = records::of_services(&config.join_services);
    all.extend(kubernetes::of_pods(config)?);
    Ok(all)
}
