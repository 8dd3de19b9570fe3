{{/* The chart's name, as part of the names of objects. */}}
{{- define "mailtier.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 50 | trimSuffix "-" }}
{{- end }}

{{/* The name of the objects: at most 50 characters, so that a suffix and a pod's ordinal fit into a DNS label. */}}
{{- define "mailtier.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains (include "mailtier.name" .) .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "mailtier.name" .) | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* What tells the pod of this release from others; it can never change. */}}
{{- define "mailtier.selectorLabels" -}}
app.kubernetes.io/name: {{ include "mailtier.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "mailtier.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "mailtier.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: mailtier
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Labels and annotations of an object. A dict: the root, and, if there are any, the object's own `annotations`, `more`
     labels, and the roles of the cluster that it extends, `aggregateTo`. */}}
{{- define "mailtier.metadata" -}}
labels:
  {{- include "mailtier.labels" .root | nindent 2 }}
  {{- with .more }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- range .aggregateTo }}
  rbac.authorization.k8s.io/aggregate-to-{{ . }}: "true"
  {{- end }}
{{- with merge (dict) (.annotations | default dict) .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "mailtier.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- .Values.serviceAccount.name | default (include "mailtier.fullname" .) }}
{{- else }}
{{- .Values.serviceAccount.name | default "default" }}
{{- end }}
{{- end }}

{{/* The image's reference. Docker takes a tag beside a digest, not every runtime does: with a digest it stands alone. */}}
{{- define "mailtier.image" -}}
{{- with .Values.image.registry }}{{ . }}/{{ end }}{{ .Values.image.repository }}
{{- if .Values.image.digest }}@{{ .Values.image.digest }}
{{- else }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}
{{- end }}

{{/* Labels and annotations of a CRD. */}}
{{- define "mailtier.crdMetadata" -}}
{{- $keep := ternary (dict "helm.sh/resource-policy" "keep") (dict) .Values.crds.keep }}
{{- include "mailtier.metadata" (dict "root" . "annotations" (merge $keep .Values.crds.annotations)) }}
{{- end }}

{{/* The Secret with the intake's certificate; empty where the sender makes one. */}}
{{- define "mailtier.tlsSecret" -}}
{{- if .Values.certManager.enabled }}
{{- .Values.sender.tls.secretName | default (printf "%s-intake" (include "mailtier.fullname" .)) }}
{{- else }}
{{- .Values.sender.tls.secretName }}
{{- end }}
{{- end }}

{{/* What clients call the intake, a JSON list: the Service in all its forms, loopback for a port-forward, and the names by
     which it is reached from outside. */}}
{{- define "mailtier.intakeNames" -}}
{{- $service := include "mailtier.fullname" . }}
{{- $names := list
      (printf "%s.%s.svc" $service .Release.Namespace)
      (printf "%s.%s.svc.%s" $service .Release.Namespace .Values.service.clusterDomain)
      (printf "%s.%s" $service .Release.Namespace)
      $service
      "localhost" "127.0.0.1" "::1" }}
{{- $outside := list }}
{{- if .Values.ingress.enabled }}{{ $outside = .Values.ingress.hosts }}{{ end }}
{{- if .Values.gateway.enabled }}{{ $outside = concat $outside .Values.gateway.hostnames }}{{ end }}
{{- concat $names .Values.sender.tls.extraNames $outside | uniq | toJson }}
{{- end }}

{{/* Liveness and startup of a container; the argument is the name of its health port. */}}
{{- define "mailtier.probes" -}}
# Starting means reading the queue or importing a client library: it has five minutes.
startupProbe:
  httpGet: {path: /healthz, port: {{ . }}}
  periodSeconds: 2
  timeoutSeconds: 5
  failureThreshold: 150
livenessProbe:
  httpGet: {path: /healthz, port: {{ . }}}
  periodSeconds: 20
  timeoutSeconds: 10
readinessProbe:
  httpGet: {path: /readyz, port: {{ . }}}
  periodSeconds: 5
  timeoutSeconds: 5
{{- end }}

{{/* Where metrics are, for a monitor; the argument is its values. */}}
{{- define "mailtier.scraped" -}}
{{- $monitor := . }}
{{- range list "http-operator" "http-sender" }}
- port: {{ . }}
  path: /metrics
  {{- with $monitor.interval }}
  interval: {{ . }}
  {{- end }}
  {{- with $monitor.scrapeTimeout }}
  scrapeTimeout: {{ . }}
  {{- end }}
  {{- with $monitor.relabelings }}
  relabelings:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $monitor.metricRelabelings }}
  metricRelabelings:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}

{{/* The rights to read what settings refer to. */}}
{{- define "mailtier.referenceRules" -}}
# A password or CA that settings refer to is read by its name. Secrets are neither listed nor watched.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get]
# A CA that settings refer to is read by its name.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get]
{{- end }}

{{/* The Service's name by which the intake's certificate is verified in the cluster. */}}
{{- define "mailtier.intakeHost" -}}
{{- $service := printf "%s.%s.svc" (include "mailtier.fullname" .) .Release.Namespace }}
{{- /* The whole name: `name.namespace.svc` is looked for below `svc.cluster.local` first, where whoever owns a namespace
       called svc owns it. A certificate of somebody else's making may be for the short one alone. */ -}}
{{- if or .Values.certManager.enabled (not .Values.sender.tls.secretName) }}
{{- $service = printf "%s.%s" $service .Values.service.clusterDomain }}
{{- end }}
{{- $service }}
{{- end }}

{{/* Where applications in the cluster reach the intake. */}}
{{- define "mailtier.intakeUrl" -}}
https://{{ include "mailtier.intakeHost" . }}{{ if ne (int .Values.service.port) 443 }}:{{ .Values.service.port }}{{ end }}
{{- end }}

{{/* Fails where values do not go together; the text says what to do. */}}
{{- define "mailtier.requireTogether" -}}
{{- $certificate := include "mailtier.tlsSecret" . }}
{{- with .Values.sender }}
{{- if and (gt (int .replicas) 1) (not .postgres.dsnSecret.name) }}
{{- fail "sender.replicas above 1 takes a queue that the senders share: a queue on a volume is one sender's; set sender.postgres.dsnSecret.name" }}
{{- end }}
{{- if and (gt (int .replicas) 1) (not $certificate) }}
{{- fail "sender.replicas above 1 takes one certificate for all: a sender makes one of its own, with an authority that clients of the others do not know; set sender.tls.secretName or certManager.enabled" }}
{{- end }}
{{- if and (gt (int .replicas) 1) .persistence.enabled .persistence.existingClaim }}
{{- fail "sender.replicas above 1 takes a volume for each pod, or none: sender.persistence.existingClaim is one pod's; set sender.persistence.enabled to false" }}
{{- end }}
{{- if not (or .persistence.enabled (and .postgres.dsnSecret.name $certificate)) }}
{{- fail "sender.persistence.enabled: false takes a queue in a database and a certificate in a Secret, as nothing else outlives the pod; set sender.postgres.dsnSecret.name, and sender.tls.secretName or certManager.enabled" }}
{{- end }}
{{- end }}
{{- if and .Values.ingress.enabled (not .Values.ingress.hosts) }}
{{- fail "ingress.enabled takes the names that the intake is reached by; set ingress.hosts" }}
{{- end }}
{{- if and .Values.gateway.enabled (not (and .Values.gateway.parentRefs .Values.gateway.hostnames)) }}
{{- fail "gateway.enabled takes a Gateway and the names that the intake is reached by; set gateway.parentRefs and gateway.hostnames" }}
{{- end }}
{{- end }}
