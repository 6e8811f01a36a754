//! How pages are written, between queries and the cluster state.

use photondb_cluster_state::Compression as Stored;
use photondb_query::catalog::Compression;

/// As queries see it.
pub(crate) fn shown_compression(compression: Stored) -> Compression {
    match compression {
        Stored::None => Compression::None,
        Stored::Lz4 => Compression::Lz4,
        Stored::Zstd => Compression::Zstd,
    }
}

/// As the cluster state has it.
pub(crate) fn stored_compression(compression: Compression) -> Stored {
    match compression {
        Compression::None => Stored::None,
        Compression::Lz4 => Stored::Lz4,
        Compression::Zstd => Stored::Zstd,
    }
}
