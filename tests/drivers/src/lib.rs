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
            // Not in a folder above that has `node_modules`.
            .args(["install", "--prefix", ".", "--no-save", "--no-audit", "--no-fund", JAVASCRIPT_DRIVER])
            .current_dir(&folder));
        done(&folder);
    }
    folder
}

/// The program of a tour in Go, whose `go.mod` and `go.sum` name the driver.
pub fn go(tour: &Path) -> PathBuf {
    let folder = installed_below("go");
    let program = folder.join("tour");
    run(go_command(&folder).args(["build", "-buildvcs=false", "-o"]).arg(&program).arg(".").current_dir(tour));
    program
}

/// A go command. Everything that it keeps, its counters included, lies below `folder`; its settings are still the user's.
pub fn go_command(folder: &Path) -> Command {
    let mut command = Command::new("go");
    command.env("GOENV", settings_of_go()).env("XDG_CONFIG_HOME", folder.join("config"));
    command.env("GOPATH", folder.join("path")).env("GOMODCACHE", folder.join("path/pkg/mod"));
    command.env("GOCACHE", folder.join("cache")).env("GOFLAGS", "-modcacherw");
    command.env("GOTOOLCHAIN", "local").env("GOWORK", "off");
    command
}

/// Where the go command finds what a user set with `go env -w`.
fn settings_of_go() -> PathBuf {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let config = variable("XDG_CONFIG_HOME").or_else(|| variable("HOME").map(|home| home.join(".config")));
    variable("GOENV").unwrap_or_else(|| config.unwrap_or_default().join("go/env"))
}

/// The class path of a tour in Java, compiled, whose `pom.xml` names the driver.
pub fn java(tour: &Path) -> String {
    let folder = installed_below("java");
    let (jars, classes) = (folder.join("jars"), folder.join("classes"));
    let (wanted, had) = (tour.join("pom.xml"), folder.join("pom.xml"));
    let read = |path: &Path| std::fs::read(path).ok();
    if read(&wanted) != read(&had) {
        // A jar of another version that stayed would be on the class path too.
        if jars.exists() {
            std::fs::remove_dir_all(&jars).expect("the build folder can be written");
        }
        run(Command::new("mvn")
            .args(["--quiet", "--batch-mode", "dependency:copy-dependencies", "--file"])
            .arg(&wanted)
            .arg(format!("-Dmaven.repo.local={}", folder.join("repository").display()))
            .arg(format!("-DoutputDirectory={}", jars.display())));
        std::fs::copy(&wanted, &had).expect("the build folder can be written");
    }
    let jars = format!("{}/*", jars.display());
    let sources = std::fs::read_dir(tour).expect("the tour stands in a folder");
    let sources = sources.map(|entry| entry.expect("an entry can be read").path());
    run(Command::new("javac")
        .args(["-encoding", "UTF-8", "-cp", &jars, "-d"])
        .arg(&classes)
        .args(sources.filter(|path| path.extension().is_some_and(|end| end == "java"))));
    format!("{}:{jars}", classes.display())
}

/// Runs a command; panics with everything it printed when it fails.
pub fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let printed = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{printed}", output.status);
    printed
}

/// A folder of that name for something that is installed, kept between runs.
pub fn installed_below(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a running test knows its file");
    let profile = test.parent().and_then(Path::parent).expect("tests are built into target/<profile>/deps");
    profile.join("drivers").join(name)
}

fn done(folder: &Path) {
    std::fs::write(folder.join("installed"), "").expect("the build folder can be written");
}
