//! What the API answers when it answers as Kubernetes does.

use serde_json::{Value, json};

use crate::api::State;
use crate::request::Asked;

const GROUP: &str = "/apis/discovery.k8s.io/v1/namespaces/";

/// Status and body.
pub(crate) fn answer(state: &mut State, asked: &Asked) -> (u16, Value) {
    if asked.token.as_deref() != Some(&state.token) {
        return refusal(401, "Unauthorized");
    }
    let rest = asked.path.strip_prefix(GROUP).and_then(|rest| rest.strip_suffix("/endpointslices"));
    let Some(namespace) = rest.filter(|namespace| !namespace.contains('/') && asked.method == "GET") else {
        return refusal(404, "the server could not find the requested resource");
    };
    if !state.permitted {
        let message = format!(
            "endpointslices.discovery.k8s.io is forbidden: User \"system:serviceaccount:{namespace}:photondb\" cannot list \
             resource \"endpointslices\" in API group \"discovery.k8s.io\" in the namespace \"{namespace}\""
        );
        return refusal(403, &message);
    }
    let selector =
        asked.value("labelSelector").and_then(|selector| selector.strip_prefix("kubernetes.io/service-name="));
    let Some(service) = selector else { return refusal(400, "this server wants to know of which service") };
    let after = asked.value("continue").map(|token| token.parse::<usize>());
    let from = match after {
        None => 0,
        Some(Ok(_)) if state.expirations > 0 => {
            state.expirations -= 1;
            return refusal(410, "The provided continue parameter is too old to display a consistent list result.");
        }
        Some(Ok(from)) => from,
        Some(Err(_)) => return refusal(400, "continue key is not valid"),
    };
    let limit = asked.value("limit").and_then(|limit| limit.parse().ok()).unwrap_or(usize::MAX);
    let all: Vec<Value> = state
        .slices
        .iter()
        .enumerate()
        .filter(|(_, slice)| slice.service == service && slice.namespace == namespace)
        .map(|(number, slice)| slice.json(number))
        .collect();
    let to = (from + limit.min(state.page)).min(all.len());
    let mut metadata = json!({"resourceVersion": "7"});
    if to < all.len() {
        metadata["continue"] = json!(to.to_string());
        metadata["remainingItemCount"] = json!(all.len() - to);
    }
    let list = json!({
        "kind": "EndpointSliceList", "apiVersion": "discovery.k8s.io/v1", "metadata": metadata, "items": all[from..to],
    });
    (200, list)
}

fn refusal(code: u16, message: &str) -> (u16, Value) {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "code": code,
    });
    (code, status)
}
