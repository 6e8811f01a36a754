//! The project's own rules, as ordinary tests; they stand in `tests/`. Here is what they read the tree with.

use std::fs;
use std::path::{Path, PathBuf};

/// The top of the tree.
pub fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().expect("the crate stands two folders below the top")
}

/// Every file below `folder` whose name ends with `suffix`, sorted; build products and dot folders are left out.
pub fn files(folder: &Path, suffix: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the tree can be read") {
            let path = entry.expect("an entry of it can be read").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                if !name.starts_with('.') && name != "target" && name != "node_modules" {
                    folders.push(path);
                }
            } else if name.ends_with(suffix) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// A file's text.
pub fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{} cannot be read: {error}", path.display()))
}

/// A path as it is named from the top of the tree.
pub fn from_root(path: &Path) -> String {
    path.strip_prefix(root()).expect("a path of the tree").to_string_lossy().into_owned()
}

/// A source file without its test module and comments: what the product is made of.
///
/// A test module with a body ends the product, as it stands last in its file; one that is only declared (`mod tests;`, whose
/// file is a [`is_test_module`]) is followed by more of it.
pub fn product_code(text: &str) -> String {
    let mut code = Vec::new();
    let mut lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    while let Some(line) = lines.next() {
        if line.trim() != "#[cfg(test)]" && !line.trim().starts_with("#[cfg(all(test,") {
            code.push(line);
        } else if !lines.next().is_some_and(|item| item.trim_end().ends_with(';')) {
            break;
        }
    }
    code.join("\n")
}

/// Whether a file is a module that the file above it declares for tests only, whatever its name.
pub fn is_test_module(path: &Path) -> bool {
    let (Some(name), Some(folder)) = (path.file_stem(), path.parent()) else { return false };
    let declared = format!("mod {};", name.to_string_lossy());
    let above = [folder.with_extension("rs"), folder.join("lib.rs"), folder.join("main.rs")];
    above.iter().filter(|above| above.is_file()).any(|above| {
        let text = read(above);
        let lines: Vec<&str> = text.lines().collect();
        lines.windows(2).any(|pair| pair[0].trim() == "#[cfg(test)]" && pair[1].trim_end().ends_with(&declared))
    })
}
