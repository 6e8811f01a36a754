{{/* Parts of pods: of the nodes, and of the jobs beside them. */}}

{{/*
Where a node looks for others: at the first three, or at all that the Kubernetes API names, of which a cluster of three or more has three at
least when it is founded. Whoever is in knows all; and the pods of a larger StatefulSet are the same as
before, so that scaling from three upwards restarts none.
*/}}
{{- define "photondb.joinArgs" -}}
{{- $nodes := splitList " " (include "photondb.nodes" .) -}}
{{- if eq .Values.discovery "kubernetes" }}
- --join=kubernetes+{{ include "photondb.headless" . }}
- --join-at-least={{ min 3 (len $nodes) }}
{{- else }}
{{- range slice $nodes 0 (min 3 (len $nodes)) }}
- --join={{ . }}
{{- end }}
{{- end }}
{{- end -}}

{{/*
What a node shows to the Kubernetes API. The pod mounts it by itself, and to one container, so that nobody else has it: no account is
mounted automatically.
*/}}
{{- define "photondb.accountMount" -}}
- name: kubernetes
  mountPath: /var/run/secrets/kubernetes.io/serviceaccount
  readOnly: true
{{- end -}}

{{- define "photondb.accountVolume" -}}
- name: kubernetes
  projected:
    defaultMode: 0440
    sources:
      - serviceAccountToken: {path: token, expirationSeconds: 3607}
      - configMap:
          name: kube-root-ca.crt
          items:
            - {key: ca.crt, path: ca.crt}
      - downwardAPI:
          items:
            - path: namespace
              fieldRef: {apiVersion: v1, fieldPath: metadata.namespace}
{{- end -}}

{{/* YAML takes `off` for `false`, and a template writes a million as 1e+06. */}}
{{- define "photondb.nodeLostAfter" -}}
{{- if kindIs "bool" . }}off{{ else if kindIs "string" . }}{{ . }}{{ else }}{{ int64 . }}{{ end -}}
{{- end -}}

{{/* With what a node speaks TLS: files that it reads again when they change. */}}
{{- define "photondb.tlsArgs" -}}
{{- if .Values.tls.enabled }}
{{- $ports := concat (list "cluster") (ternary (list "driver") list .Values.tls.driver) (ternary (list "http") list .Values.tls.http) }}
{{- range $ports }}
- --{{ . }}-tls-cert=/etc/photondb/tls/tls.crt
- --{{ . }}-tls-key=/etc/photondb/tls/tls.key
{{- end }}
- --cluster-tls-ca=/etc/photondb/tls/ca.crt
- --tls-min-protocol={{ .Values.tls.minProtocol }}
{{- end }}
{{- end -}}

{{- define "photondb.tlsMount" -}}
- name: tls
  mountPath: /etc/photondb/tls
  readOnly: true
{{- end -}}

{{/* The second of the list: which keys of the secret. */}}
{{- define "photondb.tlsVolume" -}}
- name: tls
  secret:
    secretName: {{ include "photondb.tlsSecret" (index . 0) }}
    defaultMode: 0440
    items:
      {{- range index . 1 }}
      - {key: {{ . }}, path: {{ . }}}
      {{- end }}
{{- end -}}

{{- define "photondb.probe" -}}
{{- $tls := (index . 2).Values.tls -}}
httpGet: {path: {{ index . 1 }}, port: http{{ if and $tls.enabled $tls.http }}, scheme: HTTPS{{ end }}}
{{ toYaml (omit (index . 0) "enabled") }}
{{- end -}}

{{/*
What a pod does before its node is told to end (SIGTERM): it goes on serving until everybody has heard that it leaves. The node lets
others lead what it leads when it is told, so nothing is to be drained here.
*/}}
{{- define "photondb.preStop" -}}
exec:
  command:
    - /bin/sh
    - -c
    - |
      sleep {{ .Values.preStopDelaySeconds }}
{{- end -}}

{{- define "photondb.affinity" -}}
{{- if .Values.affinity -}}
{{ toYaml .Values.affinity }}
{{- else if eq .Values.podAntiAffinityPreset "soft" -}}
podAntiAffinity:
  preferredDuringSchedulingIgnoredDuringExecution:
    - weight: 100
      podAffinityTerm:
        topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels: {{- include "photondb.nodeLabels" . | nindent 12 }}
{{- else if eq .Values.podAntiAffinityPreset "hard" -}}
podAntiAffinity:
  requiredDuringSchedulingIgnoredDuringExecution:
    - topologyKey: kubernetes.io/hostname
      labelSelector:
        matchLabels: {{- include "photondb.nodeLabels" . | nindent 10 }}
{{- end -}}
{{- end -}}

{{- define "photondb.topologySpreadConstraints" -}}
{{- $own := dict "labelSelector" (dict "matchLabels" (include "photondb.nodeLabels" . | fromYaml)) -}}
{{- $all := list -}}
{{- range .Values.topologySpreadConstraints -}}
{{- $all = append $all (ternary . (merge (deepCopy .) $own) (hasKey . "labelSelector")) -}}
{{- end -}}
{{- toYaml $all -}}
{{- end -}}

{{/* What the pods beside the nodes have in common: they come from the same image, with the same rights, to the same machines. */}}
{{- define "photondb.toolPod" -}}
serviceAccountName: {{ include "photondb.serviceAccountName" . }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- end -}}

{{- define "photondb.secretVariable" -}}
- name: {{ index . 1 }}
  valueFrom:
    secretKeyRef:
      name: {{ include "photondb.secretName" (index . 0) }}
      key: {{ index . 2 }}
{{- end -}}
