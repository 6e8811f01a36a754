//! What can be wrong with a configuration.

use std::path::PathBuf;

use photondb_discovery_kubernetes::ServiceError;

/// A configuration that is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// No option has this name.
    #[error("unknown option `{name}`{}", nearest.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default())]
    Unknown { name: String, nearest: Option<&'static str> },
    /// The value does not fit the option.
    #[error("option `{option}`: `{value}` is not {expected}")]
    Invalid { option: &'static str, value: String, expected: &'static str },
    /// The option exists in RethinkDB or is planned.
    #[error("option `{option}` is not supported yet{}", hint(option))]
    NotSupported { option: &'static str },
    /// Other nodes are named, and there is nothing to know them by.
    #[error(
        "`join` needs a secret that all nodes of the cluster share: make one, as with `openssl rand -hex 32 > FILE`, copy it to \
         each, and give `cluster-secret-file` FILE to all of them; or certificates for all of them (`cluster-tls-cert`)"
    )]
    JoinWithoutSecret,
    /// A service of Kubernetes that cannot be one.
    #[error("option `join`: `{value}`: {source}; kubernetes+SERVICE[.NAMESPACE][:PORT] is wanted")]
    JoinKubernetes { value: String, source: ServiceError },
    /// A size of the cluster, and nobody who could be in it.
    #[error(
        "`join-at-least` says how many nodes the cluster has, and needs `join`, which says where they are: without it an empty \
         directory becomes a cluster of one"
    )]
    AtLeastWithoutJoin,
    /// The secret of the cluster cannot be used.
    #[error("the cluster's secret in {}: {reason}", path.display())]
    Secret { path: PathBuf, reason: String },
    /// A port has not all the files that TLS needs.
    #[error("option `{given}` is given and `{missing}` is not; {}", wanted(given))]
    HalfOfTls { given: &'static str, missing: &'static str },
    /// The file cannot be read.
    #[error("cannot read the configuration file {}: {source}", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    /// The file is not a configuration file.
    #[error("configuration file {}: {reason}", path.display())]
    Malformed { path: PathBuf, reason: String },
    /// One line of the file is wrong.
    #[error("configuration file {}, line {line}: {source}", path.display())]
    AtLine { path: PathBuf, line: usize, source: Box<ConfigError> },
}

fn hint(option: &str) -> &'static str {
    if option.starts_with("tls-") { ": ciphers and curves are those that TLS 1.2 and 1.3 count as safe" } else { "" }
}

/// What a port needs, of which one option was given.
fn wanted(option: &str) -> &'static str {
    match option.split('-').next() {
        Some("cluster") => {
            "TLS on the cluster port needs `cluster-tls-cert`, `cluster-tls-key` and `cluster-tls-ca`, for nodes know each \
             other by their certificates"
        }
        Some("driver") => "TLS on the driver port needs `driver-tls-cert` and `driver-tls-key`",
        _ => "TLS on the HTTP port needs `http-tls-cert` and `http-tls-key`",
    }
}
