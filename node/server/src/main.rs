//! `photondb`: arguments to command.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    photondb_storage::allocator::return_memory_soon();
    let matches = photondb::command::command_line().get_matches();
    match photondb::command::run(&matches).map_err(anyhow::Error::from_boxed) {
        Ok(code) => code,
        Err(error) => {
            // Each error names its cause in its own sentence.
            eprintln!("photondb: {error}");
            ExitCode::FAILURE
        }
    }
}
