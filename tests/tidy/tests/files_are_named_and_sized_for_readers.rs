//! A few rules of style that a machine can watch.

use photondb_test_tidy::{files, from_root, product_code, read, root};

/// Past this a file asks for a folder of its own name.
const LINES_MAX: usize = 1000;

#[test]
fn no_file_has_a_name_that_says_nothing() {
    for path in files(&root(), ".rs") {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let says_nothing = ["mod", "util", "utils", "helper", "helpers", "common", "misc", "manager"];
        assert!(!says_nothing.contains(&name.as_str()), "{} needs a name that says what it is", from_root(&path));
    }
}

#[test]
fn no_file_grew_past_what_one_reads_at_once() {
    for path in files(&root(), ".rs") {
        let lines = read(&path).lines().count();
        assert!(lines <= LINES_MAX, "{} has {lines} lines", from_root(&path));
    }
}

#[test]
fn nothing_is_left_to_do_or_ignored() {
    for path in files(&root(), ".rs") {
        let code = product_code(&read(&path));
        for word in [concat!("todo", "!("), concat!("unimplemented", "!("), concat!("#[ig", "nore")] {
            assert!(!code.contains(word), "{} contains {word}", from_root(&path));
        }
    }
}

#[test]
fn every_source_file_opens_with_what_it_is() {
    for path in files(&root(), ".rs") {
        let name = from_root(&path);
        if name.ends_with("build.rs") || name.contains("/fuzz_targets/") {
            continue;
        }
        let text = read(&path);
        assert!(text.starts_with("//!") || text.trim().is_empty(), "{name} has no module documentation");
    }
}

/// Beside storage: the file that finds the running fiber (docs/decisions/0001), and the simulator's own `clock_gettime`.
const UNSAFE_FILES: [&str; 2] = ["node/runtime/src/fiber/current.rs", "simulation/src/library_clock.rs"];

/// What opens unsafe code. Spelled so that this file has none.
const UNSAFE: [&str; 5] = [
    concat!("unsafe", " {"),
    concat!("unsafe", " fn"),
    concat!("unsafe", " impl"),
    concat!("unsafe", " trait"),
    concat!("unsafe", " extern"),
];

#[test]
fn what_is_unsafe_is_where_it_may_be_and_argues() {
    for path in files(&root(), ".rs") {
        let name = from_root(&path);
        let may = name.starts_with("storage/src/") || UNSAFE_FILES.contains(&name.as_str());
        let text = read(&path);
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for (at, line) in lines.iter().enumerate() {
            if line.starts_with("//") || !UNSAFE.iter().any(|word| line.contains(word)) {
                continue;
            }
            let place = format!("{name}:{}", at + 1);
            assert!(may, "{place} has unsafe code");
            let mut comment = lines[..at].iter().rev().take_while(|line| line.starts_with("//"));
            let argues = comment.any(|line| line.starts_with("// SAFETY:"));
            assert!(argues, "{place}: unsafe code has its argument, `// SAFETY:`, in the lines above it");
        }
    }
}

#[test]
fn the_lint_against_it_is_lifted_in_no_other_file() {
    for path in files(&root(), ".rs") {
        let name = from_root(&path);
        let lifted = read(&path).contains(concat!("unsafe", "_code"));
        assert!(
            !lifted || name.starts_with("storage/src/") || UNSAFE_FILES.contains(&name.as_str()),
            "{name} allows unsafe code"
        );
    }
}
