//! A value that is misspelt or cannot be is refused before anything is made, and the refusal names it.

use photondb_test_helm::render;

#[test]
fn each_is_named() {
    for (values, words) in [
        ("replicas: 3", "'replicas' not allowed"),
        ("replicaCount: 0", "/replicaCount"),
        ("replicaCount: three", "/replicaCount"),
        ("image: {repo: x}", "'repo' not allowed"),
        ("image: {repository: \"\"}", "/image/repository"),
        ("image: {tag: 1.0}", "/image/tag"),
        ("image: {pullPolicy: Sometimes}", "/image/pullPolicy"),
        ("image: {digest: sha256:12}", "/image/digest"),
        ("fullnameOverride: My_DB", "/fullnameOverride"),
        ("auth: {existingSecret: [a]}", "/auth/existingSecret"),
        ("passwordSecret: {name: photondb}", "'passwordSecret' not allowed"),
        ("tls: {enabled: true}", "tls.enabled wants tls.existingSecret"),
        ("tls: {minProtocol: TLSv1.1}", "/tls/minProtocol"),
        ("tls: {certificate: x}", "'certificate' not allowed"),
        ("discovery: consul", "/discovery"),
        ("discovery: \"\"", "/discovery"),
        (
            "{discovery: kubernetes, serviceAccount: {create: false}}",
            "set serviceAccount.create or serviceAccount.name",
        ),
        ("serverTags: [a b]", "/serverTags/0"),
        ("cacheSize: lots", "/cacheSize"),
        ("cacheSize: 4", "/cacheSize"),
        ("nodeLostAfter: 0", "/nodeLostAfter"),
        ("nodeLostAfter: 10m", "/nodeLostAfter"),
        ("nodeLostAfter: \"1000000000000000000\"", "/nodeLostAfter"),
        ("nodeLostAfter: true", "/nodeLostAfter"),
        ("logFormat: xml", "/logFormat"),
        ("extraArgs: --cores=2", "/extraArgs"),
        ("extraEnv: {A: b}", "/extraEnv"),
        ("persistence: {size: big}", "/persistence/size"),
        ("persistence: {size: 10}", "/persistence/size"),
        ("persistence: {accessModes: [ReadOnlyMany]}", "/persistence/accessModes/0"),
        ("persistence: {retentionPolicy: {whenScaled: Keep}}", "/persistence/retentionPolicy/whenScaled"),
        ("resources: {limit: {memory: 1Gi}}", "'limit' not allowed"),
        ("service: {type: ExternalName}", "/service/type"),
        ("service: {ports: {driver: 70000}}", "/service/ports/driver"),
        ("service: {port: 28015}", "'port' not allowed"),
        ("podDisruptionBudget: {maxUnavailable: half}", "/podDisruptionBudget/maxUnavailable"),
        ("podDisruptionBudget: {minAvailable: 2}", "give either maxUnavailable or minAvailable"),
        ("podDisruptionBudget: {maxUnavailable: null}", "give either maxUnavailable or minAvailable"),
        ("podAntiAffinityPreset: strong", "/podAntiAffinityPreset"),
        ("topologySpreadConstraints: [{maxSkew: 1}]", "topologyKey"),
        ("updateStrategy: {type: Recreate}", "/updateStrategy/type"),
        ("terminationGracePeriodSeconds: 5", "/terminationGracePeriodSeconds"),
        ("livenessProbe: {enabled: \"yes\"}", "/livenessProbe/enabled"),
        ("livenessProbe: {httpGet: {path: /}}", "'httpGet' not allowed"),
        ("podLabels: {tier: 1}", "/podLabels/tier"),
        ("metrics: {serviceMonitor: {interval: often}}", "/metrics/serviceMonitor/interval"),
        ("networkPolicy: {ingressFrom: {}}", "/networkPolicy/ingressFrom"),
    ] {
        match render(values) {
            Ok(_) => panic!("{values} is taken"),
            Err(said) => assert!(said.contains(words), "{values}: {said}"),
        }
    }
}
