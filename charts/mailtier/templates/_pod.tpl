{{/* What both a StatefulSet and a Deployment make their pods of. */}}
{{- define "mailtier.pod" -}}
metadata:
  annotations:
    kubectl.kubernetes.io/default-container: operator
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  # Without the versions of chart and program: a release that changes nothing else restarts nothing.
  labels:
    {{- include "mailtier.selectorLabels" . | nindent 4 }}
    {{- with merge (dict) .Values.podLabels .Values.commonLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "mailtier.serviceAccountName" . }}
  automountServiceAccountToken: true
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . | quote }}
  {{- end }}
  securityContext:
    {{- toYaml .Values.podSecurityContext | nindent 4 }}
  {{- with .Values.dnsConfig }}
  dnsConfig:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  # Two equal containers, not an init container that restarts. That would start the sender first and end it last,
  # which neither needs: the socket is followed from a cursor, and what the operator missed it hears after its
  # next start. It would cost: the sender gets only what the operator left of the grace period, and an operator
  # that is to say what is wrong waits for a sender that cannot start.
  containers:
    - name: operator
      image: {{ include "mailtier.image" . | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args:
        - operator
        - --socket-dir=/run/mailtier
        - --intake-url={{ include "mailtier.intakeUrl" . }}
        {{- if eq .Values.rbac.references.scope "Namespaces" }}
        - --references-role={{ include "mailtier.fullname" . }}-references
        - --service-account={{ .Release.Namespace }}:{{ include "mailtier.serviceAccountName" . }}
        {{- end }}
        - --health-listen=:8080
        - --log-level={{ .Values.operator.logLevel }}
        - --log-format=json
        {{- range .Values.operator.extraArgs }}
        - {{ . | quote }}
        {{- end }}
      {{- with .Values.operator.extraEnv }}
      env:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      ports:
        - {name: http-operator, containerPort: 8080, protocol: TCP}
      {{- include "mailtier.probes" "http-operator" | nindent 6 }}
      {{- with .Values.operator.resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext:
        {{- toYaml .Values.securityContext | nindent 8 }}
      volumeMounts:
        - {name: socket, mountPath: /run/mailtier}
        {{- with .Values.operator.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    - name: sender
      image: {{ include "mailtier.image" . | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args:
        - sender
        - --data-dir=/var/lib/mailtier
        - --socket-dir=/run/mailtier
        - --listen=:8443
        - --health-listen=:8081
        {{- if include "mailtier.tlsSecret" . }}
        - --tls-dir=/etc/mailtier/tls
        {{- else }}
        {{- range include "mailtier.intakeNames" . | fromJsonArray }}
        - {{ printf "--tls-name=%s" . | quote }}
        {{- end }}
        {{- end }}
        {{- with .Values.sender.heloName }}
        - {{ printf "--helo-name=%s" . | quote }}
        {{- end }}
        - --quota-messages={{ int64 .Values.sender.quota.messages }}
        - --quota-bytes={{ int64 .Values.sender.quota.bytes }}
        - --quota-stored-bytes={{ int64 .Values.sender.quota.storedBytes }}
        - --full-at={{ .Values.sender.fullAt }}
        - {{ printf "--keep-failed=%s" .Values.sender.keepFailed | quote }}
        {{- with .Values.sender.postgres.dsnSecret }}
        {{- if .name }}
        - {{ printf "--queue-dsn-file=/etc/mailtier/queue/%s" .key | quote }}
        - --sender-name=$(POD_NAME)
        {{- end }}
        {{- end }}
        {{- range .Values.sender.trustedProxies }}
        - {{ printf "--trusted-proxy=%s" . | quote }}
        {{- end }}
        - --log-level={{ .Values.sender.logLevel }}
        - --log-format=json
        {{- range .Values.sender.extraArgs }}
        - {{ . | quote }}
        {{- end }}
      {{- if or .Values.sender.postgres.dsnSecret.name .Values.sender.extraEnv }}
      env:
        {{- if .Values.sender.postgres.dsnSecret.name }}
        - {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
        {{- end }}
        {{- with .Values.sender.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- end }}
      ports:
        - {name: intake, containerPort: 8443, protocol: TCP}
        - {name: http-sender, containerPort: 8081, protocol: TCP}
      {{- include "mailtier.probes" "http-sender" | nindent 6 }}
      {{- with .Values.sender.resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext:
        {{- toYaml .Values.securityContext | nindent 8 }}
      volumeMounts:
        - {name: socket, mountPath: /run/mailtier}
        - {name: queue, mountPath: /var/lib/mailtier}
        {{- if .Values.sender.postgres.dsnSecret.name }}
        - {name: queue-dsn, mountPath: /etc/mailtier/queue, readOnly: true}
        {{- end }}
        {{- if include "mailtier.tlsSecret" . }}
        - {name: tls, mountPath: /etc/mailtier/tls, readOnly: true}
        {{- end }}
        {{- with .Values.sender.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    # A socket and a public certificate. In memory: a full disk of the node shall not keep the two apart.
    - name: socket
      emptyDir: {medium: Memory, sizeLimit: 1Mi}
    {{- with include "mailtier.tlsSecret" . }}
    - name: tls
      secret: {secretName: {{ . | quote }}, defaultMode: 0440}
    {{- end }}
    {{- with .Values.sender.postgres.dsnSecret.name }}
    # The whole folder, not one file of it: a mounted file would keep the password that it had at the start.
    - name: queue-dsn
      secret: {secretName: {{ . | quote }}, defaultMode: 0440}
    {{- end }}
    {{- if not .Values.sender.persistence.enabled }}
    - name: queue
      emptyDir: {sizeLimit: 16Mi}
    {{- else if .Values.sender.persistence.existingClaim }}
    - name: queue
      persistentVolumeClaim: {claimName: {{ .Values.sender.persistence.existingClaim | quote }}}
    {{- end }}
    {{- with .Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with include "mailtier.topologySpread" . | fromYamlArray }}
  topologySpreadConstraints:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{/* How the pods are spread, a YAML list: as the values say, each constraint for these pods unless it says for which. */}}
{{- define "mailtier.topologySpread" -}}
{{- $own := dict "labelSelector" (dict "matchLabels" (include "mailtier.selectorLabels" . | fromYaml)) }}
{{- $chosen := .Values.topologySpreadConstraints }}
{{- if and (not $chosen) (gt (int .Values.sender.replicas) 1) }}
{{- /* What a node or a zone takes with it shall not be all senders; a cluster with one of them is no reason to wait. */ -}}
{{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
{{- $chosen = append $chosen (dict "maxSkew" 1 "topologyKey" . "whenUnsatisfiable" "ScheduleAnyway") }}
{{- end }}
{{- end }}
{{- range $chosen }}
- {{- toYaml (merge (dict) . $own) | nindent 2 }}
{{- end }}
{{- end }}
