//! Why a node does not start.

use std::io;
use std::path::PathBuf;

use photondb_discovery_kubernetes::NotInAPod;
use photondb_storage::StorageError;

use crate::client::listener::BindError;
use crate::config::Config;
use crate::fetch::CertificatesError;
use crate::tls::TlsError;

/// A start that failed. Nothing of the node runs any more.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A port is not to be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A port cannot speak TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Nodes are to be found in a way that is not there.
    #[error(transparent)]
    Discovery(#[from] NotInAPod),
    /// The directory cannot be made or opened.
    #[error("cannot open the data directory {}: {source}", directory.display())]
    Directory { directory: PathBuf, source: io::Error },
    /// Another process has the directory.
    #[error("the data directory {} is in use by another process; stop that one or choose another with --directory", .0.display())]
    Locked(PathBuf),
    /// What is in the directory cannot be used.
    #[error("cannot open the data directory {}: {source}", directory.display())]
    Storage { directory: PathBuf, source: StorageError },
    /// The system gives no more threads.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
    /// The node has the only replica of something, and its log is damaged. To go on without what is lost is a decision of
    /// people.
    #[error(
        "acknowledged writes may be lost, and this node has the only replica:\n{losses}Keep a copy of the data directory as it \
         is. If there is no better one, `photondb check {} --accept-loss` gives up what is lost and says what that is; then \
         the node starts with the rest",
        directory.display()
    )]
    Loss { directory: PathBuf, losses: String },
    /// The cluster's own state does not come up.
    #[error("the cluster state is not available: {0}")]
    Cluster(String),
    /// `http` cannot speak TLS.
    #[error(transparent)]
    Certificates(#[from] CertificatesError),
}

impl StartError {
    /// `lost`: by what it concerns, why it is in doubt.
    pub(super) fn loss(directory: &Option<PathBuf>, lost: Vec<(String, String)>) -> StartError {
        let losses = lost.into_iter().map(|(what, why)| format!("    {what}: {why}\n")).collect();
        StartError::Loss { directory: directory.clone().unwrap_or_else(|| PathBuf::from("DIR")), losses }
    }

    pub(super) fn storage(config: &Config, source: StorageError) -> StartError {
        let directory = config.directory.clone().unwrap_or_else(|| PathBuf::from("(memory)"));
        match source {
            StorageError::Locked { .. } => StartError::Locked(directory),
            source => StartError::Storage { directory, source },
        }
    }
}
