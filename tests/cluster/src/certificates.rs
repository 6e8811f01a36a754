//! Authorities that sign certificates for nodes, drivers and people.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose, SanType};
use tempfile::TempDir;

/// An authority, with a folder for what it signs. The folder goes with it.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

/// The files of a certificate.
#[derive(Clone, Debug)]
pub struct Issued {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Authority {
    /// A new one, which nobody knows yet.
    pub fn new(name: &str) -> Authority {
        let mut params = params(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key can be made");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("an authority signs itself");
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("ca.pem"), issuer.pem()).expect("a file of the folder can be written");
        Authority { issuer, folder }
    }

    /// The file with its own certificate.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A certificate for 127.0.0.1 and `localhost`, in files of that name.
    pub fn issue(&self, name: &str) -> Issued {
        self.issue_as(name, |_| {})
    }

    /// As [`Authority::issue`], with something else about it.
    pub fn issue_as(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Issued {
        let mut params = params(name);
        params.subject_alt_names.push(SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        params.subject_alt_names.push(SanType::DnsName("localhost".try_into().expect("a DNS name")));
        change(&mut params);
        let key = KeyPair::generate().expect("a key can be made");
        let certificate = params.signed_by(&key, &self.issuer).expect("the authority signs it");
        let issued = Issued { certificate: self.path(name, "pem"), key: self.path(name, "key") };
        std::fs::write(&issued.certificate, certificate.pem()).expect("a file of the folder can be written");
        std::fs::write(&issued.key, key.serialize_pem()).expect("a file of the folder can be written");
        issued
    }

    fn path(&self, name: &str, end: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.{end}"))
    }

    /// The flags with which a port ("cluster", "driver") shows `issued` and asks others for certificates of this authority.
    pub fn flags(&self, port: &str, issued: &Issued) -> Vec<String> {
        let mut flags = issued.flags(port);
        flags.push(flag(port, "ca", &self.file()));
        flags
    }

    /// What photonctl needs to know this authority, and with `shown` to show a certificate.
    pub fn photonctl_flags(&self, shown: Option<&Issued>) -> Vec<String> {
        let mut flags = vec!["--tls-ca".to_owned(), self.file().display().to_string()];
        if let Some(Issued { certificate, key }) = shown {
            for (option, path) in [("--tls-cert", certificate), ("--tls-key", key)] {
                flags.extend([option.to_owned(), path.display().to_string()]);
            }
        }
        flags
    }
}

impl Issued {
    /// The flags with which a port shows it.
    pub fn flags(&self, port: &str) -> Vec<String> {
        vec![flag(port, "cert", &self.certificate), flag(port, "key", &self.key)]
    }
}

fn flag(port: &str, what: &str, path: &Path) -> String {
    format!("--{port}-tls-{what}={}", path.display())
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}
