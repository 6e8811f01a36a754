//! The chart in `helm/photondb`, rendered by Helm itself, checked against the schemas of Kubernetes, and written down as the plain
//! manifests of `k8s/`. Helm, the checker and the schemas are installed below the build folder, once for each version.

mod chart;
mod manifests;
mod schemas;
mod tools;

pub use chart::{chart, documents, lint, object, render};
pub use manifests::{PLAIN_VALUES, folder, plain, written};
pub use schemas::{KUBERNETES_VERSIONS, validate};

use std::path::{Path, PathBuf};

/// The top of the tree.
pub fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().expect("the crate stands two folders below the top")
}

/// A file's text.
pub fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{} cannot be read: {error}", path.display()))
}
