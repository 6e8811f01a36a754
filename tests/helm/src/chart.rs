//! The chart through Helm.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use photondb_test_drivers::installed_below;
use serde_json::Value;

use crate::root;
use crate::tools::helm;

/// The release that is rendered, and its namespace.
const RELEASE: &str = "photondb";
const NAMESPACE: &str = "database";

/// The folder of the chart.
pub fn chart() -> PathBuf {
    root().join("helm/photondb")
}

/// What a release with these values, as YAML, consists of. Errors: what Helm says.
pub fn render(values: &str) -> Result<String, String> {
    outcome(run(&["template", RELEASE, "--namespace", NAMESPACE, "--values", "-"], values))
}

/// What Helm finds odd about the chart with these values.
pub fn lint(values: &str) -> Result<String, String> {
    outcome(run(&["lint", "--strict", "--values", "-"], values))
}

/// Each manifest of a text.
pub fn documents(text: &str) -> Vec<Value> {
    let parts =
        text.split("\n---\n").filter(|part| part.lines().any(|line| !line.is_empty() && !line.starts_with('#')));
    parts.map(|part| serde_saphyr::from_str(part).unwrap_or_else(|error| panic!("{error}\n{part}"))).collect()
}

/// The manifest of this kind whose name begins so.
pub fn object<'a>(documents: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let is_it = |document: &&Value| {
        document["kind"] == kind && document["metadata"]["name"].as_str().is_some_and(|found| found.starts_with(name))
    };
    documents.iter().find(is_it).unwrap_or_else(|| panic!("there is no {kind} {name}"))
}

/// Nothing of the user's settings has a say, nor any cluster.
fn run(arguments: &[&str], input: &str) -> Output {
    let settings = installed_below("helm").join("settings");
    let mut helm = Command::new(helm())
        .args(arguments)
        .arg(chart())
        .env("HELM_CACHE_HOME", &settings)
        .env("HELM_CONFIG_HOME", &settings)
        .env("HELM_DATA_HOME", &settings)
        .env_remove("KUBECONFIG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("Helm starts");
    let mut values = helm.stdin.take().expect("its input is a pipe");
    values.write_all(input.as_bytes()).expect("Helm reads");
    drop(values);
    helm.wait_with_output().expect("Helm ends")
}

fn outcome(output: Output) -> Result<String, String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stdout) + &text(&output.stderr)) }
}
