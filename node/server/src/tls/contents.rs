//! The bytes of a port's files.

use std::fs::File;
use std::io::Read;

use super::error::{TlsError, TlsFault};
use crate::config::{TlsFile, TlsFiles};
use crate::limits::TLS_FILE_BYTES_MAX;

/// What the files hold at one moment.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Contents {
    pub certificate: Vec<u8>,
    pub key: Vec<u8>,
    pub authority: Option<Vec<u8>>,
}

impl Contents {
    /// Reads all of them.
    pub fn read(files: &TlsFiles) -> Result<Contents, TlsError> {
        Ok(Contents {
            certificate: read(&files.certificate)?,
            key: read(&files.key)?,
            authority: files.authority.as_ref().map(read).transpose()?,
        })
    }
}

/// One file's bytes.
pub(super) fn read(file: &TlsFile) -> Result<Vec<u8>, TlsError> {
    let mut bytes = Vec::new();
    File::open(&file.path)
        .and_then(|file| file.take(TLS_FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes))
        .map_err(|error| TlsFault::Unreadable(error).of(file))?;
    if bytes.len() > TLS_FILE_BYTES_MAX {
        return Err(TlsFault::TooLong.of(file));
    }
    Ok(bytes)
}
