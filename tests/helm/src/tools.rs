//! Programs from the Go module proxy.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use photondb_test_drivers::{go_command, installed_below, run};

const HELM: &str = "helm.sh/helm/v4/cmd/helm@v4.3.1";
const KUBECONFORM: &str = "github.com/yannh/kubeconform/cmd/kubeconform@v0.8.0";

/// Tests run side by side; one of them installs.
static INSTALLING: Mutex<()> = Mutex::new(());

/// Renders charts. Some minutes to build at the first call.
pub(crate) fn helm() -> PathBuf {
    program("helm", HELM)
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
