//! TLS on the node's ports.
//!
//! A port's certificate, key and authorities come from files ([`contents`]), are checked as a whole ([`material`]) and
//! become what rustls wants ([`port`]). They are read again when the files change ([`rotation`]). An accepted connection is a
//! stream that shakes hands when it is first used ([`stream`]), so that sessions, gRPC and HTTP know nothing of it. Below a
//! simulated network there is none of this.

mod cleartext;
mod contents;
mod dialing;
mod error;
mod listener;
mod material;
mod port;
mod rotation;
mod stream;

use std::sync::Arc;

use crate::config::TlsConfig;

pub(crate) use cleartext::Cleartext;
pub(crate) use dialing::dialing;
pub use error::TlsError;
pub(crate) use listener::{Secured, SecuredSystem};
pub(crate) use port::PortTls;
pub(crate) use rotation::start_rotation;
pub(crate) use stream::Shown;

use port::Role;

/// What each port speaks TLS with; `None`: it speaks in the clear.
#[derive(Clone, Default)]
pub(crate) struct Tls {
    pub cluster: Option<Arc<PortTls>>,
    pub driver: Option<Arc<PortTls>>,
    pub http: Option<Arc<PortTls>>,
}

impl Tls {
    /// Reads and checks all files. Errors: one of them cannot be used, and by which option it is named.
    pub fn load(config: &TlsConfig) -> Result<Tls, TlsError> {
        let load = |files: &Option<_>, role| {
            let files = files.as_ref();
            files.map(|files| PortTls::load(files, role, config.minimum).map(Arc::new)).transpose()
        };
        Ok(Tls {
            cluster: load(&config.cluster, Role::Cluster)?,
            driver: load(&config.driver, Role::Driver)?,
            http: load(&config.http, Role::Http)?,
        })
    }

    /// The ports that have certificates.
    pub fn ports(&self) -> Vec<Arc<PortTls>> {
        [&self.cluster, &self.driver, &self.http].into_iter().flatten().cloned().collect()
    }
}
