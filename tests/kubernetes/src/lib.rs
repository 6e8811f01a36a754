//! A Kubernetes API in process, as far as nodes ask for it: EndpointSlices over TLS, for a service account whose files a test has.
//! [`Api`] answers as a test wants, and remembers what it was asked; [`Slice`] is what it lists.

mod answer;
mod api;
mod request;
mod slice;

pub use api::{Api, Says};
pub use request::Asked;
pub use slice::{Slice, pod};
