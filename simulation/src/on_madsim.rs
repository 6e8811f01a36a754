//! This program once more, built on madsim: the same sources, with tokio exchanged for a crate of the same face whose tasks and
//! time are madsim's (`simulation/madsim`).
//!
//! Which tokio a crate of the workspace uses is said once, in the manifest at the top of the tree. So the build has a tree of
//! its own below the target folder: that manifest with this line exchanged, the lock file, and links to the folders.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use parking_lot::Mutex;

/// What the crates of the workspace use in place of tokio.
const STAND_IN: &str = r#"tokio = { path = "simulation/madsim", package = "photondb-tokio-on-madsim" }"#;

/// What the manifest of the workspace names.
const FOLDERS: [&str; 6] = ["control-plane", "node", "proto", "simulation", "storage", "tests"];

/// Builds it, optimised, beside the build that `program` is part of, and says where it is. Errors: it cannot be built.
pub fn build(program: &Path) -> anyhow::Result<PathBuf> {
    let target = cargo(program, &["build", "-p", "photondb-simulation", "--bin", "simulation"])?;
    Ok(target.join("release/simulation"))
}

/// Runs the tests of what stands in tokio's place. Errors: one fails, or they cannot be built.
pub fn test_stand_in(program: &Path) -> anyhow::Result<()> {
    cargo(program, &["test", "-p", "photondb-tokio-on-madsim"]).map(drop)
}

/// Has cargo do this in the tree beside the build that `program` is part of. Gives the folder of what it builds.
fn cargo(program: &Path, command: &[&str]) -> anyhow::Result<PathBuf> {
    let target = program.parent().and_then(Path::parent).context("a program lies in a folder of a target folder")?;
    let (tree, target) = (target.join("madsim/tree"), target.join("madsim/build"));
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the simulation has a workspace")?;
    plant(top, &tree).with_context(|| format!("the tree of the build, {}", tree.display()))?;
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(command).arg("--release");
    cargo.current_dir(&tree).env("CARGO_TARGET_DIR", &target).env("CARGO_INCREMENTAL", "0");
    cargo.env("RUSTFLAGS", "--cfg madsim --cfg tokio_unstable").env_remove("CARGO_ENCODED_RUSTFLAGS");
    // Optimising all crates as one takes longer than the runs save.
    cargo.env("CARGO_PROFILE_RELEASE_LTO", "off");
    ensure!(cargo.status().context("cargo")?.success(), "on madsim this fails, see above: cargo {}", command.join(" "));
    Ok(target)
}

fn plant(top: &Path, tree: &Path) -> anyhow::Result<()> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _mine = ONE_AT_A_TIME.lock();
    fs::create_dir_all(tree)?;
    for folder in FOLDERS {
        let (link, folder) = (tree.join(folder), top.join(folder));
        match symlink(&folder, &link) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                ensure!(fs::read_link(&link)? == folder, "{} leads to another tree: remove it", link.display());
            }
            linked => linked?,
        }
    }
    put(&tree.join("Cargo.toml"), &exchange(&fs::read_to_string(top.join("Cargo.toml"))?)?)?;
    put(&tree.join("Cargo.lock"), &fs::read_to_string(top.join("Cargo.lock"))?)
}

/// The manifest of the workspace with the other tokio.
fn exchange(manifest: &str) -> anyhow::Result<String> {
    let is_tokio = |line: &&str| line.starts_with("tokio = ");
    ensure!(manifest.lines().filter(is_tokio).count() == 1, "the workspace's manifest says once what tokio is");
    let lines = manifest.lines().map(|line| if is_tokio(&line) { STAND_IN } else { line });
    Ok(lines.flat_map(|line| [line, "\n"]).collect())
}

/// What is the same stays untouched. Another process may build at the same time, and reads the old text or the new one.
fn put(file: &Path, text: &str) -> anyhow::Result<()> {
    if fs::read_to_string(file).is_ok_and(|there| there == text) {
        return Ok(());
    }
    let aside = file.with_extension(format!("{}.new", std::process::id()));
    fs::write(&aside, text)?;
    Ok(fs::rename(aside, file)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_of_the_workspace_says_once_which_tokio_there_is() {
        let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml")).unwrap();
        let exchanged = exchange(&manifest).unwrap();
        assert_eq!(exchanged.lines().count(), manifest.lines().count());
        assert!(exchanged.contains(STAND_IN) && exchanged.contains("\nturmoil = "));
        assert!(exchange("tokio = 1\ntokio = 2\n").is_err());
    }
}
