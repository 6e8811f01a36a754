//! Other nodes by the Kubernetes API: the pods of a headless service.
//!
//! A node that waits looks several times a second. What was found is believed for a moment, and a failure is logged when its reason
//! is another than before: the node itself says now and then what it waits for.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use photondb_controller::Discovery;
use photondb_discovery_kubernetes::{ApiServer, HeadlessService, NotInAPod, Search, ServiceAccount, Spoken};
use photondb_runtime::peers::SendFuture;

use crate::config::Config;
use crate::limits::{CLUSTER_PORT, KUBERNETES_BELIEF_MAX, KUBERNETES_DISBELIEF_MAX};

/// What a look says: "host:port" of each pod, or why that is not known.
type Found = Result<Vec<String>, String>;

/// The pods of one service.
#[derive(Clone)]
struct Pods {
    name: String,
    search: Search,
    last: Arc<Mutex<Option<Look>>>,
}

/// The last look.
struct Look {
    at: Instant,
    found: Found,
}

/// What people are told of a look.
#[derive(Debug, PartialEq, Eq)]
enum News<'a> {
    Nothing,
    Failed(&'a str),
    Recovered,
}

/// A way to the pods of each service that `join` names.
pub(super) fn of_pods(config: &Config) -> Result<Vec<Arc<dyn Discovery>>, NotInAPod> {
    if config.join_pods.is_empty() {
        return Ok(Vec::new());
    }
    let server = ApiServer::of_environment(|variable| std::env::var(variable).ok())?;
    // A certificate names a pod, whose address is another after each start.
    let spoken = if config.tls.cluster.is_some() { Spoken::ByName } else { Spoken::ByAddress };
    let of = |service: &HeadlessService| {
        let search = Search {
            service: service.clone(),
            server: server.clone(),
            account: ServiceAccount::in_folder(&config.kubernetes_account),
            spoken,
            default_port: CLUSTER_PORT,
        };
        Arc::new(Pods::new(search)) as Arc<dyn Discovery>
    };
    Ok(config.join_pods.iter().map(of).collect())
}

impl Pods {
    fn new(search: Search) -> Pods {
        let service = &search.service;
        let namespace = service.namespace.as_ref().map(|namespace| format!(".{namespace}")).unwrap_or_default();
        Pods { name: format!("kubernetes+{}{namespace}", service.name), search, last: Arc::default() }
    }

    async fn look(self) -> Found {
        if let Some(found) = self.last.lock().as_ref().and_then(|last| last.believed(Instant::now())) {
            return found;
        }
        let found = self.search.look().await.map_err(|error| error.to_string());
        let mut last = self.last.lock();
        let before = last.as_ref().map(|last| &last.found);
        match news(before, &found) {
            News::Nothing => {}
            News::Failed(reason) => tracing::warn!("cannot look for nodes at {}: {reason}", self.name),
            News::Recovered => tracing::info!("nodes can be looked for at {} again", self.name),
        }
        *last = Some(Look { at: Instant::now(), found: found.clone() });
        found
    }
}

impl Look {
    /// What it found, unless that is too long ago.
    fn believed(&self, now: Instant) -> Option<Found> {
        let patience = if self.found.is_ok() { KUBERNETES_BELIEF_MAX } else { KUBERNETES_DISBELIEF_MAX };
        (now.saturating_duration_since(self.at) < patience).then(|| self.found.clone())
    }
}

fn news<'a>(before: Option<&Found>, found: &'a Found) -> News<'a> {
    match (before, found) {
        (Some(Err(before)), Err(reason)) if before == reason => News::Nothing,
        (_, Err(reason)) => News::Failed(reason),
        (Some(Err(_)), Ok(_)) => News::Recovered,
        (_, Ok(_)) => News::Nothing,
    }
}

impl Discovery for Pods {
    fn name(&self) -> &str {
        &self.name
    }

    fn look_up(&self) -> SendFuture<'static, Result<Vec<String>, String>> {
        Box::pin(self.clone().look())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn found(addresses: &[&str]) -> Found {
        Ok(addresses.iter().map(|address| (*address).to_owned()).collect())
    }

    #[test]
    fn a_reason_is_told_once_until_there_is_another_one() {
        let (forbidden, silent) = (Err("forbidden".to_owned()), Err("silent".to_owned()));
        for (before, now, told) in [
            (None, &forbidden, News::Failed("forbidden")),
            (Some(&forbidden), &forbidden, News::Nothing),
            (Some(&forbidden), &silent, News::Failed("silent")),
            (Some(&silent), &found(&["a:1"]), News::Recovered),
            (Some(&found(&["a:1"])), &found(&["b:1"]), News::Nothing),
            (Some(&found(&["a:1"])), &silent, News::Failed("silent")),
            (None, &found(&["a:1"]), News::Nothing),
        ] {
            assert_eq!(news(before, now), told, "{before:?} {now:?}");
        }
    }

    #[test]
    fn what_was_found_is_believed_for_a_moment_and_a_failure_for_a_shorter_one() {
        let at = Instant::now();
        for (look, moment) in [
            (Look { at, found: found(&["a:1"]) }, KUBERNETES_BELIEF_MAX),
            (Look { at, found: Err("no".to_owned()) }, KUBERNETES_DISBELIEF_MAX),
        ] {
            assert_eq!(look.believed(at + moment - Duration::from_millis(1)), Some(look.found.clone()));
            assert_eq!(look.believed(at + moment), None);
        }
    }

    #[tokio::test]
    async fn a_look_that_fails_says_why_and_is_not_repeated_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let variable = |name: &str| Some(if name.ends_with("HOST") { "127.0.0.1" } else { "1" }.to_owned());
        let pods = Pods::new(Search {
            service: "db.data".parse().unwrap(),
            server: ApiServer::of_environment(variable).unwrap(),
            account: ServiceAccount::in_folder(folder.path()),
            spoken: Spoken::ByAddress,
            default_port: CLUSTER_PORT,
        });
        assert_eq!(pods.name(), "kubernetes+db.data");
        let reason = pods.look_up().await.unwrap_err();
        assert!(reason.contains("ca.crt cannot be used: it is not there"), "{reason}");
        let token = folder.path().join("ca.crt");
        std::fs::write(token, "no certificate").unwrap();
        assert_eq!(pods.look_up().await.unwrap_err(), reason);
        tokio::time::sleep(KUBERNETES_DISBELIEF_MAX).await;
        let reason = pods.look_up().await.unwrap_err();
        assert!(reason.contains("no certificate stands in it"), "{reason}");
    }
}
