//! The HTTP port: health and metrics.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};

use crate::telemetry;

/// What the HTTP port knows of the node.
pub trait Health: Send + Sync + 'static {
    /// Whether queries are answered now.
    fn is_ready(&self) -> bool;

    /// Name, id, version and so on: the body of `/health`.
    fn describe(&self) -> Value;

    /// Brings gauges up to date before they are shown.
    fn update_metrics(&self);

    /// Metrics that the recorder has no form for, in Prometheus's text format.
    fn more_metrics(&self) -> String;
}

type Node = State<Arc<dyn Health>>;

/// Everything that the port answers.
pub fn router(node: Arc<dyn Health>) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/health", get(health))
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .route("/_metrics", get(metrics))
        .fallback(not_found)
        .with_state(node)
}

async fn index(State(node): Node) -> Response {
    let about = node.describe();
    let text = |key: &str| about[key].as_str().unwrap_or_default().to_owned();
    let page = format!(
        "PhotonDB {}, server {} ({})\n\n\
         /health        what this server is and whether it is ready\n\
         /health/live   200 while the process works\n\
         /health/ready  200 while queries are answered, else 503\n\
         /_metrics      Prometheus metrics\n\n\
         Queries go to the ReQL port {}, with any RethinkDB driver.\n",
        text("version"),
        text("name"),
        text("id"),
        about["reql_port"],
    );
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], page).into_response()
}

async fn health(State(node): Node) -> Response {
    let mut about = node.describe();
    let ready = node.is_ready();
    about["status"] = json!(if ready { "ready" } else { "not ready" });
    answer(if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, &about)
}

async fn live() -> Response {
    answer(StatusCode::OK, &json!({ "status": "live" }))
}

async fn ready(State(node): Node) -> Response {
    if node.is_ready() {
        answer(StatusCode::OK, &json!({ "status": "ready" }))
    } else {
        answer(StatusCode::SERVICE_UNAVAILABLE, &json!({ "status": "not ready" }))
    }
}

async fn metrics(State(node): Node) -> Response {
    node.update_metrics();
    let text = telemetry::metrics().render() + &node.more_metrics();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

async fn not_found() -> Response {
    answer(StatusCode::NOT_FOUND, &json!({ "error": "not found", "see": "/" }))
}

fn answer(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], format!("{body}\n")).into_response()
}
