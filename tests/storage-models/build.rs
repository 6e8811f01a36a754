//! Lets storage's sources take their locks from the model checker.

fn main() {
    println!("cargo:rustc-cfg=shuttle");
    println!("cargo:rerun-if-changed=build.rs");
}
