//! One port's TLS, with the newest certificate that is good.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use photondb_runtime::network::ByteStream;
use photondb_runtime::task::timeout;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{CertificateError, ClientConfig, ServerConfig, SupportedProtocolVersion};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::contents::Contents;
use super::error::{TlsError, TlsFault};
use super::material::Material;
use super::stream::Encrypted;
use crate::config::{TlsFiles, TlsVersion};
use crate::limits::TLS_HANDSHAKE_TIME_MAX;

/// What a port is for, which decides who must show a certificate there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Whoever comes may show one; each service decides whether it wants one. The node connects to others with its own.
    Cluster,
    /// Where there are authorities, everybody must.
    Driver,
    /// Nobody does.
    Http,
}

impl Role {
    fn protocol(self) -> Option<&'static [u8]> {
        match self {
            Role::Cluster => Some(b"h2"),
            Role::Driver => None,
            Role::Http => Some(b"http/1.1"),
        }
    }
}

/// TLS on one port.
pub(crate) struct PortTls {
    files: TlsFiles,
    role: Role,
    minimum: TlsVersion,
    provider: Arc<CryptoProvider>,
    current: ArcSwap<Current>,
}

/// What new connections get.
struct Current {
    contents: Contents,
    server: Arc<ServerConfig>,
    /// To other nodes; the cluster port's only.
    client: Option<Arc<ClientConfig>>,
}

impl PortTls {
    /// Reads the files. Errors: they cannot be used.
    pub(super) fn load(files: &TlsFiles, role: Role, minimum: TlsVersion) -> Result<PortTls, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let current = build(files, Contents::read(files)?, role, minimum, &provider)?;
        let current = ArcSwap::from_pointee(current);
        Ok(PortTls { files: files.clone(), role, minimum, provider, current })
    }

    /// The files as they are now, unless they are as they were when they were last taken.
    pub(super) fn changed(&self) -> Result<Option<Contents>, TlsError> {
        let contents = Contents::read(&self.files)?;
        Ok((contents != self.current.load().contents).then_some(contents))
    }

    /// New connections get these from here on. Errors: they cannot be used, and nothing changes.
    pub(super) fn take(&self, contents: Contents) -> Result<(), TlsError> {
        self.current.store(Arc::new(build(&self.files, contents, self.role, self.minimum, &self.provider)?));
        Ok(())
    }

    /// What is read.
    pub(super) fn files(&self) -> &TlsFiles {
        &self.files
    }

    /// An accepted connection.
    pub fn accept(&self, stream: Box<dyn ByteStream>, peer: SocketAddr) -> Encrypted {
        let acceptor = TlsAcceptor::from(self.current.load().server.clone());
        Encrypted::accepted(acceptor.accept(stream), peer)
    }

    /// Shakes hands, within a time, with a node that was connected to under the name `host`. Errors: in words for people.
    pub async fn connect(&self, host: &str, stream: Box<dyn ByteStream>) -> Result<Box<dyn ByteStream>, String> {
        let client = self.current.load().client.clone().ok_or("this port connects to nobody")?;
        let name = ServerName::try_from(host.to_owned()).map_err(|_| format!("no certificate can name `{host}`"))?;
        match timeout(TLS_HANDSHAKE_TIME_MAX, TlsConnector::from(client).connect(name, stream)).await {
            Ok(Ok(stream)) => Ok(Box::new(stream)),
            Ok(Err(error)) => Err(explain(&error, host)),
            Err(_) => Err(format!("no TLS handshake within {TLS_HANDSHAKE_TIME_MAX:?}")),
        }
    }
}

/// Why a handshake with a node failed.
fn explain(error: &io::Error, host: &str) -> String {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidMessage(_)) => {
            "the node there does not speak TLS, and this one does (cluster-tls-cert)".to_owned()
        }
        Some(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            "none of the authorities of this node has signed the certificate there (cluster-tls-ca)".to_owned()
        }
        Some(rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        )) => format!("the certificate there does not name `{host}`"),
        Some(error) => error.to_string(),
        None => format!("the TLS handshake broke off: {error}"),
    }
}

fn build(
    files: &TlsFiles,
    contents: Contents,
    role: Role,
    minimum: TlsVersion,
    provider: &Arc<CryptoProvider>,
) -> Result<Current, TlsError> {
    let now = UnixTime::now();
    let material = Material::new(files, &contents, provider, now)?;
    if role == Role::Cluster {
        material.check_trust(files, provider, now)?;
    }
    let unusable = |error: rustls::Error| TlsFault::Malformed(error.to_string()).of(&files.certificate);
    let client = match (role, &material.authorities) {
        (Role::Cluster, Some(authorities)) => {
            let mut client = ClientConfig::builder_with_provider(provider.clone())
                .with_protocol_versions(versions(minimum))
                .map_err(unusable)?
                .with_root_certificates(authorities.clone())
                .with_client_auth_cert(material.chain.clone(), material.key.clone_key())
                .map_err(unusable)?;
            client.alpn_protocols.extend(role.protocol().map(<[u8]>::to_vec));
            Some(Arc::new(client))
        }
        _ => None,
    };
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions(minimum))
        .map_err(unusable)?;
    let builder = match (&material.authorities, &files.authority) {
        (Some(authorities), Some(file)) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(authorities.clone(), provider.clone());
            let verifier = if role == Role::Cluster { verifier.allow_unauthenticated() } else { verifier };
            let verifier = verifier.build().map_err(|error| TlsFault::Malformed(error.to_string()).of(file))?;
            builder.with_client_cert_verifier(verifier)
        }
        _ => builder.with_no_client_auth(),
    };
    let mut server = builder.with_single_cert(material.chain, material.key).map_err(unusable)?;
    server.alpn_protocols.extend(role.protocol().map(<[u8]>::to_vec));
    Ok(Current { contents, server: Arc::new(server), client })
}

static FROM_1_2: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
static FROM_1_3: [&SupportedProtocolVersion; 1] = [&TLS13];

fn versions(minimum: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    match minimum {
        TlsVersion::V1_2 => &FROM_1_2,
        TlsVersion::V1_3 => &FROM_1_3,
    }
}
