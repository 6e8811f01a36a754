//! Who this node is to others, and whether others are who they must be.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use photondb_proto::NodeId;
use photondb_proto::v1;
use photondb_runtime::clock::{Clock, Moment};
use photondb_runtime::peers::{Peer, Service};
use subtle::ConstantTimeEq;
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};
use tonic::{Request, Status};

const FROM: &str = "photondb-from";
const TO: &str = "photondb-to";
const CLUSTER: &str = "photondb-cluster";
const AUTHORIZATION: &str = "authorization";
const SCHEME: &str = "Photon ";

/// By what the nodes of a cluster know each other. Where there are both, a node needs both.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Credentials<'a> {
    /// What all of them share.
    pub secret: Option<&'a [u8]>,
    /// Whether each has a certificate, and shows it when it connects.
    pub certificates: bool,
}

/// What a node signs its calls with and checks others' by.
pub(crate) struct Identity {
    node: NodeId,
    from: MetadataValue<Ascii>,
    /// What nodes of one cluster share, if they do.
    secret: Option<MetadataValue<Ascii>>,
    /// Whether only callers with a certificate are nodes.
    certificates: bool,
    /// The cluster, once the node is in one.
    cluster: ArcSwapOption<u128>,
    clock: Arc<dyn Clock>,
}

impl Identity {
    /// Of `node`, which is in no cluster yet. Panics without any credential: then whoever comes would be a node.
    pub fn new(node: NodeId, credentials: Credentials<'_>, clock: Arc<dyn Clock>) -> Identity {
        let Credentials { secret, certificates } = credentials;
        assert!(secret.is_some() || certificates, "nodes know each other by something");
        let secret = secret.map(|secret| {
            let secret = format!("{SCHEME}{}", STANDARD.encode(secret));
            let mut secret = MetadataValue::try_from(secret).expect("base64 is printable");
            secret.set_sensitive(true);
            secret
        });
        let from = hexadecimal(node.0);
        Identity { node, from, secret, certificates, cluster: ArcSwapOption::empty(), clock }
    }

    /// The node is in this cluster from here on.
    pub fn enter(&self, cluster: u128) {
        self.cluster.store(Some(Arc::new(cluster)));
    }

    /// This node.
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// The cluster it is in.
    pub fn cluster(&self) -> Option<u128> {
        self.cluster.load().as_deref().copied()
    }

    /// The time, for waits between attempts.
    pub fn now(&self) -> Moment {
        self.clock.now()
    }

    /// A call of this node, meant for `to`.
    pub fn sign<T>(&self, message: T, to: Option<Peer>) -> Request<T> {
        let mut request = Request::new(message);
        let metadata = request.metadata_mut();
        if let Some(secret) = &self.secret {
            metadata.insert(AUTHORIZATION, secret.clone());
        }
        metadata.insert(FROM, self.from.clone());
        if let Some(to) = to {
            metadata.insert(TO, hexadecimal(to.0));
        }
        if let Some(cluster) = self.cluster() {
            metadata.insert(CLUSTER, hexadecimal(cluster));
        }
        request
    }

    /// Who calls, over a connection whose other end is `certified` or not. Errors: the call does not come from a node that has
    /// what all nodes have.
    pub fn caller(&self, metadata: &MetadataMap, certified: bool) -> Result<Peer, Status> {
        if self.certificates && !certified {
            return Err(Status::unauthenticated("the caller shows no certificate, and nodes do (cluster-tls-cert)"));
        }
        let given = metadata.get(AUTHORIZATION).map(|value| value.as_bytes()).unwrap_or_default();
        if self.secret.as_ref().is_some_and(|secret| !bool::from(given.ct_eq(secret.as_bytes()))) {
            return Err(Status::unauthenticated("the two nodes do not have the same secret"));
        }
        let from = number(metadata, FROM)?;
        from.map(Peer).ok_or_else(|| Status::unauthenticated(format!("metadata `{FROM}` is missing")))
    }

    /// Checks that a call is meant for this node, and comes from its cluster or, where `strangers` may call, from none.
    pub fn check(&self, metadata: &MetadataMap, certified: bool, strangers: bool) -> Result<Peer, Status> {
        let from = self.caller(metadata, certified)?;
        if number(metadata, TO)? != Some(self.node.0) {
            return Err(Status::failed_precondition(format!(
                "this is node {}, and the call is for another",
                self.node
            )));
        }
        match (number(metadata, CLUSTER)?, self.cluster()) {
            (Some(theirs), Some(ours)) if theirs == ours => Ok(from),
            (Some(theirs), Some(ours)) => Err(Status::failed_precondition(format!(
                "this node is in cluster {ours:032x} and the caller in {theirs:032x}: two clusters do not become one"
            ))),
            (None, _) | (_, None) if strangers => Ok(from),
            _ => Err(Status::failed_precondition("one of the two nodes is in no cluster yet")),
        }
    }
}

fn hexadecimal(number: u128) -> MetadataValue<Ascii> {
    MetadataValue::try_from(format!("{number:032x}")).expect("digits are printable")
}

fn number(metadata: &MetadataMap, name: &str) -> Result<Option<u128>, Status> {
    let Some(value) = metadata.get(name) else { return Ok(None) };
    let parsed =
        value.to_str().ok().filter(|text| text.len() == 32).and_then(|text| u128::from_str_radix(text, 16).ok());
    parsed
        .map(Some)
        .ok_or_else(|| Status::failed_precondition(format!("metadata `{name}` is not 32 hexadecimal digits")))
}

/// A node's or cluster's number of its 16 bytes.
pub(crate) fn node_number(bytes: &[u8]) -> Option<u128> {
    Some(u128::from_be_bytes(bytes.try_into().ok()?))
}

/// As messages name it.
pub(crate) fn service_number(service: Service) -> v1::Service {
    match service {
        Service::Consensus => v1::Service::Consensus,
        Service::Shards => v1::Service::Shards,
        Service::Control => v1::Service::Control,
    }
}

/// As messages name it; `None`: this version knows no such part.
pub(crate) fn service_of(number: i32) -> Option<Service> {
    match v1::Service::try_from(number).ok()? {
        v1::Service::Unspecified => None,
        v1::Service::Consensus => Some(Service::Consensus),
        v1::Service::Shards => Some(Service::Shards),
        v1::Service::Control => Some(Service::Control),
    }
}
