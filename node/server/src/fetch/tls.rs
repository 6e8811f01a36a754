//! TLS as a client: by the system's certificates, or with `verify: false` by any.

use std::sync::Arc;

use photondb_query::fetch::FetchError;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The system's certificates cannot be read at all.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up TLS for `http`: {0}")]
pub struct CertificatesError(#[from] rustls::Error);

pub(super) struct Tls {
    verifying: Arc<ClientConfig>,
    trusting: Arc<ClientConfig>,
}

impl Tls {
    /// Reads the system's certificates. Without any, only `verify: false` can speak TLS.
    pub fn load() -> Result<Tls, CertificatesError> {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(%error, "some of the system's certificates cannot be read");
        }
        let mut roots = RootCertStore::empty();
        let (usable, _) = roots.add_parsable_certificates(found.certs);
        if usable == 0 {
            tracing::warn!("the system has no certificates of authorities: `http` cannot verify any server");
        }
        let provider = Arc::new(ring::default_provider());
        let builder = || ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
        let verifying = builder()?.with_root_certificates(roots).with_no_client_auth();
        let trusting = builder()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(TrustAnybody(provider.clone())))
            .with_no_client_auth();
        Ok(Tls { verifying: Arc::new(verifying), trusting: Arc::new(trusting) })
    }

    /// Shakes hands on a connection.
    pub async fn connect(
        &self,
        stream: TcpStream,
        host: &str,
        verify: bool,
    ) -> Result<TlsStream<TcpStream>, FetchError> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| FetchError::Url)?;
        let config = if verify { &self.verifying } else { &self.trusting };
        TlsConnector::from(config.clone()).connect(name, stream).await.map_err(|error| {
            match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                Some(rustls::Error::InvalidCertificate(reason)) => {
                    tracing::debug!(host, ?reason, "a server's certificate was refused");
                    FetchError::Certificate
                }
                _ => FetchError::Tls,
            }
        })
    }
}

/// Takes every certificate; whoever has it must still have its key.
#[derive(Debug)]
struct TrustAnybody(Arc<CryptoProvider>);

impl ServerCertVerifier for TrustAnybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
