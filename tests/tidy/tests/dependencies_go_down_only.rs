//! The edges between crates are those of `docs/architecture.md`, and certain names are known to certain crates alone.

use std::collections::BTreeMap;
use std::path::Path;

use photondb_test_tidy::{files, from_root, is_test_module, product_code, read, root};

/// Each crate and the workspace crates that it may import.
fn edges() -> BTreeMap<&'static str, Vec<&'static str>> {
    let all_below_server = "storage proto node/reql node/runtime node/javascript node/query node/shard node/consensus node/replica control-plane/cluster-state control-plane/controller control-plane/discovery-kubernetes";
    let map = [
        ("storage", ""),
        ("proto", ""),
        ("node/reql", ""),
        ("node/runtime", ""),
        ("node/javascript", "node/reql"),
        ("node/query", "node/reql node/runtime proto"),
        ("node/shard", "node/reql storage proto"),
        ("node/consensus", "storage proto node/runtime"),
        ("control-plane/cluster-state", "proto"),
        (
            "node/replica",
            "node/shard node/consensus node/query control-plane/cluster-state control-plane/controller node/runtime storage proto node/reql",
        ),
        ("control-plane/controller", "control-plane/cluster-state node/consensus storage proto node/runtime"),
        ("control-plane/discovery-kubernetes", ""),
        ("node/server", all_below_server),
        ("control-plane/photonctl", "proto control-plane/cluster-state node/reql"),
    ];
    map.into_iter().map(|(name, may)| (name, may.split_whitespace().collect())).collect()
}

fn package(folder: &str) -> String {
    match folder {
        "node/server" => "photondb".to_owned(),
        "control-plane/photonctl" => "photonctl".to_owned(),
        other => format!("photondb-{}", other.rsplit('/').next().unwrap_or(other)),
    }
}

fn dependencies(folder: &str) -> Vec<String> {
    let manifest = read(&root().join(folder).join("Cargo.toml"));
    let from = manifest.find("[dependencies]").expect("a crate lists its dependencies");
    let section = &manifest[from + "[dependencies]".len()..];
    let section = section.split("\n[").next().unwrap_or_default();
    let names = section.lines().filter_map(|line| line.split(['.', ' ', '=']).next());
    names.map(str::to_owned).filter(|name| name.starts_with("photon")).collect()
}

#[test]
fn a_crate_imports_only_what_the_map_allows() {
    for (folder, may) in edges() {
        let may: Vec<String> = may.into_iter().map(package).collect();
        for found in dependencies(folder) {
            assert!(
                may.contains(&found),
                "{folder} must not import {found}; if it should, change docs/architecture.md and this map together"
            );
        }
    }
}

#[test]
fn every_crate_of_the_product_is_on_the_map() {
    let known = edges();
    for manifest in files(&root(), "Cargo.toml") {
        let folder = from_root(manifest.parent().expect("a manifest stands in a folder"));
        let outside = folder.is_empty()
            || folder.starts_with("tests/")
            || folder.starts_with("simulation")
            || folder.ends_with("fuzz");
        assert!(outside || known.contains_key(folder.as_str()), "{folder} is not on the map");
    }
}

fn names(folder: &str, word: &str, except: &[&str]) -> Vec<String> {
    let sources = root().join(folder).join("src");
    // A module of tests in a file of its own is no more product than one at the end of a file.
    let product = files(Path::new(&sources), ".rs").into_iter().filter(|path| !is_test_module(path));
    let lines = product.flat_map(|path| {
        let name = from_root(&path);
        let code = product_code(&read(&path));
        code.lines()
            .filter(|line| line.contains(word))
            .map(|line| format!("{name}: {}", line.trim()))
            .collect::<Vec<_>>()
    });
    lines.filter(|line| !except.iter().any(|allowed| line.starts_with(allowed))).collect()
}

fn all_but(excepted: &[&str]) -> Vec<&'static str> {
    edges().into_keys().filter(|folder| !excepted.contains(folder)).collect()
}

#[test]
fn only_consensus_names_openraft() {
    for folder in all_but(&["node/consensus"]) {
        assert_eq!(names(folder, "openraft::", &[]), Vec::<String>::new());
        assert!(!read(&root().join(folder).join("Cargo.toml")).contains("openraft"), "{folder} depends on openraft");
    }
}

#[test]
fn only_javascript_names_its_engine() {
    for folder in all_but(&["node/javascript"]) {
        assert_eq!(names(folder, "rquickjs::", &[]), Vec::<String>::new());
        assert!(!read(&root().join(folder).join("Cargo.toml")).contains("rquickjs"), "{folder} depends on rquickjs");
    }
}

#[test]
fn only_its_discovery_names_kubernetes() {
    for folder in all_but(&["control-plane/discovery-kubernetes"]) {
        for word in ["kube::", "k8s_openapi::"] {
            assert_eq!(names(folder, word, &[]), Vec::<String>::new());
        }
        let manifest = read(&root().join(folder).join("Cargo.toml"));
        let depends = manifest.lines().any(|line| line.starts_with("kube") || line.starts_with("k8s-openapi"));
        assert!(!depends, "{folder} depends on what only control-plane/discovery-kubernetes should wait for");
    }
}

#[test]
fn only_stubs_and_programs_name_tonic() {
    for folder in all_but(&["proto", "node/server", "control-plane/photonctl"]) {
        assert_eq!(names(folder, "tonic::", &[]), Vec::<String>::new());
        assert!(!read(&root().join(folder).join("Cargo.toml")).contains("tonic"), "{folder} depends on tonic");
    }
    // Generated code alone: whoever imports the messages must not get a transport with them.
    let manifest = read(&root().join("proto/Cargo.toml"));
    for feature in ["transport", "channel", "server"] {
        assert!(!manifest.contains(&format!("\"{feature}\"")), "proto asks tonic for `{feature}`");
    }
    assert_eq!(names("proto", "tonic::transport", &[]), Vec::<String>::new());
    let beyond_rpc = names("node/server", "tonic::", &["node/server/src/rpc", "node/server/src/peers"]);
    assert_eq!(beyond_rpc, Vec::<String>::new(), "in the server only rpc and peers name tonic");
}

#[test]
fn below_the_server_only_the_disk_names_the_file_system() {
    for folder in all_but(&["node/server", "control-plane/photonctl"]) {
        // The account of a pod is mounted, and changes while the pod runs.
        let except = ["storage/src/disk/", "control-plane/discovery-kubernetes/src/account.rs"];
        assert_eq!(names(folder, "std::fs", &except), Vec::<String>::new());
    }
}

#[test]
fn only_runtime_and_the_programs_read_clocks_and_open_sockets() {
    for folder in all_but(&["node/server", "control-plane/photonctl", "node/runtime"]) {
        for word in [
            "Instant::now",
            "SystemTime::now",
            "std::net::",
            "tokio::net",
            "std::thread::spawn",
            "thread_rng",
            "rand::rng(",
        ] {
            // openraft asks its runtime for time and randomness; its adapter gives it the node's.
            let except = ["node/consensus/src/runtime"];
            assert_eq!(names(folder, word, &except), Vec::<String>::new(), "{word} in {folder}");
        }
    }
}

#[test]
fn only_the_programs_use_errors_without_a_type() {
    for folder in all_but(&["node/server", "control-plane/photonctl"]) {
        assert!(!read(&root().join(folder).join("Cargo.toml")).contains("anyhow"), "{folder} uses anyhow");
    }
}

#[test]
fn storage_takes_its_locks_where_a_model_checker_can_take_their_place() {
    for word in ["parking_lot", "std::sync::atomic", "std::sync::Mutex", "std::sync::RwLock", "std::sync::mpsc"] {
        // A fault point is no part of what a model explores, and its switch is a static, which the models' types cannot be.
        let except = ["storage/src/sync", "storage/src/fault.rs"];
        assert_eq!(names("storage", word, &except), Vec::<String>::new(), "see storage/src/sync.rs");
    }
}

#[test]
fn the_models_of_storage_depend_on_what_storage_does() {
    let names = |folder: &str| {
        let manifest = read(&root().join(folder).join("Cargo.toml"));
        let section = manifest.split("\n[dependencies]\n").nth(1).expect("a crate lists its dependencies").to_owned();
        let lines = section.split("\n\n").next().unwrap_or_default().lines();
        // What only a feature asks for is not compiled into the models.
        lines
            .filter(|line| !line.contains("optional = true"))
            .map(str::to_owned)
            .collect::<std::collections::BTreeSet<_>>()
    };
    let missing: Vec<_> = names("storage").difference(&names("tests/storage-models")).cloned().collect();
    assert_eq!(missing, Vec::<String>::new(), "tests/storage-models compiles storage's sources: add these there");
}
