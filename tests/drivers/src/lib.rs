//! The official drivers, installed from their registries below the build folder, as a user would have them.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The versions that the tours were written for.
const PYTHON_DRIVER: &str = "rethinkdb==2.4.10.post1";
const JAVASCRIPT_DRIVER: &str = "rethinkdb@2.4.2";

/// The Python interpreter that has the driver.
pub fn python() -> PathBuf {
    let folder = installed_below("python");
    let python = folder.join("bin/python");
    if !folder.join("installed").exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder));
        run(Command::new(&python).args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            PYTHON_DRIVER,
        ]));
        done(&folder);
    }
    python
}

/// The folder whose `node_modules` has the driver.
pub fn javascript() -> PathBuf {
    let folder = installed_below("javascript");
    if !folder.join("installed").exists() {
        std::fs::create_dir_all(&folder).expect("the build folder can be written");
        run(Command::new("npm")
            .args(["install", "--no-save", "--no-audit", "--no-fund", JAVASCRIPT_DRIVER])
            .current_dir(&folder));
        done(&folder);
    }
    folder
}

/// Runs a command; panics with everything it printed when it fails.
pub fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let printed = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{printed}", output.status);
    printed
}

fn installed_below(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a running test knows its file");
    let profile = test.parent().and_then(Path::parent).expect("tests are built into target/<profile>/deps");
    profile.join("drivers").join(name)
}

fn done(folder: &Path) {
    std::fs::write(folder.join("installed"), "").expect("the build folder can be written");
}
