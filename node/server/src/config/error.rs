//! What can be wrong with a configuration.

use std::path::PathBuf;

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
         each, and give `cluster-secret-file` FILE to all of them"
    )]
    JoinWithoutSecret,
    /// The secret of the cluster cannot be used.
    #[error("the cluster's secret in {}: {reason}", path.display())]
    Secret { path: PathBuf, reason: String },
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
    if option.contains("tls") {
        ": put a TLS proxy in front of the port, or bind it to a trusted network only"
    } else {
        ""
    }
}
