//! Writes the plain manifests of `k8s/` anew.

use std::fs;
use std::process::ExitCode;

use photondb_test_helm::{folder, plain, written};

fn main() -> ExitCode {
    let files = match plain() {
        Ok(files) => files,
        Err(said) => {
            eprintln!("the chart cannot be rendered: {said}");
            return ExitCode::FAILURE;
        }
    };
    for name in written().keys().filter(|name| !files.contains_key(*name)) {
        fs::remove_file(folder().join(name)).expect("the folder can be written");
    }
    for (name, text) in &files {
        fs::write(folder().join(name), text).expect("the folder can be written");
        println!("{}", folder().join(name).display());
    }
    ExitCode::SUCCESS
}
