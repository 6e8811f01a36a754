//! The bytes of a connection to a server: in the clear, or over TLS.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Arg, ArgMatches, Command};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use super::{ANSWER_TIME_MAX, ClientError};
use crate::config::TlsFile;
use crate::tls::dialing;

/// Bytes both ways.
pub(super) trait Stream: Read + Write + Send {}

impl<T: Read + Write + Send> Stream for T {}

const AUTHORITY: &str = "tls-ca";
const CERTIFICATE: &str = "tls-cert";
const KEY: &str = "tls-key";

/// The options about TLS.
pub(super) fn arguments(command: Command) -> Command {
    let file = |name: &'static str, help: &'static str| Arg::new(name).long(name).value_name("FILE").help(help);
    command
        .arg(file(AUTHORITY, "Speak TLS, with a server whose certificate an authority in this file (PEM) has signed"))
        .arg(file(CERTIFICATE, "Show this certificate (PEM)").requires(AUTHORITY).requires(KEY))
        .arg(file(KEY, "The private key of that certificate").requires(CERTIFICATE))
}

/// What the options say; `None`: no TLS.
pub(super) fn tls(arguments: &ArgMatches) -> Result<Option<Arc<ClientConfig>>, ClientError> {
    let file = |option: &'static str| {
        arguments.get_one::<String>(option).map(|path| TlsFile { option, path: PathBuf::from(path) })
    };
    match file(AUTHORITY) {
        Some(authority) => Ok(Some(dialing(&authority, file(CERTIFICATE).zip(file(KEY)))?)),
        None => Ok(None),
    }
}

/// Connects to `address`, host and port.
pub(super) fn open(address: &str, tls: Option<Arc<ClientConfig>>) -> Result<Box<dyn Stream>, ClientError> {
    let stream = TcpStream::connect(address)
        .map_err(|source| ClientError::Unreachable { address: address.to_owned(), source })?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(ANSWER_TIME_MAX))?;
    let Some(tls) = tls else { return Ok(Box::new(stream)) };
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let name = ServerName::try_from(host.to_owned()).map_err(|_| ClientError::NoName { host: host.to_owned() })?;
    let mut stream = StreamOwned::new(ClientConnection::new(tls, name)?, stream);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock).map_err(|error| {
            match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                Some(rustls::Error::InvalidMessage(_)) => ClientError::NoTls,
                _ => ClientError::Broken(error),
            }
        })?;
    }
    Ok(Box::new(stream))
}
