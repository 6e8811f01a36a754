//! Answers recorded from a real RethinkDB, replayed over the wire. The records and their replayer live beside the tree.

use std::path::{Path, PathBuf};

/// The folder with the records and the replayer: `PHOTONDB_CONFORMANCE`, or `../shared/conformance` beside the tree.
pub fn records() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance");
    let folder = std::env::var_os("PHOTONDB_CONFORMANCE").map_or(beside, PathBuf::from);
    folder.join("replay.py").exists().then_some(folder)
}
