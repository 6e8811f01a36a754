//! tokio as the product uses it, with tasks and time on madsim: whichever task is ready may run next.
//!
//! Channels, locks, `select!` and the traits of I/O are tokio's own; they need no runtime. Sockets and signals are tokio's as
//! well: nobody opens one in a simulation. `madsim-tokio` has no runtime of one thread, no local set and no named timeout, and
//! its sleeps begin one more timer each time they are asked; so this stands in its place.

#![cfg(madsim)]

pub mod runtime;
pub mod task;
pub mod time;

#[cfg(test)]
mod tests;

pub use real::{io, join, net, pin, select, signal, sync, task_local, try_join};
pub use task::spawn;
