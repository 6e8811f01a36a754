//! The plain manifests: what the chart renders with a secret of one's own, one file for each kind.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::{chart, read, root};

/// A file cannot make up a secret, so it names one.
pub const PLAIN_VALUES: &str = "auth: {existingSecret: photondb}";

const HEAD: &str = "# What the chart in helm/photondb renders with auth.existingSecret=photondb; do not edit it here, but there, and run\n\
                    # `cargo run -p photondb-test-helm`. How to use it: docs/operations.md, \"On Kubernetes\".\n";

/// What speaks of Helm.
const HELM_LABELS: [&str; 2] = ["helm.sh/chart:", "app.kubernetes.io/managed-by:"];

/// Where they are.
pub fn folder() -> PathBuf {
    root().join("k8s")
}

/// The files by name, made anew.
///
/// Errors: what Helm says.
pub fn plain() -> Result<BTreeMap<String, String>, String> {
    let rendered = chart::render(PLAIN_VALUES)?;
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    for part in rendered.split("---\n").filter(|part| !part.contains("helm.sh/hook")) {
        let Some(kind) = part.lines().find_map(|line| line.strip_prefix("kind: ")) else { continue };
        let file = files.entry(format!("{}.yaml", kind.to_lowercase())).or_insert_with(|| HEAD.to_owned());
        if file != HEAD {
            file.push_str("---\n");
        }
        for line in part.lines().filter(|line| !line.starts_with("# Source:") && !line.is_empty()) {
            if !HELM_LABELS.iter().any(|label| line.trim_start().starts_with(label)) {
                file.push_str(line.trim_end());
                file.push('\n');
            }
        }
    }
    let names: Vec<_> = files.keys().cloned().collect();
    let list: String = names.iter().map(|name| format!("  - {name}\n")).collect();
    let head =
        "# `kubectl apply -k k8s/`\napiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n";
    files.insert("kustomization.yaml".to_owned(), format!("{head}{list}"));
    Ok(files)
}

/// The files by name, as they are.
pub fn written() -> BTreeMap<String, String> {
    let entries = std::fs::read_dir(folder()).expect("the folder can be read");
    let paths = entries.map(|entry| entry.expect("an entry can be read").path());
    let manifests = paths.filter(|path| path.extension().is_some_and(|end| end == "yaml"));
    manifests.map(|path| (path.file_name().unwrap_or_default().to_string_lossy().into_owned(), read(&path))).collect()
}
