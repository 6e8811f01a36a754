//! The ReQL port: connections, logins, queries by token.
//!
//! [`listener`] accepts and deals connections out to worker threads; [`session`] is one connection; [`database`] is all
//! that a session knows of the rest of the node.

pub mod database;
mod inbox;
pub mod listener;
mod output;
pub mod reql;
pub mod running;
pub mod session;
pub mod worker;
