//! The protocol between a driver and a node, as pure functions and state machines over bytes: no sockets, no clocks.

pub mod credentials;
pub mod frame;
pub mod handshake;
pub mod login;
pub mod query;
pub mod response;
mod scram;

pub use credentials::Credentials;
pub use frame::{Frame, FrameDecoder, FrameError, Token};
pub use handshake::{Accounts, Handshake, Progress, Version};
pub use login::{ClientLogin, LoginError, LoginProgress};
pub use query::QueryType;
pub use response::{Note, Response, ResponseType};
