//! The engine beside the engines people would otherwise choose: the same work, the same machine, the same run.
//!
//! `passes.rs` is the work of the peers' own benchmark program (its `engine` command), line by line: the same keys,
//! values, groups, seeds and checks, and the same names of figures. `extras.rs` measures what only this engine is asked
//! for. `table.rs` runs everything in turn and prints one table with the goals. How to run it stands in
//! `docs/testing.md`.

mod peers {
    pub mod arguments;
    pub mod churn;
    pub mod crash;
    pub mod data;
    pub mod extras;
    pub mod goals;
    pub mod measure;
    pub mod passes;
    pub mod readers;
    pub mod store;
    pub mod table;
}

use peers::arguments::{Arguments, Mode};
use peers::{crash, extras, passes, table};

/// The product's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(reason) => {
            eprintln!("{reason}");
            std::process::exit(2);
        }
    };
    match arguments.mode {
        Mode::Table => table::run(&arguments),
        Mode::Engine => println!("{}", passes::engine(&arguments)),
        Mode::Extras => println!("{}", extras::run(&arguments)),
        Mode::Churn => crash::churn(&arguments),
        Mode::Reopen => println!("{}", crash::reopen(&arguments)),
    }
}
