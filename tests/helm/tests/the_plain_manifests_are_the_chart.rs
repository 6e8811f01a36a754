//! `k8s/` has what the chart renders, and nothing else.

#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

use photondb_test_helm::{KUBERNETES_VERSIONS, plain, validate, written};

#[test]
fn each_file_is_as_it_would_be_made() {
    let (made, written) = (plain().unwrap(), written());
    let names = |files: &std::collections::BTreeMap<String, String>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&made), names(&written), "run `cargo run -p photondb-test-helm`");
    for (name, text) in made {
        assert_eq!(written[&name], text, "{name}: run `cargo run -p photondb-test-helm`");
    }
}

#[test]
fn kubernetes_takes_them_and_helm_is_not_in_them() {
    let manifests = written().into_iter().filter(|(name, _)| name != "kustomization.yaml").map(|(_, text)| text);
    let all = manifests.collect::<Vec<_>>().join("---\n");
    for version in KUBERNETES_VERSIONS {
        validate(&all, version).unwrap_or_else(|said| panic!("Kubernetes {version}: {said}"));
    }
    assert!(!all.contains("helm.sh/") && !all.contains("managed-by"), "{all}");
}
