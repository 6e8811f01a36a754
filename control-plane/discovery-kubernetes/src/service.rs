//! What a user says of the service: its name, where it is, and a port.

use std::str::FromStr;

use crate::limits::LABEL_BYTES_MAX;

/// A headless service, as `SERVICE[.NAMESPACE][:PORT]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadlessService {
    /// Its name.
    pub name: String,
    /// Its namespace; `None`: that of the pod that asks.
    pub namespace: Option<String>,
    /// Taken in place of the port that the service gives.
    pub port: Option<u16>,
}

/// A text that names no service.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServiceError {
    /// It names more than a service and its namespace.
    #[error(
        "more than SERVICE.NAMESPACE stands before the port: `{0}`; the domain of the cluster (`svc.cluster.local`) does not \
         belong to it"
    )]
    Parts(String),
    /// The service's name cannot be one.
    #[error("`{0}` is no name of a service: {LABEL}")]
    Name(String),
    /// The namespace's name cannot be one.
    #[error("`{0}` is no name of a namespace: {LABEL}")]
    Namespace(String),
    /// The port cannot be one.
    #[error("`{0}` is no port: a number from 1 to 65535 stands behind the colon")]
    Port(String),
}

const LABEL: &str = "1 to 63 of a-z, 0-9 and `-` are wanted, with a letter or digit at both ends";

impl FromStr for HeadlessService {
    type Err = ServiceError;

    fn from_str(text: &str) -> Result<HeadlessService, ServiceError> {
        let (names, port) = match text.split_once(':') {
            Some((names, port)) => (names, Some(parse_port(port)?)),
            None => (text, None),
        };
        let (name, namespace) = match names.split_once('.') {
            Some((name, namespace)) => (name, Some(namespace)),
            None => (names, None),
        };
        if namespace.is_some_and(|namespace| namespace.contains('.')) {
            return Err(ServiceError::Parts(names.to_owned()));
        }
        if !is_label(name) {
            return Err(ServiceError::Name(name.to_owned()));
        }
        if let Some(namespace) = namespace.filter(|namespace| !is_label(namespace)) {
            return Err(ServiceError::Namespace(namespace.to_owned()));
        }
        Ok(HeadlessService { name: name.to_owned(), namespace: namespace.map(str::to_owned), port })
    }
}

fn parse_port(text: &str) -> Result<u16, ServiceError> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let port = text.parse().ok().filter(|port| is_number && *port != 0);
    port.ok_or_else(|| ServiceError::Port(text.to_owned()))
}

/// Whether Kubernetes takes it as the name of a service or a namespace (RFC 1123).
pub(crate) fn is_label(text: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let length = (1..=LABEL_BYTES_MAX).contains(&text.len());
    length && text.bytes().all(inside) && !text.starts_with('-') && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_has_a_name_perhaps_a_namespace_and_perhaps_a_port() {
        let service = |name: &str, namespace: Option<&str>, port| {
            Ok(HeadlessService { name: name.to_owned(), namespace: namespace.map(str::to_owned), port })
        };
        assert_eq!("photondb-headless".parse(), service("photondb-headless", None, None));
        assert_eq!("db.database".parse(), service("db", Some("database"), None));
        assert_eq!("db:1".parse(), service("db", None, Some(1)));
        assert_eq!("0db.9:65535".parse(), service("0db", Some("9"), Some(65535)));
        assert_eq!("a".repeat(63).parse(), service(&"a".repeat(63), None, None));
    }

    #[test]
    fn what_is_wrong_with_a_text_is_said() {
        for (text, reason) in [
            ("", "`` is no name of a service"),
            ("Db", "`Db` is no name of a service"),
            ("-db", "`-db` is no name of a service"),
            ("db_1", "`db_1` is no name of a service"),
            ("db/x", "`db/x` is no name of a service"),
            ("db.data/../x", "does not belong to it"),
            (&"a".repeat(64), "is no name of a service: 1 to 63"),
            ("db.", "`` is no name of a namespace"),
            ("db.data-", "`data-` is no name of a namespace"),
            ("db.database.svc.cluster.local", "(`svc.cluster.local`) does not belong to it"),
            ("db:", "`` is no port"),
            ("db:0", "`0` is no port"),
            ("db:65536", "`65536` is no port"),
            ("db:+1", "`+1` is no port"),
            ("db:1:2", "`1:2` is no port"),
            ("[::1]:7", "`:1]:7` is no port"),
        ] {
            let refused = text.parse::<HeadlessService>().unwrap_err().to_string();
            assert!(refused.contains(reason), "{text}: {refused}");
        }
    }
}
