//! Compiles the `.proto` files, without `protoc`. Only messages and stubs: who connects and listens is the programs' affair.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=photondb");
    let files =
        ["cluster", "control", "peers", "raft", "report", "shard"].map(|name| format!("photondb/v1/{name}.proto"));
    let files = protox::compile(files, ["."])?;
    // What carries documents is not copied on its way.
    tonic_prost_build::configure()
        .build_transport(false)
        .bytes(".photondb.v1.CarryRequest")
        .bytes(".photondb.v1.CarryResponse")
        .bytes(".photondb.v1.ExchangeMessage")
        .bytes(".photondb.v1.ControlCall")
        .bytes(".photondb.v1.ControlAnswer")
        .bytes(".photondb.v1.Outcome")
        .bytes(".photondb.v1.RaftEntry")
        .bytes(".photondb.v1.RaftSnapshot")
        .bytes(".photondb.v1.RaftPiece")
        .bytes(".photondb.v1.shard")
        // Much larger than what else an answer may be.
        .boxed(".photondb.v1.report.Answer.told.activity")
        .boxed(".photondb.v1.shard.Answer.told.scanned")
        .compile_fds(files)?;
    Ok(())
}
