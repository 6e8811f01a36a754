//! The outside as a few small seams: fibers, clock, randomness, tasks and threads, and the network.
//!
//! Everything above takes time, randomness and byte streams from here, so that a simulator can replace them. The real
//! implementations live in [`system`]. Threads: sessions run on [`task::Executor`]s, each one thread with a tokio runtime
//! and a local task set; a query is a [`fiber::Fiber`] on one of them and never changes threads; work that moves in
//! steps of its own (the log writer, checkpoints) runs on a [`task::StepThread`].

pub mod clock;
pub mod fiber;
pub mod limits;
pub mod network;
pub mod peers;
pub mod random;
pub mod system;
pub mod task;
