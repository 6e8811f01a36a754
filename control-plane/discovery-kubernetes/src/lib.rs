//! Other nodes by the Kubernetes API: the pods behind a headless service.
//!
//! A [`Search`] lists the EndpointSlices of a service and gives an address for each pod, ready or not. It asks once; whoever
//! wants to know more asks again. What it promises stands in `README.md`.

mod account;
mod api;
mod error;
pub mod limits;
mod pods;
mod search;
mod server;
mod service;

pub use account::{ACCOUNT_FOLDER, ServiceAccount};
pub use error::SearchError;
pub use search::{Search, Spoken};
pub use server::{ApiServer, NotInAPod};
pub use service::{HeadlessService, ServiceError};
