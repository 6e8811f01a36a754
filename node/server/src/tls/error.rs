//! Why a port cannot speak TLS.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use httpdate::fmt_http_date;
use rustls::pki_types::UnixTime;

use crate::config::TlsFile;
use crate::limits::TLS_FILE_BYTES_MAX;

/// A file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("option `{option}`, file {}: {fault}", path.display())]
pub struct TlsError {
    /// The option that names it.
    pub option: &'static str,
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub fault: TlsFault,
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum TlsFault {
    /// The system does not give it.
    #[error("{0}; the user that runs photondb must be able to read it")]
    Unreadable(io::Error),
    /// It is far longer than what is wanted.
    #[error("it has more than {TLS_FILE_BYTES_MAX} bytes; certificates and keys are wanted, in PEM")]
    TooLong,
    /// No certificate stands in it.
    #[error("no certificate stands in it; PEM is wanted, with lines `-----BEGIN CERTIFICATE-----`")]
    NoCertificate,
    /// No private key stands in it.
    #[error(
        "no private key stands in it that can be read; PEM is wanted, and a key without a password: `openssl pkey -in FILE` \
         takes it off"
    )]
    NoKey,
    /// It is not what PEM, or X.509, says.
    #[error("what stands in it cannot be used: {0}")]
    Malformed(String),
    /// Certificate and key belong to different pairs.
    #[error("it is not the key of the certificate in {}", certificate.display())]
    OtherKey {
        /// The certificate's file.
        certificate: PathBuf,
    },
    /// Its time is over.
    #[error("the certificate has expired on {}; put a new one in its place", date(*.since))]
    Expired {
        /// When.
        since: UnixTime,
    },
    /// Its time has not come.
    #[error("the certificate is not valid before {}; is the clock of this machine right?", date(*.before))]
    NotYetValid {
        /// When it will be.
        before: UnixTime,
    },
    /// Others would not take it.
    #[error("other nodes would refuse the certificate, by the authorities in {}: {reason}", authority.display())]
    Untrusted {
        /// The file of authorities.
        authority: PathBuf,
        /// What they would say.
        reason: String,
    },
}

impl TlsFault {
    /// Of this file.
    pub(super) fn of(self, file: &TlsFile) -> TlsError {
        TlsError { option: file.option, path: file.path.clone(), fault: self }
    }
}

fn date(time: UnixTime) -> String {
    fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(time.as_secs()))
}
