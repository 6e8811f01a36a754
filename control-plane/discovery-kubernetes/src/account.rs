//! The service account of the pod: three files that Kubernetes mounts.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::error::SearchError;
use crate::limits::ACCOUNT_FILE_BYTES_MAX;
use crate::service::is_label;

/// Where Kubernetes mounts it unless a pod says otherwise.
pub const ACCOUNT_FOLDER: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// A folder with `token`, `ca.crt` and `namespace`.
///
/// They are read at each look: Kubernetes changes the token before it expires, and the authority now and then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAccount {
    folder: PathBuf,
}

impl ServiceAccount {
    /// The one that is mounted there. Nothing is read yet.
    pub fn in_folder(folder: impl Into<PathBuf>) -> ServiceAccount {
        ServiceAccount { folder: folder.into() }
    }

    /// Where the token is.
    pub(crate) fn token_file(&self) -> PathBuf {
        self.folder.join("token")
    }

    /// What the pod shows to the API.
    pub(crate) fn token(&self) -> Result<String, SearchError> {
        let path = self.token_file();
        let text = text(&path)?;
        match text.trim() {
            "" => Err(unusable(path, "it is empty")),
            token if token.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(token.to_owned()),
            _ => Err(unusable(path, "a token is one word of ASCII")),
        }
    }

    /// Who signs the certificate of the API, in DER.
    pub(crate) fn authorities(&self) -> Result<Vec<Vec<u8>>, SearchError> {
        let path = self.folder.join("ca.crt");
        let bytes = bytes(&path)?;
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
        match found {
            Ok(found) if found.is_empty() => Err(unusable(path, "no certificate stands in it")),
            Ok(found) => Ok(found.iter().map(|certificate| certificate.to_vec()).collect()),
            Err(error) => Err(unusable(path, format!("it is no file of certificates (PEM): {error}"))),
        }
    }

    /// That of the pod.
    pub(crate) fn namespace(&self) -> Result<String, SearchError> {
        let path = self.folder.join("namespace");
        let text = text(&path)?;
        match text.trim() {
            name if is_label(name) => Ok(name.to_owned()),
            _ => Err(unusable(path, "it does not hold the name of a namespace")),
        }
    }
}

fn unusable(path: PathBuf, reason: impl ToString) -> SearchError {
    SearchError::Account { path, reason: reason.to_string() }
}

fn text(path: &Path) -> Result<String, SearchError> {
    String::from_utf8(bytes(path)?).map_err(|_| unusable(path.to_owned(), "it is no text"))
}

fn bytes(path: &Path) -> Result<Vec<u8>, SearchError> {
    let mut found = Vec::new();
    let read = File::open(path).and_then(|file| file.take(ACCOUNT_FILE_BYTES_MAX + 1).read_to_end(&mut found));
    match read {
        Ok(length) if length as u64 > ACCOUNT_FILE_BYTES_MAX => Err(unusable(path.to_owned(), "it is far too long")),
        Ok(_) => Ok(found),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(unusable(path.to_owned(), "it is not there")),
        Err(error) => Err(unusable(path.to_owned(), error)),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn files_that_are_not_there_or_not_what_they_should_be_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let account = ServiceAccount::in_folder(folder.path());
        let said = |outcome: Result<(), SearchError>| outcome.unwrap_err().to_string();
        assert!(said(account.token().map(drop)).contains("token cannot be used: it is not there"));
        for (file, contents, reason) in [
            ("token", &b" \n"[..], "token cannot be used: it is empty"),
            ("token", b"two words", "a token is one word of ASCII"),
            ("token", b"\xff", "it is no text"),
            ("ca.crt", b"nothing", "no certificate stands in it"),
            ("ca.crt", b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", "no file of certificates"),
            ("namespace", b"", "it does not hold the name of a namespace"),
            ("namespace", b"a/b", "it does not hold the name of a namespace"),
        ] {
            fs::write(folder.path().join(file), contents).unwrap();
            let outcome = match file {
                "token" => account.token().map(drop),
                "ca.crt" => account.authorities().map(drop),
                _ => account.namespace().map(drop),
            };
            let said = said(outcome);
            assert!(said.contains(reason) && said.contains("--kubernetes-account"), "{said}");
        }
        fs::write(folder.path().join("token"), vec![b'a'; ACCOUNT_FILE_BYTES_MAX as usize + 1]).unwrap();
        assert!(said(account.token().map(drop)).contains("far too long"));
        fs::write(folder.path().join("namespace"), "database\n").unwrap();
        assert_eq!(account.namespace().unwrap(), "database");
    }
}
