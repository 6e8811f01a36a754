//! The node as a library: what the program `photondb` is made of, for tests and for the simulator.

pub mod catalog;
pub mod client;
pub mod command;
pub mod config;
mod discovery;
pub mod fetch;
pub mod http;
pub mod limits;
pub mod node;
pub mod outside;
mod peers;
mod report;
mod rpc;
pub mod scripts;
pub mod services;
mod tables;
pub mod telemetry;
mod tls;
