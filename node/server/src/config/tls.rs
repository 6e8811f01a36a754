//! Which files a port speaks TLS with.

use std::path::PathBuf;

use super::{ConfigError, Given, options};

/// The files of one port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, and those between it and an authority.
    pub certificate: TlsFile,
    /// The certificate's private key.
    pub key: TlsFile,
    /// The authorities whose certificates are taken from others.
    pub authority: Option<TlsFile>,
}

/// A file, and the option that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFile {
    /// The option.
    pub option: &'static str,
    /// The file.
    pub path: PathBuf,
}

/// The oldest version of the protocol that is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsVersion {
    /// TLS 1.2, as RethinkDB has it.
    #[default]
    V1_2,
    /// TLS 1.3.
    V1_3,
}

/// What the three ports speak TLS with; those without files speak in the clear.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsConfig {
    /// The cluster port, with authorities always.
    pub cluster: Option<TlsFiles>,
    /// The driver port.
    pub driver: Option<TlsFiles>,
    /// The HTTP port, never with authorities.
    pub http: Option<TlsFiles>,
    /// Of all of them.
    pub minimum: TlsVersion,
}

impl TlsConfig {
    /// Errors: a port has some of the files that it needs and lacks others.
    pub(super) fn resolve(given: &Given) -> Result<TlsConfig, ConfigError> {
        let cluster = files(given, "cluster-tls-cert", "cluster-tls-key", Some("cluster-tls-ca"))?;
        if let Some(TlsFiles { authority: None, certificate, .. }) = &cluster {
            return Err(ConfigError::HalfOfTls { given: certificate.option, missing: "cluster-tls-ca" });
        }
        Ok(TlsConfig {
            cluster,
            driver: files(given, "driver-tls-cert", "driver-tls-key", Some("driver-tls-ca"))?,
            http: files(given, "http-tls-cert", "http-tls-key", None)?,
            minimum: minimum(given)?,
        })
    }
}

fn files(
    given: &Given,
    certificate: &'static str,
    key: &'static str,
    authority: Option<&'static str>,
) -> Result<Option<TlsFiles>, ConfigError> {
    let file = |option: &'static str| given.last(option).map(|path| TlsFile { option, path: PathBuf::from(path) });
    let half = |given, missing| Err(ConfigError::HalfOfTls { given, missing });
    match (file(certificate), file(key), authority.and_then(file)) {
        (Some(certificate), Some(key), authority) => Ok(Some(TlsFiles { certificate, key, authority })),
        (Some(_), None, _) => half(certificate, key),
        (None, Some(_), _) => half(key, certificate),
        (None, None, Some(authority)) => half(authority.option, certificate),
        (None, None, None) => Ok(None),
    }
}

fn minimum(given: &Given) -> Result<TlsVersion, ConfigError> {
    match given.last("tls-min-protocol") {
        None => Ok(TlsVersion::default()),
        Some("TLSv1.2") => Ok(TlsVersion::V1_2),
        Some("TLSv1.3") => Ok(TlsVersion::V1_3),
        Some(other) => Err(ConfigError::Invalid {
            option: options::find("tls-min-protocol")?.name,
            value: other.to_owned(),
            expected: "`TLSv1.2` or `TLSv1.3`; older versions are not safe any more",
        }),
    }
}
