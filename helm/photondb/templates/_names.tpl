{{/* What objects are called, and how they find each other. */}}

{{- define "photondb.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{/* Pods get a number and a hash behind it, and a label takes 63 characters. */}}
{{- define "photondb.fullname" -}}
{{- $name := include "photondb.name" . -}}
{{- $long := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- .Values.fullnameOverride | default $long | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "photondb.headless" -}}
{{- include "photondb.fullname" . }}-headless
{{- end -}}

{{/* What tells the objects of this release from all others; of a StatefulSet it cannot be changed. */}}
{{- define "photondb.selectorLabels" -}}
app.kubernetes.io/name: {{ include "photondb.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "photondb.nodeLabels" -}}
{{ include "photondb.selectorLabels" . }}
app.kubernetes.io/component: node
{{- end -}}

{{- define "photondb.labels" -}}
{{ include "photondb.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* An object's annotations, if it has any: those of all objects, and its own (a map, the second of the list). */}}
{{- define "photondb.annotations" -}}
{{- with mergeOverwrite (deepCopy (index . 0).Values.commonAnnotations) (index . 1) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "photondb.secretName" -}}
{{- .Values.auth.existingSecret | default (include "photondb.fullname" .) -}}
{{- end -}}

{{- define "photondb.serviceAccountName" -}}
{{- $made := ternary (include "photondb.fullname" .) "default" .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default $made -}}
{{- end -}}

{{- define "photondb.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "photondb.tlsSecret" -}}
{{- .Values.tls.existingSecret | required "tls.enabled wants tls.existingSecret: a secret with tls.crt, tls.key and ca.crt" -}}
{{- end -}}

{{/*
What stands behind names inside the namespace: nothing, for they resolve without it. With TLS they are longer, because no
wildcard of a certificate stands before a single label.
*/}}
{{- define "photondb.domain" -}}
{{- if .Values.tls.enabled -}}
.{{ .Release.Namespace }}.svc
{{- end -}}
{{- end -}}

{{/* The names of the pods, as they resolve in their own namespace. */}}
{{- define "photondb.nodes" -}}
{{- $nodes := list -}}
{{- range until (int .Values.replicaCount) -}}
{{- $nodes = append $nodes (printf "%s-%d.%s%s" (include "photondb.fullname" $) . (include "photondb.headless" $) (include "photondb.domain" $)) -}}
{{- end -}}
{{- join " " $nodes -}}
{{- end -}}
