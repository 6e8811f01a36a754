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
use tonic::{Code, Request, Status};

use super::accept::Caller;
use super::encounters::{Encounters, Stranger};

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
    encounters: Encounters,
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
        let (from, cluster) = (hexadecimal(node.0), ArcSwapOption::empty());
        let encounters = Encounters::new(clock.clone());
        Identity { node, from, secret, certificates, cluster, clock, encounters }
    }

    /// Whom this node has met.
    pub fn encounters(&self) -> &Encounters {
        &self.encounters
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

    /// Who calls; `caller`: who is at the other end of the connection. Errors: the call does not come from a node that has what all
    /// nodes have.
    pub fn caller(&self, metadata: &MetadataMap, caller: Option<&Caller>) -> Result<Peer, Status> {
        if self.certificates && !caller.is_some_and(Caller::is_certified) {
            return Err(Status::unauthenticated("the caller shows no certificate, and nodes do (cluster-tls-cert)"));
        }
        let given = metadata.get(AUTHORIZATION).map(|value| value.as_bytes()).unwrap_or_default();
        let from = number(metadata, FROM)?;
        if self.secret.as_ref().is_some_and(|secret| !bool::from(given.ct_eq(secret.as_bytes()))) {
            // What it says of itself besides is not proven, and so not told.
            if from.is_some() && self.cluster().is_some() {
                self.meet(Stranger { cluster: None, node: None, address: caller.map(host) });
            }
            return Err(Status::unauthenticated("the two nodes do not have the same secret"));
        }
        from.map(Peer).ok_or_else(|| Status::unauthenticated(format!("metadata `{FROM}` is missing")))
    }

    /// Checks that a call is meant for this node, and comes from its cluster or, where `strangers` may call, from none.
    pub fn check(&self, metadata: &MetadataMap, caller: Option<&Caller>, strangers: bool) -> Result<Peer, Status> {
        let from = self.caller(metadata, caller)?;
        let (theirs, ours) = (number(metadata, CLUSTER)?, self.cluster());
        if let (Some(theirs), Some(ours)) = (theirs, ours)
            && theirs != ours
        {
            self.meet(Stranger { cluster: Some(theirs), node: Some(from.0), address: caller.map(host) });
            let message = format!(
                "this node is in cluster {ours:032x} and the caller in {theirs:032x}: two clusters do not become one"
            );
            let mut said = MetadataMap::new();
            said.insert(FROM, self.from.clone());
            said.insert(CLUSTER, hexadecimal(ours));
            return Err(Status::with_metadata(Code::FailedPrecondition, message, said));
        }
        if number(metadata, TO)? != Some(self.node.0) {
            let message = format!("this is node {}, and the call is for another", self.node);
            let mut said = MetadataMap::new();
            said.insert(FROM, self.from.clone());
            return Err(Status::with_metadata(Code::FailedPrecondition, message, said));
        }
        match (theirs, ours) {
            (Some(_), Some(_)) => Ok(from),
            _ if strangers => Ok(from),
            _ => Err(Status::failed_precondition("one of the two nodes is in no cluster yet")),
        }
    }

    /// Whether it was another node than `to` that has refused a call.
    pub fn is_another(status: &Status, to: Peer) -> bool {
        matches!(number(status.metadata(), FROM), Ok(Some(node)) if node != to.0)
    }

    /// Another node, found at `addresses`, has refused a call of this one: it may be a foreign one.
    pub fn was_refused(&self, status: &Status, addresses: &[String]) {
        let foreign = |metadata: &MetadataMap| {
            let cluster = number(metadata, CLUSTER).ok().flatten().filter(|theirs| Some(*theirs) != self.cluster())?;
            Some((Some(cluster), number(metadata, FROM).ok().flatten()))
        };
        let who = match status.code() {
            Code::Unauthenticated => Some((None, None)),
            Code::FailedPrecondition => foreign(status.metadata()),
            _ => None,
        };
        if let Some((cluster, node)) = who.filter(|_| self.cluster().is_some()) {
            self.meet(Stranger { cluster, node, address: addresses.first().cloned() });
        }
    }

    /// A node says that it is in `cluster`.
    pub fn was_told(&self, cluster: u128, node: Option<u128>, address: &str) {
        if self.cluster().is_some_and(|ours| ours != cluster) {
            self.meet(Stranger { cluster: Some(cluster), node, address: Some(address.to_owned()) });
        }
    }

    fn meet(&self, stranger: Stranger) {
        if self.encounters.meet(stranger.clone()) {
            let Stranger { cluster, node, address } = stranger;
            let shown = |number: Option<u128>| number.map_or("unknown".to_owned(), |number| NodeId(number).to_string());
            let address = address.unwrap_or_else(|| "unknown".to_owned());
            tracing::warn!(
                cluster = shown(cluster),
                node = shown(node),
                address,
                "this node and one of another cluster, or with another cluster secret, have called each other: refused"
            );
        }
    }
}

/// A caller's port says nothing: it has another for each connection.
fn host(caller: &Caller) -> String {
    caller.address.ip().to_canonical().to_string()
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
        Service::Reports => v1::Service::Reports,
    }
}

/// As messages name it; `None`: this version knows no such part.
pub(crate) fn service_of(number: i32) -> Option<Service> {
    match v1::Service::try_from(number).ok()? {
        v1::Service::Unspecified => None,
        v1::Service::Consensus => Some(Service::Consensus),
        v1::Service::Shards => Some(Service::Shards),
        v1::Service::Control => Some(Service::Control),
        v1::Service::Reports => Some(Service::Reports),
    }
}
