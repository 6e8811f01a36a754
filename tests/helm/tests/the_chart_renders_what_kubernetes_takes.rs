//! With every set of values the chart renders manifests that the oldest and the newest Kubernetes take.

#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

use std::collections::BTreeSet;
use std::path::Path;

use photondb_test_helm::{KUBERNETES_VERSIONS, documents, lint, object, read, render, validate};
use serde_json::Value;

fn value_sets() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("values");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let sets = files.map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), read(&path)));
    sets.chain([("the defaults".to_owned(), String::new())]).collect()
}

#[test]
fn every_set_of_values_is_linted_rendered_and_valid() {
    for (name, values) in value_sets() {
        lint(&values).unwrap_or_else(|said| panic!("{name}: {said}"));
        let rendered = render(&values).unwrap_or_else(|said| panic!("{name}: {said}"));
        for version in KUBERNETES_VERSIONS {
            validate(&rendered, version).unwrap_or_else(|said| panic!("{name}, Kubernetes {version}: {said}"));
        }
    }
}

#[test]
fn a_field_that_kubernetes_does_not_know_is_noticed() {
    let rendered = render("metrics: {serviceMonitor: {enabled: true}}").unwrap();
    for (right, wrong) in [
        ("podManagementPolicy", "podManagmentPolicy"),
        ("replicas: 3", "replicas: \"3\""),
        ("periodSeconds", "periodSecond"),
        ("scrapeTimeout", "scrapeTimeOut"),
    ] {
        assert!(rendered.contains(right));
        let said = validate(&rendered.replace(right, wrong), KUBERNETES_VERSIONS[1]).unwrap_err();
        assert!(said.contains(wrong.split(':').next().unwrap()), "{said}");
    }
}

/// The labels of an object that selects are among those of exactly the objects that it should select.
fn selected<'a>(all: &'a [Value], labels_at: &str, selector: &Value) -> BTreeSet<&'a str> {
    let selector = selector.as_object().unwrap();
    let has =
        |object: &Value| selector.iter().all(|(label, value)| object.pointer(labels_at).unwrap()[label] == *value);
    let found = all.iter().filter(|object| object.pointer(labels_at).is_some_and(|_| has(object)));
    found.map(|object| object["metadata"]["name"].as_str().unwrap()).collect()
}

#[test]
fn selectors_select_the_nodes_and_nothing_else() {
    let values = "{metrics: {serviceMonitor: {enabled: true}}, networkPolicy: {enabled: true}}";
    let all = documents(&render(values).unwrap());
    let pods = "/spec/template/metadata/labels";
    for (kind, name, at) in [
        ("Service", "photondb", "/spec/selector"),
        ("Service", "photondb-headless", "/spec/selector"),
        ("StatefulSet", "photondb", "/spec/selector/matchLabels"),
        ("PodDisruptionBudget", "photondb", "/spec/selector/matchLabels"),
        ("NetworkPolicy", "photondb", "/spec/podSelector/matchLabels"),
    ] {
        let found = selected(&all, pods, object(&all, kind, name).pointer(at).unwrap());
        assert_eq!(found, BTreeSet::from(["photondb"]), "{kind} {name}");
    }
    let services: Vec<Value> = all.iter().filter(|object| object["kind"] == "Service").cloned().collect();
    let monitor = object(&all, "ServiceMonitor", "photondb");
    let found = selected(&services, "/metadata/labels", &monitor["spec"]["selector"]["matchLabels"]);
    assert_eq!(found, BTreeSet::from(["photondb-headless"]), "each node is read once");
}

#[test]
fn scaling_up_restarts_nobody_and_waits_for_the_new_ones() {
    let nodes = |all: &[Value]| object(all, "StatefulSet", "photondb").clone();
    let rendered = |count: u32, more: &str| documents(&render(&format!("replicaCount: {count}{more}")).unwrap());
    for more in ["", "\ndiscovery: kubernetes"] {
        let [three, five] = [3, 5].map(|count| nodes(&rendered(count, more))["spec"]["template"].clone());
        assert_eq!(three, five);
    }
    let (three, five) = (rendered(3, ""), rendered(5, ""));
    assert_eq!(nodes(&five)["spec"]["replicas"], 5);
    let job = |all: &[Value]| object(all, "Job", "photondb-init-").clone();
    let waits_for = |job: &Value| {
        let env = job["spec"]["template"]["spec"]["containers"][0]["env"].as_array().unwrap().clone();
        env.into_iter().find(|variable| variable["name"] == "NODES").unwrap()["value"].as_str().unwrap().to_owned()
    };
    assert_eq!(waits_for(&job(&five)).split(' ').count(), 5);
    assert_eq!(waits_for(&job(&three)).split(' ').next(), Some("photondb-0.photondb-headless"));
    // What a job does cannot be changed where it is.
    assert_ne!(job(&three)["metadata"]["name"], job(&five)["metadata"]["name"]);
    assert_eq!(job(&three), job(&documents(&render("").unwrap())));
}

#[test]
fn containers_have_no_rights() {
    for (name, values) in value_sets() {
        let all = documents(&render(&values).unwrap());
        let pods = all.iter().filter_map(|object| match object["kind"].as_str() {
            Some("Pod") => object.get("spec"),
            _ => object.pointer("/spec/template/spec"),
        });
        let mut count = 0;
        for pod in pods {
            count += 1;
            assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{name}");
            assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault", "{name}");
            assert_eq!(pod["automountServiceAccountToken"], false, "{name}");
            // PHOTONDB_DRIVER_PORT, of a service that somebody calls so, is an option of the program.
            assert_eq!(pod["enableServiceLinks"], false, "{name}");
            let container = &pod["containers"][0]["securityContext"];
            assert_eq!(container["readOnlyRootFilesystem"], true, "{name}");
            assert_eq!(container["allowPrivilegeEscalation"], false, "{name}");
            assert_eq!(container["capabilities"]["drop"][0], "ALL", "{name}");
        }
        assert!(count >= 2, "{name}: the nodes and the test at least");
    }
}

#[test]
fn what_is_given_arrives() {
    let password = "a \"quoted\" one: #1";
    let all = documents(&render(&read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("values/everything.yaml"))).unwrap());
    let secret = object(&all, "Secret", "photondb-documents");
    assert_eq!(secret["stringData"]["password"], password);
    assert_eq!(secret["metadata"]["annotations"]["helm.sh/resource-policy"], "keep");
    let nodes = &object(&all, "StatefulSet", "photondb-documents")["spec"];
    let container = &nodes["template"]["spec"]["containers"][0];
    assert!(container["image"].as_str().unwrap().contains("@sha256:"));
    let arguments: Vec<&str> =
        container["args"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
    for argument in [
        "--cache-size=2G",
        "--node-lost-after=off",
        "--server-tag=fast",
        "--log-format=text",
        "--no-javascript",
        "--cores=4",
    ] {
        assert!(arguments.contains(&argument), "{argument}: {arguments:?}");
    }
    // A large number stays one that the program reads.
    for (value, argument) in [
        ("1000000", "--node-lost-after=1000000"),
        ("\"90\"", "--node-lost-after=90"),
        ("\"off\"", "--node-lost-after=off"),
    ] {
        let rendered = render(&format!("nodeLostAfter: {value}")).unwrap();
        assert!(rendered.lines().any(|line| line.trim() == format!("- {argument}")), "{value}");
    }
    let spread = nodes["template"]["spec"]["topologySpreadConstraints"].as_array().unwrap();
    assert_eq!(spread[0]["labelSelector"]["matchLabels"]["app.kubernetes.io/component"], "node");
    assert_eq!(spread[1]["labelSelector"]["matchLabels"], serde_json::json!({ "tier": "data" }));
    let job = object(&all, "Job", "photondb-documents-init");
    assert_eq!(job["metadata"]["name"], "photondb-documents-init", "a hook replaces the one of its name");
    assert_eq!(job["metadata"]["annotations"]["helm.sh/hook"], "post-install,post-upgrade");
    assert_eq!(nodes["volumeClaimTemplates"][0]["spec"]["storageClassName"], "fast");
}

#[test]
fn with_tls_every_name_is_one_that_a_certificate_can_have_and_every_pod_knows_the_authority() {
    let all = documents(&render(&read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("values/tls.yaml"))).unwrap());
    let pod = &object(&all, "StatefulSet", "photondb")["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    let arguments: Vec<&str> =
        container["args"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
    for argument in [
        "--canonical-address=$(POD_NAME).photondb-headless.database.svc",
        "--join=photondb-2.photondb-headless.database.svc",
        "--cluster-tls-ca=/etc/photondb/tls/ca.crt",
        "--cluster-tls-cert=/etc/photondb/tls/tls.crt",
        "--driver-tls-key=/etc/photondb/tls/tls.key",
        "--http-tls-cert=/etc/photondb/tls/tls.crt",
        "--tls-min-protocol=TLSv1.3",
    ] {
        assert!(arguments.contains(&argument), "{argument}: {arguments:?}");
    }
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        assert_eq!(container[probe]["httpGet"]["scheme"], "HTTPS", "{probe}");
    }
    let job = &object(&all, "Job", "photondb-init-")["spec"]["template"]["spec"];
    let test = &object(&all, "Pod", "photondb-test-query")["spec"];
    for (pod, variable) in [(job, "PHOTONCTL_TLS_CA"), (test, "TLS_CA")] {
        let env = pod["containers"][0]["env"].as_array().unwrap();
        let named = env.iter().find(|entry| entry["name"] == variable).unwrap();
        assert_eq!(named["value"], "/etc/photondb/tls/ca.crt");
        let items = pod["volumes"][0]["secret"]["items"].as_array().unwrap();
        assert_eq!(items.len(), 1, "no pod has a key that it does not need");
        assert_eq!(items[0]["key"], "ca.crt");
    }
    let monitor = &object(&all, "ServiceMonitor", "photondb")["spec"]["endpoints"][0];
    assert_eq!(monitor["scheme"], "https");
    assert_eq!(monitor["tlsConfig"]["serverName"], "photondb.database.svc");
}

#[test]
fn who_asks_the_kubernetes_api_has_the_right_to_and_nobody_else_has() {
    let by_dns = documents(&render("").unwrap());
    let has_kind = |all: &[Value], kind: &str| all.iter().any(|object| object["kind"] == kind);
    assert!(!has_kind(&by_dns, "Role") && !has_kind(&by_dns, "RoleBinding"));
    assert!(!render("").unwrap().contains("serviceAccountToken"));

    let all = documents(&render(&read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("values/kubernetes.yaml"))).unwrap());
    let pod = &object(&all, "StatefulSet", "photondb")["spec"]["template"]["spec"];
    let arguments = pod["containers"][0]["args"].as_array().unwrap();
    let joins: Vec<&str> = arguments.iter().filter_map(|text| text.as_str()?.strip_prefix("--join")).collect();
    assert_eq!(joins, ["=kubernetes+photondb-headless", "-at-least=3"]);
    object(&all, "Service", "photondb-headless");
    let rules = object(&all, "Role", "photondb")["rules"].clone();
    let wanted = serde_json::json!([
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["get", "list"]},
    ]);
    assert_eq!(rules, wanted);
    let binding = object(&all, "RoleBinding", "photondb");
    assert_eq!(binding["roleRef"]["name"], object(&all, "Role", "photondb")["metadata"]["name"]);
    assert_eq!(binding["subjects"][0]["name"], pod["serviceAccountName"]);
    assert_eq!(binding["subjects"][0]["namespace"], "database");
    assert_eq!(object(&all, "ServiceAccount", "photondb")["automountServiceAccountToken"], false);

    // The token is in the container of the node alone, where the program looks for it.
    let named = |list: &Value| list.as_array().unwrap().iter().find(|entry| entry["name"] == "kubernetes").cloned();
    let mount = named(&pod["containers"][0]["volumeMounts"]).unwrap();
    assert_eq!(mount["mountPath"], "/var/run/secrets/kubernetes.io/serviceaccount");
    let sources = named(&pod["volumes"]).unwrap()["projected"]["sources"].clone();
    let paths = ["/0/serviceAccountToken/path", "/1/configMap/items/0/path", "/2/downwardAPI/items/0/path"];
    assert_eq!(paths.map(|path| sources.pointer(path).unwrap().clone()), ["token", "ca.crt", "namespace"]);
    for other in
        [&object(&all, "Job", "photondb-init-")["spec"]["template"], object(&all, "Pod", "photondb-test-query")]
    {
        assert!(!other.to_string().contains("serviceAccountToken"), "{other}");
    }

    // With fewer nodes than three there are no three to wait for; and an account of one's own gets the right.
    let own = "{discovery: kubernetes, replicaCount: 1, serviceAccount: {create: false, name: databases}}";
    let all = documents(&render(own).unwrap());
    let pod = &object(&all, "StatefulSet", "photondb")["spec"]["template"]["spec"];
    assert!(pod["containers"][0]["args"].as_array().unwrap().contains(&"--join-at-least=1".into()));
    assert_eq!(object(&all, "RoleBinding", "photondb")["subjects"][0]["name"], "databases");
}

#[test]
fn a_secret_that_is_made_is_random_and_whole() {
    let secret = || object(&documents(&render("").unwrap()), "Secret", "photondb")["stringData"].clone();
    let (one, another) = (secret(), secret());
    for (key, length) in [("password", 32), ("cluster-secret", 64), ("cluster-id", 36)] {
        assert_eq!(one[key].as_str().unwrap().len(), length, "{key}");
        assert_ne!(one[key], another[key], "{key}");
    }
}
