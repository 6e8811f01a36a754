//! Lets storage's sources take their locks from the model checker.

fn main() {
    println!("cargo:rustc-cfg=shuttle");
    // Asked for by storage's sources; there are no deliberate bugs here.
    println!("cargo:rustc-check-cfg=cfg(feature, values(\"fault-points\"))");
    println!("cargo:rerun-if-changed=build.rs");
}
