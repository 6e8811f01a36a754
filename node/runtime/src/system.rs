//! The real outside: operating system and tokio.

mod clock;
mod network;
mod random;
mod threads;

pub use clock::SystemClock;
pub use network::SystemNet;
pub use random::SystemRandom;
pub use threads::SystemThreads;
