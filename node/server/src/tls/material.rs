//! A port's certificate, key and authorities, parsed and found to fit together.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, Error, InconsistentKeys, RootCertStore};

use super::contents::Contents;
use super::error::{TlsError, TlsFault};
use crate::config::{TlsFile, TlsFiles};

/// What a port shows, and whom it believes.
pub(super) struct Material {
    /// The certificate first.
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
    pub authorities: Option<Arc<RootCertStore>>,
}

impl Material {
    /// Errors: something cannot be parsed, the key is another certificate's, or the certificate's time is not now.
    pub fn new(
        files: &TlsFiles,
        contents: &Contents,
        provider: &Arc<CryptoProvider>,
        now: UnixTime,
    ) -> Result<Material, TlsError> {
        let chain = certificates(&files.certificate, &contents.certificate)?;
        let key = PrivateKeyDer::from_pem_slice(&contents.key).map_err(|_| TlsFault::NoKey.of(&files.key))?;
        let authorities = match (&files.authority, &contents.authority) {
            (Some(file), Some(pem)) => Some(Arc::new(roots(file, certificates(file, pem)?)?)),
            _ => None,
        };
        let material = Material { chain, key, authorities };
        material.check_key(files, provider)?;
        material.check_time(&files.certificate, provider, now)?;
        Ok(material)
    }

    fn check_key(&self, files: &TlsFiles, provider: &Arc<CryptoProvider>) -> Result<(), TlsError> {
        let malformed = |error: Error| TlsFault::Malformed(error.to_string()).of(&files.key);
        let key = provider.key_provider.load_private_key(self.key.clone_key()).map_err(malformed)?;
        match CertifiedKey::new(self.chain.clone(), key).keys_match() {
            Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(()),
            Err(Error::InconsistentKeys(_)) => {
                Err(TlsFault::OtherKey { certificate: files.certificate.path.clone() }.of(&files.key))
            }
            Err(error) => Err(TlsFault::Malformed(error.to_string()).of(&files.certificate)),
        }
    }

    /// Checks the certificate against itself as an authority: a verifier looks at its time before it looks for who signed it.
    fn check_time(&self, file: &TlsFile, provider: &Arc<CryptoProvider>, now: UnixTime) -> Result<(), TlsError> {
        let own = Arc::new(roots(file, self.chain.clone())?);
        match verify_as_server(&self.chain, own, provider, now) {
            Err(Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => {
                Err(TlsFault::Expired { since: not_after }.of(file))
            }
            Err(Error::InvalidCertificate(CertificateError::NotValidYetContext { not_before, .. })) => {
                Err(TlsFault::NotYetValid { before: not_before }.of(file))
            }
            // Who signed it is others' question.
            _ => Ok(()),
        }
    }

    /// Checks that other nodes with the same authorities take the certificate, whichever side connects.
    pub fn check_trust(&self, files: &TlsFiles, provider: &Arc<CryptoProvider>, now: UnixTime) -> Result<(), TlsError> {
        let (Some(authorities), Some(authority)) = (&self.authorities, &files.authority) else { return Ok(()) };
        verify_as_client(&self.chain, authorities.clone(), provider, now)
            .and_then(|()| verify_as_server(&self.chain, authorities.clone(), provider, now))
            .map_err(|error| {
                let reason = explain(&error);
                TlsFault::Untrusted { authority: authority.path.clone(), reason }.of(&files.certificate)
            })
    }
}

/// What is wrong with a certificate, in words for whoever gave it.
pub(super) fn explain(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => "none of them has signed it".to_owned(),
        Error::InvalidCertificate(CertificateError::BadSignature) => "its signature is not theirs".to_owned(),
        Error::InvalidCertificate(
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. },
        ) => "it is not for both servers and clients (extended key usage)".to_owned(),
        error => error.to_string(),
    }
}

fn verify_as_client(
    chain: &[CertificateDer<'_>],
    roots: Arc<RootCertStore>,
    provider: &Arc<CryptoProvider>,
    now: UnixTime,
) -> Result<(), Error> {
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider.clone()).build();
    let verifier = verifier.map_err(|error| Error::General(error.to_string()))?;
    let (own, between) = split(chain)?;
    verifier.verify_client_cert(own, between, now).map(|_| ())
}

/// Under no particular name: a certificate that is good but for the name is good.
fn verify_as_server(
    chain: &[CertificateDer<'_>],
    roots: Arc<RootCertStore>,
    provider: &Arc<CryptoProvider>,
    now: UnixTime,
) -> Result<(), Error> {
    let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider.clone()).build();
    let verifier = verifier.map_err(|error| Error::General(error.to_string()))?;
    let (own, between) = split(chain)?;
    let nobody = ServerName::try_from("nobody.invalid").expect("a name");
    match verifier.verify_server_cert(own, between, &nobody, &[], now) {
        Ok(_) => Ok(()),
        Err(Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        )) => Ok(()),
        Err(error) => Err(error),
    }
}

fn split<'a, 'c>(chain: &'a [CertificateDer<'c>]) -> Result<(&'a CertificateDer<'c>, &'a [CertificateDer<'c>]), Error> {
    chain.split_first().ok_or(Error::NoCertificatesPresented)
}

/// All that stand in the file, one at least.
pub(super) fn certificates(file: &TlsFile, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found = found.map_err(|error| TlsFault::Malformed(error.to_string()).of(file))?;
    if found.is_empty() {
        return Err(TlsFault::NoCertificate.of(file));
    }
    Ok(found)
}

/// Whoever believes these.
pub(super) fn roots(file: &TlsFile, certificates: Vec<CertificateDer<'static>>) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate).map_err(|error| TlsFault::Malformed(error.to_string()).of(file))?;
    }
    Ok(roots)
}
