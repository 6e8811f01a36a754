//! The real outside: operating system and tokio.

mod clock;
mod network;
mod random;

pub use clock::SystemClock;
pub use network::SystemNet;
pub use random::SystemRandom;
