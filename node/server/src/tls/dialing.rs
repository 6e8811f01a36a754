//! TLS of the subcommands that talk to a running server.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::ring;
use rustls::pki_types::UnixTime;

use super::contents::{Contents, read};
use super::error::{TlsError, TlsFault};
use super::material::{Material, certificates, roots};
use crate::config::{TlsFile, TlsFiles};

/// Believes who was signed by an authority in the file, and shows the certificate of `shown` (and its key), if there is one.
pub(crate) fn dialing(authority: &TlsFile, shown: Option<(TlsFile, TlsFile)>) -> Result<Arc<ClientConfig>, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let believed = roots(authority, certificates(authority, &read(authority)?)?)?;
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsFault::Malformed(error.to_string()).of(authority))?
        .with_root_certificates(believed);
    let config = match shown {
        Some((certificate, key)) => {
            let files = TlsFiles { certificate, key, authority: None };
            let material = Material::new(&files, &Contents::read(&files)?, &provider, UnixTime::now())?;
            builder
                .with_client_auth_cert(material.chain, material.key)
                .map_err(|error| TlsFault::Malformed(error.to_string()).of(&files.certificate))?
        }
        None => builder.with_no_client_auth(),
    };
    Ok(Arc::new(config))
}
