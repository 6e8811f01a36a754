//! TLS to a node: whose certificates are believed, and what is shown.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The options about TLS.
#[derive(Clone, Debug, Default, Args)]
pub struct TlsArguments {
    /// Speak TLS with the node. The other options about TLS imply it.
    #[arg(long, global = true, env = "PHOTONCTL_TLS")]
    tls: bool,
    /// Authorities (PEM) one of which must have signed the node's certificate; without it those of the system.
    #[arg(long, global = true, value_name = "FILE", env = "PHOTONCTL_TLS_CA")]
    tls_ca: Option<PathBuf>,
    /// A certificate (PEM) to show to the node.
    #[arg(long, global = true, value_name = "FILE", env = "PHOTONCTL_TLS_CERT")]
    tls_cert: Option<PathBuf>,
    /// The private key of that certificate.
    #[arg(long, global = true, value_name = "FILE", env = "PHOTONCTL_TLS_KEY")]
    tls_key: Option<PathBuf>,
    /// The name that the node's certificate must have, where it is not the host of the address.
    #[arg(long, global = true, value_name = "NAME", env = "PHOTONCTL_TLS_SERVER_NAME", value_parser = server_name)]
    tls_server_name: Option<ServerName<'static>>,
}

/// Options that cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A certificate is of no use without its key, and the other way round.
    #[error("{given} is given and {missing} is not; both or none are wanted")]
    Half {
        /// This option is there.
        given: &'static str,
        /// This one is not.
        missing: &'static str,
    },
    /// A file cannot be read.
    #[error("{option} {}: {source}", path.display())]
    Unreadable {
        /// The option that names it.
        option: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file has not what it should have.
    #[error("{option} {}: {reason}", path.display())]
    Unusable {
        /// The option that names it.
        option: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// There is nobody to believe.
    #[error("this system has no certificates of authorities{0}; name the cluster's (--tls-ca)")]
    NoAuthorities(String),
    /// The library refuses.
    #[error("TLS cannot be set up: {0}")]
    Library(#[from] rustls::Error),
}

/// How connections become TLS.
#[derive(Clone)]
pub struct Tls {
    connector: TlsConnector,
    server_name: Option<ServerName<'static>>,
}

fn server_name(text: &str) -> Result<ServerName<'static>, &'static str> {
    ServerName::try_from(text.to_owned()).map_err(|_| "a DNS name or an IP address")
}

impl TlsArguments {
    /// What they ask for; `None`: no TLS. Reads the files.
    pub fn load(&self) -> Result<Option<Tls>, TlsError> {
        let some = self.tls_ca.is_some() || self.tls_cert.is_some() || self.tls_key.is_some();
        if !(self.tls || some || self.tls_server_name.is_some()) {
            return Ok(None);
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(self.authorities()?);
        let mut config = match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => {
                let chain = certificates("--tls-cert", certificate)?;
                let pem = read("--tls-key", key)?;
                let no_key = |_| unusable("--tls-key", key, "it holds no private key (PEM, without a password)");
                let secret = PrivateKeyDer::from_pem_slice(&pem).map_err(no_key)?;
                builder
                    .with_client_auth_cert(chain, secret)
                    .map_err(|error| unusable("--tls-key", key, format!("it does not go with --tls-cert: {error}")))?
            }
            (None, None) => builder.with_no_client_auth(),
            (Some(_), None) => return Err(TlsError::Half { given: "--tls-cert", missing: "--tls-key" }),
            (None, Some(_)) => return Err(TlsError::Half { given: "--tls-key", missing: "--tls-cert" }),
        };
        config.alpn_protocols.push(b"h2".to_vec());
        let connector = TlsConnector::from(Arc::new(config));
        Ok(Some(Tls { connector, server_name: self.tls_server_name.clone() }))
    }

    fn authorities(&self) -> Result<RootCertStore, TlsError> {
        let (mut roots, mut why) = (RootCertStore::empty(), String::new());
        match &self.tls_ca {
            Some(path) => {
                for certificate in certificates("--tls-ca", path)? {
                    roots.add(certificate).map_err(|error| unusable("--tls-ca", path, error.to_string()))?;
                }
            }
            None => {
                let found = rustls_native_certs::load_native_certs();
                roots.add_parsable_certificates(found.certs);
                why = found.errors.first().map(|error| format!(" ({error})")).unwrap_or_default();
            }
        }
        if roots.is_empty() { Err(TlsError::NoAuthorities(why)) } else { Ok(roots) }
    }
}

impl Tls {
    /// Shakes hands with the node that was connected to under the name `host`.
    pub async fn connect(&self, host: &str, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => ServerName::try_from(host.to_owned())
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?,
        };
        self.connector.connect(name, stream).await
    }
}

fn read(option: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Unreadable { option, path: path.to_owned(), source })
}

fn certificates(option: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = read(option, path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let found = found.map_err(|error| unusable(option, path, error.to_string()))?;
    if found.is_empty() {
        return Err(unusable(option, path, "it holds no certificate (PEM)"));
    }
    Ok(found)
}

fn unusable(option: &'static str, path: &Path, reason: impl Into<String>) -> TlsError {
    TlsError::Unusable { option, path: path.to_owned(), reason: reason.into() }
}
