//! Compiles the `.proto` files, without `protoc`. Only messages and stubs: who connects and listens is the programs' affair.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=photondb");
    let files = protox::compile(["photondb/v1/control.proto", "photondb/v1/raft.proto"], ["."])?;
    // What carries documents is not copied on its way.
    tonic_prost_build::configure()
        .bytes(".photondb.v1.RaftEntry")
        .bytes(".photondb.v1.RaftSnapshot")
        .bytes(".photondb.v1.RaftPiece")
        .build_transport(false)
        .compile_fds(files)?;
    Ok(())
}
