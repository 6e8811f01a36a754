//! Why a look did not say where nodes are.

use std::path::PathBuf;
use std::time::Duration;

use crate::limits::{ANSWER_BYTES_MAX, PAGES_MAX, PODS_MAX, RESTARTS_MAX};

/// A look that failed; the next one may not. Each says what failed, why, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// A file of the service account cannot be used.
    #[error(
        "{} cannot be used: {reason}; the pod needs the files of its service account there (a projected volume, as helm/photondb \
         makes it with `discovery: kubernetes`, or `automountServiceAccountToken: true`), or --kubernetes-account says where else",
        path.display()
    )]
    Account { path: PathBuf, reason: String },
    /// There is no way to the server, or it broke.
    #[error(
        "the Kubernetes API at {server} cannot be asked: {reason}; the pod must be able to connect there (network policies), and \
         ca.crt of its service account be of that server"
    )]
    Unreachable { server: String, reason: String },
    /// The server takes too long.
    #[error(
        "the Kubernetes API at {server} does not answer within {after:?}; it is slow, or network policies drop what the pod sends"
    )]
    Silent { server: String, after: Duration },
    /// 401.
    #[error(
        "the Kubernetes API at {server} does not take the token in {} (401: {said}); it is read anew at each look: is the service \
         account still there, and the file of this Kubernetes cluster?",
        token.display()
    )]
    Unauthorized { server: String, token: PathBuf, said: String },
    /// 403.
    #[error(
        "the service account of this pod may not list endpointslices in the namespace {namespace} (403: {said}); bind a Role to it \
         there with the verbs get and list for endpointslices of discovery.k8s.io, as helm/photondb does with `discovery: kubernetes`"
    )]
    Forbidden { namespace: String, said: String },
    /// 404.
    #[error(
        "the server at {server} does not know EndpointSlices (404: {said}); Kubernetes 1.21 or newer is wanted, and nothing but \
         Kubernetes must set KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT"
    )]
    Unknown { server: String, said: String },
    /// Another status.
    #[error("the Kubernetes API at {server} refuses to list endpointslices ({status}: {said}); its own log says more")]
    Refused { server: String, status: u16, said: String },
    /// It is not a list of EndpointSlices.
    #[error(
        "the answer of {server} is no list of EndpointSlices ({reason}); is that a Kubernetes API, and no proxy before it?"
    )]
    Malformed { server: String, reason: String },
    /// There is more of it than any cluster of nodes needs.
    #[error(
        "the Kubernetes API at {server} names too much: more than {PODS_MAX} pods, {PAGES_MAX} pages or {ANSWER_BYTES_MAX} bytes; \
         name the headless service of the nodes, which has nothing else behind it"
    )]
    TooMuch { server: String },
    /// Each page expired before the next one was asked for.
    #[error(
        "the pages of the Kubernetes API at {server} expired {RESTARTS_MAX} times (410) before all were read; it is overloaded"
    )]
    Expired { server: String },
    /// No slice has the service's name.
    #[error(
        "the namespace {namespace} has no service {service}, or nothing stands behind it; the headless service of the nodes is \
         wanted: see `kubectl get endpointslices --namespace {namespace}`"
    )]
    NoService { service: String, namespace: String },
    /// The service has no pods at this moment.
    #[error(
        "the service {service} in the namespace {namespace} has no pods at this moment; if they are there, its selector does not \
         select them, or it lacks publishNotReadyAddresses"
    )]
    NoPods { service: String, namespace: String },
}
