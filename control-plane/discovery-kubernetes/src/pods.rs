//! From slices of a service to an address for each pod.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};

/// What the cluster port is called in the headless service of the chart.
const CLUSTER_PORT_NAME: &str = "cluster";

/// What addresses are made of, beside what the slices say.
pub(crate) struct Wanted<'a> {
    pub service: &'a str,
    pub namespace: &'a str,
    /// Taken in place of the slices'.
    pub port: Option<u16>,
    /// Taken where the slices name none.
    pub default_port: u16,
    /// Whether pods go by their names in DNS.
    pub by_name: bool,
}

/// Which of a pod's addresses is taken: the first kind that it has. A cluster of two families has slices of both, and a pod that
/// was counted twice could not be outvoted once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    V4,
    V6,
    Other,
}

/// "host:port" of each pod, ready or not: one that waits to be taken in is not ready.
pub(crate) fn addresses(slices: &[EndpointSlice], wanted: &Wanted<'_>) -> Vec<String> {
    let mut found: BTreeMap<String, (Kind, String)> = BTreeMap::new();
    for slice in slices {
        let kind = match slice.address_type.as_str() {
            "IPv4" => Kind::V4,
            "IPv6" => Kind::V6,
            _ => Kind::Other,
        };
        let port = port(slice, wanted);
        for endpoint in slice.endpoints.iter().flatten() {
            // What further addresses of one endpoint mean is not defined.
            let Some(address) = endpoint.addresses.first() else { continue };
            let host = match dns_name(endpoint).filter(|_| wanted.by_name) {
                Some(name) => format!("{name}.{}.{}.svc", wanted.service, wanted.namespace),
                None if address.contains(':') => format!("[{address}]"),
                None => address.clone(),
            };
            let candidate = (kind, format!("{host}:{port}"));
            let known = found.entry(identity(endpoint, address)).or_insert_with(|| candidate.clone());
            if candidate < *known {
                *known = candidate;
            }
        }
    }
    let addresses: BTreeSet<String> = found.into_values().map(|(_, address)| address).collect();
    addresses.into_iter().collect()
}

fn port(slice: &EndpointSlice, wanted: &Wanted<'_>) -> u16 {
    let named = slice.ports.iter().flatten().find(|port| port.name.as_deref() == Some(CLUSTER_PORT_NAME));
    let named = named.and_then(|port| u16::try_from(port.port?).ok()).filter(|port| *port != 0);
    wanted.port.or(named).unwrap_or(wanted.default_port)
}

fn pod(endpoint: &Endpoint) -> Option<&ObjectReference> {
    endpoint.target_ref.as_ref().filter(|target| target.kind.as_deref() == Some("Pod"))
}

/// The first label of the name that DNS has for the pod: its `hostname`, which pods of a StatefulSet have, and else its name.
fn dns_name(endpoint: &Endpoint) -> Option<&str> {
    let of_pod = || pod(endpoint).and_then(|pod| pod.name.as_deref());
    endpoint.hostname.as_deref().or_else(of_pod).filter(|name| !name.is_empty())
}

/// What is the same in all slices that name the same pod.
fn identity(endpoint: &Endpoint, address: &str) -> String {
    let pod = pod(endpoint);
    let of_pod = pod.and_then(|pod| pod.uid.as_ref().or(pod.name.as_ref()));
    of_pod.or(endpoint.hostname.as_ref()).cloned().unwrap_or_else(|| address.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const WANTED: Wanted<'static> =
        Wanted { service: "db", namespace: "data", port: None, default_port: 29015, by_name: false };

    fn slice(kind: &str, port: Value, endpoints: Value) -> EndpointSlice {
        let slice = json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {"name": "db-1"},
            "addressType": kind, "ports": port, "endpoints": endpoints,
        });
        serde_json::from_value(slice).unwrap()
    }

    fn endpoint(address: &str, pod: &str, ready: bool) -> Value {
        json!({
            "addresses": [address], "conditions": {"ready": ready}, "hostname": pod,
            "targetRef": {"kind": "Pod", "name": pod, "uid": format!("uid of {pod}")},
        })
    }

    fn cluster_port(port: i32) -> Value {
        json!([{"name": "driver", "port": 28015}, {"name": "cluster", "port": port}])
    }

    #[test]
    fn pods_are_found_ready_or_not_and_once_each() {
        let slices = [
            slice(
                "IPv4",
                cluster_port(7),
                json!([endpoint("10.0.0.2", "db-1", false), endpoint("10.0.0.1", "db-0", true)]),
            ),
            slice(
                "IPv4",
                cluster_port(7),
                json!([endpoint("10.0.0.1", "db-0", true), endpoint("10.0.0.3", "db-2", false)]),
            ),
        ];
        assert_eq!(addresses(&slices, &WANTED), ["10.0.0.1:7", "10.0.0.2:7", "10.0.0.3:7"]);
    }

    #[test]
    fn the_port_is_the_given_one_or_that_of_the_slice_or_the_usual_one() {
        let at = |port, wanted: &Wanted<'_>| {
            addresses(&[slice("IPv4", port, json!([endpoint("10.0.0.1", "db-0", true)]))], wanted)
        };
        assert_eq!(at(cluster_port(7), &Wanted { port: Some(8), ..WANTED }), ["10.0.0.1:8"]);
        assert_eq!(at(cluster_port(7), &WANTED), ["10.0.0.1:7"]);
        for none in [
            Value::Null,
            json!([]),
            json!([{"name": "driver", "port": 1}, {"port": 2}]),
            cluster_port(0),
            cluster_port(70000),
        ] {
            assert_eq!(at(none, &WANTED), ["10.0.0.1:29015"]);
        }
    }

    #[test]
    fn a_pod_with_addresses_of_both_families_counts_once() {
        let slices = [
            slice(
                "IPv6",
                cluster_port(7),
                json!([endpoint("fd00::1", "db-0", true), endpoint("fd00::2", "db-1", true)]),
            ),
            slice("IPv4", cluster_port(7), json!([endpoint("10.0.0.1", "db-0", true)])),
        ];
        assert_eq!(addresses(&slices, &WANTED), ["10.0.0.1:7", "[fd00::2]:7"]);
        let backwards = [slices[1].clone(), slices[0].clone()];
        assert_eq!(addresses(&backwards, &WANTED), ["10.0.0.1:7", "[fd00::2]:7"]);
    }

    #[test]
    fn by_name_pods_go_by_the_names_that_certificates_have() {
        let of_the_pod = json!({"addresses": ["fd00::2"], "targetRef": {"kind": "Pod", "name": "web-5"}});
        let of_nobody = json!({"addresses": ["fd00::3"]});
        let of_a_machine = json!({"addresses": ["fd00::4"], "targetRef": {"kind": "Node", "name": "machine"}});
        let endpoints = json!([endpoint("fd00::1", "db-0", true), of_the_pod, of_nobody, of_a_machine]);
        let slices = [slice("IPv6", cluster_port(7), endpoints)];
        let by_name = Wanted { by_name: true, ..WANTED };
        let expected = ["[fd00::3]:7", "[fd00::4]:7", "db-0.db.data.svc:7", "web-5.db.data.svc:7"];
        assert_eq!(addresses(&slices, &by_name), expected);
    }

    #[test]
    fn what_has_no_address_is_nobody() {
        let nobody = slice("IPv4", Value::Null, json!([{"addresses": []}]));
        assert_eq!(addresses(&[nobody, slice("IPv4", Value::Null, Value::Null)], &WANTED), Vec::<String>::new());
    }
}
