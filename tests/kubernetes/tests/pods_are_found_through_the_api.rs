//! A look at the Kubernetes API finds the pods of a service, whatever state they are in; when it fails it says why and what to do,
//! and the next one may succeed.

#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

use std::time::{Duration, Instant};

use photondb_discovery_kubernetes::limits::{LOOK_TIME_MAX, PAGES_MAX, PODS_MAX};
use photondb_discovery_kubernetes::{ApiServer, Search, ServiceAccount, Spoken};
use photondb_test_cluster::certificates::Authority;
use photondb_test_kubernetes::{Api, Says, Slice, pod};

fn search(api: &Api, service: &str) -> Search {
    Search {
        service: service.parse().unwrap(),
        server: ApiServer::of_environment(|name| api.variable(name)).unwrap(),
        account: ServiceAccount::in_folder(api.account()),
        spoken: Spoken::ByAddress,
        default_port: 29015,
    }
}

/// What a look for the pods of `db` says.
async fn look(api: &Api) -> Result<Vec<String>, String> {
    search(api, "db").look().await.map_err(|error| error.to_string())
}

/// Fails for a reason that has these words.
async fn refused(api: &Api, words: &[&str]) {
    let reason = look(api).await.unwrap_err();
    for word in words {
        assert!(reason.contains(word), "no `{word}`: {reason}");
    }
    assert!(!reason.contains('\n'), "one line: {reason}");
}

fn three() -> Vec<Slice> {
    vec![
        Slice::of(vec![pod("db-1", "10.0.0.2", false), pod("db-0", "10.0.0.1", true)]),
        // While a pod goes from one slice to another it is in both.
        Slice { port: Some(7), ..Slice::of(vec![pod("db-2", "10.0.0.3", false)]) },
        Slice::of(vec![pod("db-0", "10.0.0.1", true)]),
    ]
}

const THREE: [&str; 3] = ["10.0.0.1:29015", "10.0.0.2:29015", "10.0.0.3:7"];

#[tokio::test]
async fn pods_are_found_ready_or_not_in_the_namespace_of_the_account_or_another() {
    let api = Api::start();
    let elsewhere = Slice { namespace: "other".to_owned(), ..Slice::of(vec![pod("db-9", "10.0.0.9", true)]) };
    let of_another = Slice { service: "web".to_owned(), ..Slice::of(vec![pod("web-0", "10.0.1.1", true)]) };
    api.lists(three().into_iter().chain([elsewhere, of_another]).collect());
    assert_eq!(look(&api).await.unwrap(), THREE);
    let asked = api.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert_eq!(asked[0].path, "/apis/discovery.k8s.io/v1/namespaces/data/endpointslices");
    assert_eq!(asked[0].value("labelSelector"), Some("kubernetes.io/service-name=db"));
    assert_eq!(asked[0].token.as_deref(), Some("first-token"));

    assert_eq!(search(&api, "db.other:5").look().await.unwrap(), ["10.0.0.9:5"]);
    assert_eq!(api.asked()[0].path, "/apis/discovery.k8s.io/v1/namespaces/other/endpointslices");
    // The namespace is known without the file.
    std::fs::remove_file(api.account().join("namespace")).unwrap();
    assert_eq!(search(&api, "db.data:5").look().await.unwrap(), ["10.0.0.1:5", "10.0.0.2:5", "10.0.0.3:5"]);
    refused(&api, &["namespace cannot be used: it is not there", "--kubernetes-account"]).await;
}

#[tokio::test]
async fn with_certificates_pods_go_by_their_names() {
    let api = Api::start();
    let fd = Slice { family: "IPv6", ..Slice::of(vec![pod("db-0", "fd00::1", true), pod("db-3", "fd00::4", true)]) };
    api.lists(three().into_iter().chain([fd]).collect());
    assert_eq!(look(&api).await.unwrap(), [&THREE[..], &["[fd00::4]:29015"]].concat());
    let by_name = Search { spoken: Spoken::ByName, ..search(&api, "db") };
    let name = |number: u8, port: u16| format!("db-{number}.db.data.svc:{port}");
    assert_eq!(by_name.look().await.unwrap(), [name(0, 29015), name(1, 29015), name(2, 7), name(3, 29015)]);
}

#[tokio::test]
async fn all_pages_are_read_and_anew_when_they_expire() {
    let api = Api::start();
    api.lists(three());
    api.has_pages_of(1);
    assert_eq!(look(&api).await.unwrap(), THREE);
    let pages =
        |api: &Api| api.asked().iter().map(|asked| asked.value("continue").map(str::to_owned)).collect::<Vec<_>>();
    let [second, third] = [Some("1".to_owned()), Some("2".to_owned())];
    assert_eq!(pages(&api), [None, second.clone(), third.clone()]);

    api.forgets_pages(2);
    assert_eq!(look(&api).await.unwrap(), THREE);
    assert_eq!(pages(&api), [None, second.clone(), None, second.clone(), None, second, third]);

    api.forgets_pages(usize::MAX);
    refused(&api, &["expired", "410"]).await;
    // Nobody follows a server that says of the first page that it has expired.
    api.says(Says::Text(410, "gone".to_owned()));
    api.asked();
    refused(&api, &["refuses to list endpointslices (410: gone)"]).await;
    assert_eq!(api.asked().len(), 1);
}

#[tokio::test]
async fn a_token_that_is_not_known_any_more_is_read_again() {
    let api = Api::start();
    api.lists(three());
    api.knows("second-token");
    refused(&api, &["does not take the token in", "401: Unauthorized", "is the service account still there"]).await;
    api.write("token", "second-token");
    assert_eq!(look(&api).await.unwrap(), THREE);
    let tokens: Vec<_> = api.asked().into_iter().filter_map(|asked| asked.token).collect();
    assert_eq!(tokens, ["first-token", "second-token"], "a refusal is not asked for twice");
    std::fs::remove_file(api.account().join("token")).unwrap();
    refused(&api, &["token cannot be used: it is not there", "automountServiceAccountToken"]).await;
}

#[tokio::test]
async fn a_right_that_is_missing_is_named_and_where_to_get_it() {
    let api = Api::start();
    api.lists(three());
    api.permits(false);
    let words = ["may not list endpointslices in the namespace data", "403: ", "cannot list resource", "helm/photondb"];
    refused(&api, &words).await;
    api.permits(true);
    assert_eq!(look(&api).await.unwrap(), THREE);
}

#[tokio::test]
async fn a_server_that_is_something_else_is_told_apart() {
    let api = Api::start();
    let page = "<html>\n<title>404</title></html>";
    api.says(Says::Text(404, page.to_owned()));
    refused(&api, &["does not know EndpointSlices (404: <html> <title>404</title></html>)", "1.21 or newer"]).await;
    api.says(Says::Text(500, "x".repeat(1 << 20)));
    refused(&api, &["refuses to list endpointslices (500: "]).await;
    api.says(Says::Text(503, String::new()));
    api.asked();
    refused(&api, &["(503: without a reason)"]).await;
    assert_eq!(api.asked().len(), 1, "whoever waits looks again anyway");
    for text in ["", "{", "null", "[]", "<html>", r#"{"kind":"PodList","apiVersion":"v1","metadata":{},"items":[]}"#] {
        api.says(Says::Text(200, text.to_owned()));
        refused(&api, &["is no list of EndpointSlices", "no proxy before it"]).await;
    }
    let wrong =
        r#"{"kind":"EndpointSliceList","apiVersion":"discovery.k8s.io/v1","metadata":{},"items":[{"endpoints":7}]}"#;
    api.says(Says::Text(200, wrong.to_owned()));
    refused(&api, &["is no list of EndpointSlices"]).await;
    api.says(Says::Half);
    refused(&api, &["cannot be asked"]).await;
}

#[tokio::test]
async fn a_server_that_does_not_answer_costs_a_moment() {
    let api = Api::start();
    api.lists(three());
    api.says(Says::Nothing);
    let begun = Instant::now();
    refused(&api, &["does not answer within 1.5s", "network policies"]).await;
    assert!(begun.elapsed() >= LOOK_TIME_MAX && begun.elapsed() < LOOK_TIME_MAX + Duration::from_secs(5));
    api.says(Says::Truth);
    assert_eq!(look(&api).await.unwrap(), THREE);
}

#[tokio::test]
async fn an_answer_has_bounds() {
    let api = Api::start();
    api.says(Says::Endless);
    too_much(&api).await;
    api.says(Says::Truth);
    let pods =
        |count: usize| (0..count).map(|at| pod(&format!("db-{at}"), &format!("10.0.{}.{}", at / 250, at % 250), true));
    api.lists(vec![Slice::of(pods(PODS_MAX).collect())]);
    assert_eq!(look(&api).await.unwrap().len(), PODS_MAX);
    api.lists(vec![Slice::of(pods(PODS_MAX + 1).collect())]);
    refused(&api, &["more than 1000 pods", "name the headless service of the nodes"]).await;
    api.lists(vec![Slice::of(vec![pod("db-0", "10.0.0.1", true)]); PAGES_MAX + 1]);
    api.has_pages_of(1);
    api.asked();
    too_much(&api).await;
    assert!(api.asked().len() <= PAGES_MAX);
}

/// A slow machine may not read in time what is too much.
async fn too_much(api: &Api) {
    let reason = look(api).await.unwrap_err();
    assert!(reason.contains("names too much") || reason.contains("does not answer within"), "{reason}");
}

#[tokio::test]
async fn a_service_that_is_not_there_is_told_apart_from_one_without_pods() {
    let api = Api::start();
    refused(&api, &["the namespace data has no service db", "kubectl get endpointslices --namespace data"]).await;
    api.lists(vec![Slice::of(Vec::new())]);
    refused(&api, &["the service db in the namespace data has no pods", "publishNotReadyAddresses"]).await;
}

#[tokio::test]
async fn nobody_but_the_server_of_the_accounts_authority_is_asked() {
    let api = Api::start();
    api.lists(three());
    let other = Authority::new("somebody else");
    std::fs::copy(other.file(), api.account().join("ca.crt")).unwrap();
    refused(&api, &["cannot be asked", "certificate", "ca.crt of its service account"]).await;
    assert!(api.asked().is_empty(), "it never sees the token");
    let nobody = |name: &str| Some(if name.ends_with("HOST") { "127.0.0.1" } else { "1" }.to_owned());
    let nowhere = Search { server: ApiServer::of_environment(nobody).unwrap(), ..search(&api, "db") };
    let reason = nowhere.look().await.unwrap_err().to_string();
    assert!(reason.contains("127.0.0.1:1 cannot be asked") && reason.contains("refused"), "{reason}");
}
