//! What the API lists.

use serde_json::{Value, json};

/// An EndpointSlice.
#[derive(Clone, Debug)]
pub struct Slice {
    /// The service whose it is.
    pub service: String,
    /// Where it is.
    pub namespace: String,
    /// `IPv4` or `IPv6`.
    pub family: &'static str,
    /// The port called `cluster`, if it has one.
    pub port: Option<u16>,
    /// See [`pod`].
    pub endpoints: Vec<Value>,
}

impl Slice {
    /// Of the service `db` in the namespace `data`, with the usual port.
    pub fn of(endpoints: Vec<Value>) -> Slice {
        Slice { service: "db".to_owned(), namespace: "data".to_owned(), family: "IPv4", port: Some(29015), endpoints }
    }

    pub(crate) fn json(&self, number: usize) -> Value {
        let driver = json!({"name": "driver", "port": 28015, "protocol": "TCP"});
        let cluster = self.port.map(|port| json!({"name": "cluster", "port": port, "protocol": "TCP"}));
        let ports: Vec<Value> = [driver].into_iter().chain(cluster).collect();
        json!({
            "metadata": {
                "name": format!("{}-{number}", self.service),
                "namespace": self.namespace,
                "uid": format!("slice {number}"),
                "resourceVersion": "7",
                "creationTimestamp": "2026-01-01T00:00:00Z",
                "labels": {"kubernetes.io/service-name": self.service},
            },
            "addressType": self.family,
            "ports": ports,
            "endpoints": self.endpoints,
        })
    }
}

/// An endpoint: a pod of a StatefulSet at an address.
pub fn pod(name: &str, address: &str, ready: bool) -> Value {
    json!({
        "addresses": [address],
        "conditions": {"ready": ready, "serving": ready, "terminating": false},
        "hostname": name,
        "nodeName": "machine-1",
        "targetRef": {"kind": "Pod", "namespace": "data", "name": name, "uid": format!("uid of {name}")},
    })
}
