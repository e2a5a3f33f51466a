{{/*
The containers of the pod. docs/deploy-kubernetes.md says why they stand in this order and who mounts what.
*/}}

{{- define "headgate.security" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{/* Image and environment of the containers that run headgate itself. */}}
{{- define "headgate.ours" -}}
image: {{ include "headgate.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
env:
  # The pod's name is the replica's id: stable over restarts, unique in an archive that replicas share.
  - name: HEADGATE_REPLICA_ID
    valueFrom:
      fieldRef:
        fieldPath: metadata.name
  - name: HEADGATE_CONFIG
    value: /etc/headgate/headgate.yaml
  - name: PYTHONUNBUFFERED
    value: "1"
{{- end }}

{{- define "headgate.ourMounts" -}}
- name: config
  mountPath: /etc/headgate/headgate.yaml
  subPath: headgate.yaml
  readOnly: true
- name: config
  mountPath: /etc/headgate/teams.yaml
  subPath: teams.yaml
  readOnly: true
{{- if .Values.patterns }}
- name: config
  mountPath: /etc/headgate/patterns.yaml
  subPath: patterns.yaml
  readOnly: true
{{- end }}
- name: run
  mountPath: /run/headgate
- name: tmp
  mountPath: /tmp
{{- end }}

{{/* Builds the bundle. Its revision is a hash of the files: the one that `headgate policy bundle` prints anywhere. */}}
{{- define "headgate.container.bundle" -}}
- name: policy-bundle
  {{- include "headgate.ours" . | nindent 2 }}
  command: [headgate, policy, bundle]
  args: [--policies, /etc/headgate/policy/bundle, --out, /run/headgate/bundle.tar.gz]
  securityContext:
    {{- include "headgate.security" . | nindent 4 }}
  resources:
    {{- toYaml .Values.init.resources | nindent 4 }}
  volumeMounts:
    {{- include "headgate.ourMounts" . | nindent 4 }}
    - name: policy
      mountPath: /etc/headgate/policy
      readOnly: true
{{- end }}

{{/* Renders OPA's configuration, where it has more to know than its bundle's file. */}}
{{- define "headgate.container.opaConfig" -}}
- name: opa-config
  {{- include "headgate.ours" . | nindent 2 }}
  command: [headgate, opa-config]
  args: [--config, /etc/headgate/headgate.yaml, --out, /run/headgate/opa.yaml]
  securityContext:
    {{- include "headgate.security" . | nindent 4 }}
  resources:
    {{- toYaml .Values.init.resources | nindent 4 }}
  volumeMounts:
    {{- include "headgate.ourMounts" . | nindent 4 }}
    {{- if .Values.policy.verificationKey.existingConfigMap }}
    - name: verification-key
      mountPath: /etc/headgate/verification-key
      readOnly: true
    {{- end }}
{{- end }}

{{/*
Renders Envoy's bootstrap. Clients' keys stand in it, so it lies in memory, where only Envoy mounts it. The CA file is the
one of Envoy's image: without it the image that renders would be searched for one.
*/}}
{{- define "headgate.container.bootstrap" -}}
- name: envoy-bootstrap
  {{- include "headgate.ours" . | nindent 2 }}
  command: [headgate, envoy-config]
  args:
    - --config
    - /etc/headgate/headgate.yaml
    - --out
    - /run/envoy/envoy.yaml
    - --ca-file
    - /etc/ssl/certs/ca-certificates.crt
  securityContext:
    {{- include "headgate.security" . | nindent 4 }}
  resources:
    {{- toYaml .Values.init.resources | nindent 4 }}
  volumeMounts:
    {{- include "headgate.ourMounts" . | nindent 4 }}
    - name: bootstrap
      mountPath: /run/envoy
    {{- include "headgate.mount.clientKeys" . | nindent 4 }}
{{- end }}

{{- define "headgate.mount.clientKeys" -}}
{{- if .Values.clientKeys.existingSecret -}}
- name: client-keys
  mountPath: /etc/headgate/client-keys
  readOnly: true
{{- end -}}
{{- end }}

{{- define "headgate.container.opa" -}}
- name: opa
  image: {{ include "headgate.imageRef" (dict "image" .Values.opa.image "tag" "") }}
  imagePullPolicy: {{ .Values.opa.image.pullPolicy }}
  restartPolicy: Always
  command: [/opa]
  args:
    - run
    - --server
    - --disable-telemetry
    - --log-level=error
    - --addr=unix:///run/headgate/opa.sock
    # Health and metrics only: nothing can be asked or changed there.
    - --diagnostic-addr=0.0.0.0:{{ .Values.opa.diagnosticPort }}
    - --config-file=/run/headgate/opa.yaml
    {{- if not .Values.settings.policy.bundle_url }}
    - --bundle
    - /run/headgate/bundle.tar.gz
    {{- end }}
  ports:
    - name: opa-diagnostic
      containerPort: {{ .Values.opa.diagnosticPort }}
  livenessProbe:
    httpGet:
      path: /health
      port: opa-diagnostic
    periodSeconds: 10
    timeoutSeconds: 2
    failureThreshold: 6
  securityContext:
    {{- include "headgate.security" . | nindent 4 }}
  resources:
    {{- toYaml .Values.opa.resources | nindent 4 }}
  volumeMounts:
    - name: run
      mountPath: /run/headgate
    {{- if .Values.settings.policy.bundle_url }}
    # The last good bundle, and nothing of the spool.
    - name: state
      mountPath: /var/lib/headgate/state/policy
      subPath: policy
    {{- end }}
    {{- if .Values.policy.bundleToken.existingSecret }}
    - name: bundle-token
      mountPath: /etc/headgate/bundle-token
      readOnly: true
    {{- end }}
    {{- if .Values.settings.policy.bundle_ca_file }}
    - name: ca
      mountPath: /etc/headgate/ca
      readOnly: true
    {{- end }}
{{- end }}

{{- define "headgate.container.capture" -}}
- name: capture
  {{- include "headgate.ours" . | nindent 2 }}
  restartPolicy: Always
  command: [headgate, archive]
  args: [--config, /etc/headgate/headgate.yaml]
  securityContext:
    {{- include "headgate.security" . | nindent 4 }}
  resources:
    {{- toYaml .Values.capture.resources | nindent 4 }}
  volumeMounts:
    {{- include "headgate.ourMounts" . | nindent 4 }}
    - name: state
      mountPath: /var/lib/headgate/state
    - name: archive
      mountPath: /var/lib/headgate/archive
{{- end }}

{{- define "headgate.container.extproc" -}}
- name: extproc
  {{- include "headgate.ours" . | nindent 2 }}
  restartPolicy: Always
  command: [headgate, serve]
  args: [--config, /etc/headgate/headgate.yaml]
  {{- if .Values.metrics.enabled }}
  ports:
    - name: metrics
      containerPort: {{ .Values.metrics.port }}
  {{- end }}
  # An event loop that turns answers this within milliseconds: one that is silent for a minute is stopped or stuck.
  # Shadow routes go on while it restarts, enforced ones answer 503.
  livenessProbe:
    exec:
      command: [python, -m, extproc.pod, alive, --socket, /run/headgate/extproc.sock, --within-s, "5"]
    initialDelaySeconds: 20
    periodSeconds: 20
    timeoutSeconds: 10
    failureThreshold: 3
  {{- if .Values.extproc.gateReadiness }}
  readinessProbe:
    exec:
      command: [python, -m, extproc.pod, alive, --socket, /run/headgate/extproc.sock, --within-s, "5"]
    periodSeconds: 10
    timeoutSeconds: 10
    failureThreshold: 2
  {{- end }}
  securityContext:
    {{- include "headgate.security" . | nindent 4 }}
  resources:
    {{- toYaml .Values.extproc.resources | nindent 4 }}
  volumeMounts:
    {{- include "headgate.ourMounts" . | nindent 4 }}
    - name: state
      mountPath: /var/lib/headgate/state
    {{- if .Values.fingerprintKey.existingSecret }}
    - name: fingerprint-key
      mountPath: /etc/headgate/fingerprint-key
      readOnly: true
    {{- end }}
    {{- if .Values.redactionKey.existingSecret }}
    - name: redaction-key
      mountPath: /etc/headgate/redaction-key
      readOnly: true
    {{- end }}
{{- end }}

{{/* Envoy starts when the sidecars answer; with a route in shadow also when they do not, because that route needs none. */}}
{{- define "headgate.container.await" -}}
- name: await-sidecars
  {{- include "headgate.ours" . | nindent 2 }}
  command: [python, -m, extproc.pod, await]
  args:
    - --config
    - /etc/headgate/headgate.yaml
    - --within-s
    - {{ .Values.extproc.startSeconds | quote }}
    {{- if include "headgate.anyShadow" . }}
    - --or-go-on
    {{- end }}
  securityContext:
    {{- include "headgate.security" . | nindent 4 }}
  resources:
    {{- toYaml .Values.init.resources | nindent 4 }}
  volumeMounts:
    {{- include "headgate.ourMounts" . | nindent 4 }}
{{- end }}

{{- define "headgate.container.envoy" -}}
- name: envoy
  image: {{ include "headgate.imageRef" (dict "image" .Values.envoy.image "tag" "") }}
  imagePullPolicy: {{ .Values.envoy.image.pullPolicy }}
  command: [envoy]
  args:
    - --config-path
    - /run/envoy/envoy.yaml
    - --disable-hot-restart
    - --concurrency
    - {{ .Values.envoy.concurrency | quote }}
    - --log-level
    - {{ .Values.envoy.logLevel }}
    - --component-log-level
    - misc:error
    - --file-flush-interval-msec
    - "500"
    # While it drains, it asks every connection to close after its answer, and accepts new ones as long.
    - --drain-strategy
    - immediate
    - --drain-time-s
    - {{ .Values.drain.seconds | quote }}
  ports:
    - name: gate
      containerPort: {{ .Values.port }}
  # Envoy alone decides whether the pod is ready. See docs/deploy-kubernetes.md, "Probes".
  readinessProbe:
    {{- if and .Values.tls.existingSecret (include "headgate.onlyCertificates" .) }}
    # The kubelet has no client certificate to show.
    tcpSocket:
      port: gate
    {{- else }}
    httpGet:
      path: /-/healthy
      port: gate
      scheme: {{ ternary "HTTPS" "HTTP" (not (empty .Values.tls.existingSecret)) }}
    {{- end }}
    periodSeconds: 5
    timeoutSeconds: 2
    failureThreshold: 2
  lifecycle:
    preStop:
      exec:
        # SIGTERM would cut every stream. The keeper drains Envoy and then writes this file.
        command:
          - /bin/sh
          - -c
          - n=0; until [ -e /run/headgate/drained ] || [ $n -ge {{ add (int .Values.drain.seconds) 2 }} ]; do n=$((n+1)); sleep 1; done
  securityContext:
    {{- include "headgate.security" . | nindent 4 }}
  resources:
    {{- toYaml .Values.envoy.resources | nindent 4 }}
  volumeMounts:
    - name: bootstrap
      mountPath: /run/envoy
      readOnly: true
    - name: run
      mountPath: /run/headgate
    - name: state
      mountPath: /var/lib/headgate/state
    {{- if .Values.providerKeys.existingSecret }}
    - name: provider-keys
      mountPath: /etc/headgate/provider-keys
      readOnly: true
    {{- end }}
    {{- if .Values.tls.existingSecret }}
    - name: tls
      mountPath: /etc/headgate/tls
      readOnly: true
    {{- end }}
    {{- if .Values.jwks.existingConfigMap }}
    - name: jwks
      mountPath: /etc/headgate/jwks
      readOnly: true
    {{- end }}
    {{- if .Values.ca.existingConfigMap }}
    - name: ca
      mountPath: /etc/headgate/ca
      readOnly: true
    {{- end }}
{{- end }}

{{- define "headgate.container.keeper" -}}
- name: keeper
  {{- include "headgate.ours" . | nindent 2 }}
  command: [python, -m, extproc.pod, keep]
  args:
    - --config
    - /etc/headgate/headgate.yaml
    - --settle-s
    - {{ .Values.drain.settleSeconds | quote }}
    - --drain-s
    - {{ .Values.drain.seconds | quote }}
    - --access-log-bytes-max
    - {{ .Values.accessLog.bytesMax | int64 | quote }}
  securityContext:
    {{- include "headgate.security" . | nindent 4 }}
  resources:
    {{- toYaml .Values.keeper.resources | nindent 4 }}
  volumeMounts:
    {{- include "headgate.ourMounts" . | nindent 4 }}
    - name: state
      mountPath: /var/lib/headgate/state
    - name: archive
      mountPath: /var/lib/headgate/archive
    - name: policy
      mountPath: /etc/headgate/policy
      readOnly: true
    {{- include "headgate.mount.clientKeys" . | nindent 4 }}
{{- end }}
