//! The schemas of Kubernetes and of the Prometheus operator, and whether manifests are as they say.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use photondb_test_drivers::{go_command, installed_below, run};
use serde_json::{Value, json};

use crate::tools::{install, kubeconform};

/// The oldest version that the chart is for, and the newest of which there are schemas.
pub const KUBERNETES_VERSIONS: [&str; 2] = ["1.27.0", "1.37.0"];

/// A package of Python that ships them, made from Kubernetes's own description of its interface.
const KUBERNETES: &str = "kubernetes-validate==1.37.0";

/// Definitions of what operators add to Kubernetes: a module of Go, the file in it, and the kind that it defines.
const DEFINITIONS: [(&str, &str, &str); 1] = [(
    "github.com/prometheus-operator/prometheus-operator@v0.93.0",
    "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml",
    "servicemonitor-monitoring-v1.json",
)];

/// Whether every manifest has only fields that Kubernetes of this version knows, each with a value that it takes.
///
/// Errors: what the checker says of those that have not.
pub fn validate(manifests: &str, version: &str) -> Result<(), String> {
    let schemas = schemas();
    let location = |folder: String| format!("{folder}/{{{{ .ResourceKind }}}}{{{{ .KindSuffix }}}}.json");
    let kubernetes = schemas.join(format!("kubernetes_validate/kubernetes-json-schema/v{version}-local-strict"));
    assert!(kubernetes.is_dir(), "there are no schemas of Kubernetes {version}");
    let mut checking = Command::new(kubeconform())
        .args(["-strict", "-summary", "-schema-location", &location(kubernetes.display().to_string())])
        .args(["-schema-location", &location(schemas.join("operators").display().to_string())])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the checker starts");
    let mut input = checking.stdin.take().expect("its input is a pipe");
    input.write_all(manifests.as_bytes()).expect("it reads");
    drop(input);
    let output = checking.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    if output.status.success() && !said.contains("Valid: 0,") { Ok(()) } else { Err(said) }
}

fn schemas() -> PathBuf {
    let folder = installed_below("kubernetes-schemas");
    install(&folder, &format!("{KUBERNETES} {KUBERNETES_VERSIONS:?} {DEFINITIONS:?}"), || {
        install_kubernetes(&folder);
        install_definitions(&folder);
    });
    folder
}

fn install_kubernetes(folder: &Path) {
    let environment = folder.join("environment");
    run(Command::new("python3").args(["-m", "venv"]).arg(&environment));
    run(Command::new(environment.join("bin/python"))
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--target"])
        .arg(folder)
        .arg(KUBERNETES));
    fs::remove_dir_all(environment).expect("the build folder can be written");
    for version in KUBERNETES_VERSIONS {
        let schemas = folder.join(format!("kubernetes_validate/kubernetes-json-schema/v{version}-local-strict"));
        for entry in fs::read_dir(schemas).expect("the package has the schemas of this version") {
            refer_to_neighbours(&entry.expect("an entry can be read").path());
        }
    }
}

/// They name each other, and themselves, by addresses that the package's own checker maps to files.
fn refer_to_neighbours(schema: &Path) {
    let text = fs::read_to_string(schema).expect("a schema can be read");
    let text = text.replace("\"/api/_definitions.json", "\"_definitions.json");
    let text = text.replace("\"$id\": \"https://kubernetes.io", "\"$comment\": \"https://kubernetes.io");
    fs::write(schema, text).expect("the build folder can be written");
}

fn install_definitions(folder: &Path) {
    let (downloads, operators) = (folder.join("go"), folder.join("operators"));
    fs::create_dir_all(&operators).expect("the build folder can be written");
    for (module, file, kind) in DEFINITIONS {
        let said = go_command(&downloads).args(["mod", "download", "-json", module]).output().expect("go starts");
        let said: Value = serde_json::from_slice(&said.stdout).expect("go tells where the module is");
        let found = Path::new(said["Dir"].as_str().unwrap_or_else(|| panic!("{module} cannot be had: {said}")));
        let text = fs::read_to_string(found.join(file)).expect("the module has the definition");
        let definition: Value = serde_saphyr::from_str(&text).expect("the definition is YAML");
        let mut schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone();
        assert!(schema.is_object(), "{file} has no schema");
        close(&mut schema);
        fs::write(operators.join(kind), schema.to_string()).expect("the build folder can be written");
    }
    fs::remove_dir_all(downloads).expect("the build folder can be written");
}

/// Fields that a definition does not name are dropped by the server without a word: here they are mistakes.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            let open =
                map.contains_key("additionalProperties") || map.contains_key("x-kubernetes-preserve-unknown-fields");
            if map.get("properties").is_some_and(Value::is_object) && !open {
                map.insert("additionalProperties".to_owned(), json!(false));
            }
            map.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}
