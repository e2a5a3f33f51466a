{{/*
headgate.yaml and the policy files. What depends on where things lie in the pod (addresses, folders, secrets) is set
here and nowhere in the values, so that the two cannot disagree.
*/}}

{{- define "headgate.settings" -}}
{{- $settings := .Values.settings -}}
{{- $listener := merge (dict "address" (printf "0.0.0.0:%d" (int .Values.port))) $settings.listener -}}
{{- if .Values.tls.existingSecret -}}
{{- $tls := dict "certificate" "/etc/headgate/tls/tls.crt" "private_key" "/etc/headgate/tls/tls.key" -}}
{{- if .Values.tls.clientCa -}}{{- $_ := set $tls "client_ca" "/etc/headgate/tls/ca.crt" -}}{{- end -}}
{{- $_ := set $listener "tls" $tls -}}
{{- end -}}
{{- $telemetry := dict "access_log" "/var/lib/headgate/state/access.log" "metrics_address" nil -}}
{{- if .Values.metrics.enabled -}}
{{- $_ := set $telemetry "metrics_address" (printf "0.0.0.0:%d" (int .Values.metrics.port)) -}}
{{- end -}}
{{- $capture := dict "spool_dir" "/var/lib/headgate/state/spool" "archive_dir" "/var/lib/headgate/archive" -}}
{{- $policy := dict "bundle" "/etc/headgate/policy/bundle" -}}
{{- if $settings.policy.bundle_url -}}{{- $_ := set $policy "state_dir" "/var/lib/headgate/state/policy" -}}{{- end -}}
{{- if .Values.policy.verificationKey.existingConfigMap -}}
{{- $file := printf "/etc/headgate/verification-key/%s" .Values.policy.verificationKey.key -}}
{{- $_ := set $policy "verification_key_file" $file -}}
{{- end -}}
{{- if .Values.policy.bundleToken.existingSecret -}}
{{- $file := printf "/etc/headgate/bundle-token/%s" .Values.policy.bundleToken.key -}}
{{- $_ := set $policy "bundle_token" (dict "file" $file) -}}
{{- end -}}
{{- $all := dict
  "version" 1
  "replica_id" (dict "env" "HEADGATE_REPLICA_ID")
  "run_dir" "/run/headgate"
  "listener" $listener
  "teams" "/etc/headgate/teams.yaml"
  "providers" $settings.providers
  "routes" $settings.routes
  "policy" (merge $policy $settings.policy)
  "limits" $settings.limits
  "capture" (merge $capture $settings.capture)
  "telemetry" (merge $telemetry $settings.telemetry)
-}}
{{- if .Values.patterns -}}
{{- $_ := set $all "detectors" (dict "patterns_file" "/etc/headgate/patterns.yaml") -}}
{{- end -}}
{{- if .Values.fingerprintKey.existingSecret -}}
{{- $file := printf "/etc/headgate/fingerprint-key/%s" .Values.fingerprintKey.key -}}
{{- $_ := set $all "fingerprint_key" (dict "file" $file) -}}
{{- end -}}
{{- $redaction := dict -}}
{{- if .Values.redactionKey.existingSecret -}}
{{- $_ := set $redaction "key" (dict "file" (printf "/etc/headgate/redaction-key/%s" .Values.redactionKey.key)) -}}
{{- end -}}
{{- $_ := set $all "redaction" (merge $redaction $settings.redaction) -}}
{{- if $settings.jwt -}}
{{- $_ := set $all "jwt" (merge (dict "jwks_file" (printf "/etc/headgate/jwks/%s" .Values.jwks.key)) $settings.jwt) -}}
{{- end -}}
{{- toYaml $all -}}
{{- end }}

{{/* The policy's files as a YAML mapping of path to text: the chart's own, with the values laid over them. */}}
{{- define "headgate.policyFiles" -}}
{{- $files := dict -}}
{{- range $path, $content := .Files.Glob "files/policies/**" -}}
{{- $relative := trimPrefix "files/policies/" $path -}}
{{- if regexMatch "\\.(rego|json|ya?ml)$" $relative -}}
{{- $_ := set $files $relative (toString $content) -}}
{{- end -}}
{{- end -}}
{{- if .Values.policy.data -}}
{{- $_ := set $files "data/data.yaml" (printf "%s\n" (toYaml .Values.policy.data)) -}}
{{- end -}}
{{- /* toYaml takes the last line's end off, and with it that of the last file: its text, and the revision, would change. */ -}}
{{- printf "%s\n" (toYaml (merge (deepCopy .Values.policy.files) $files)) -}}
{{- end }}

{{/* A ConfigMap's key may hold no slash. */}}
{{- define "headgate.policyKey" -}}
{{- . | replace "/" "--" -}}
{{- end }}

{{- define "headgate.policyConfigMap" -}}
{{- .Values.policy.existingConfigMap | default (printf "%s-policy" (include "headgate.fullname" .)) -}}
{{- end }}

{{/* Is any route in shadow, or do all callers show a certificate? "true" or "". */}}
{{- define "headgate.anyShadow" -}}
{{- range .Values.settings.routes -}}{{- if eq .mode "shadow" -}}true{{- break -}}{{- end -}}{{- end -}}
{{- end }}

{{- define "headgate.onlyCertificates" -}}
{{- $all := true -}}
{{- range .Values.settings.routes -}}{{- if ne .authentication "certificate" -}}{{- $all = false -}}{{- end -}}{{- end -}}
{{- if $all -}}true{{- end -}}
{{- end }}

{{/*
terminationGracePeriodSeconds: Envoy's drain, then extproc's (and the 4 s it gives to streams that were cut), then the
last batch of capture, then OPA. Whoever is not done by then is killed, and the next pod on the same volume goes on.
*/}}
{{- define "headgate.graceSeconds" -}}
{{- $drainMs := .Values.settings.limits.drain_ms_max | default 10000 | int -}}
{{- add (int .Values.drain.seconds) (div (add $drainMs 999) 1000) 4 (int .Values.drain.publishSeconds) 6 -}}
{{- end }}

{{/* What a schema cannot say: which value needs which other. */}}
{{- define "headgate.check" -}}
{{- $v := .Values -}}
{{- if gt (int $v.drain.settleSeconds) (int $v.drain.seconds) -}}
{{- fail "drain.settleSeconds must not be more than drain.seconds" -}}
{{- end -}}
{{- if and $v.policy.existingConfigMap (not $v.policy.items) -}}
{{- fail "policy.items is needed with policy.existingConfigMap: which of its keys is which file, e.g. [{key: main.rego, path: main.rego}]" -}}
{{- end -}}
{{- if and $v.policy.existingConfigMap (or $v.policy.data $v.policy.files) -}}
{{- fail "policy.data and policy.files change the chart's own policy: they cannot be used with policy.existingConfigMap" -}}
{{- end -}}
{{- if and $v.settings.policy.bundle_url (not $v.policy.verificationKey.existingConfigMap) -}}
{{- fail "policy.verificationKey.existingConfigMap is needed with settings.policy.bundle_url: bundles must be signed" -}}
{{- end -}}
{{- if and (not $v.settings.policy.bundle_url) (or $v.policy.verificationKey.existingConfigMap $v.policy.bundleToken.existingSecret) -}}
{{- fail "policy.verificationKey and policy.bundleToken are of use only with settings.policy.bundle_url" -}}
{{- end -}}
{{- if and $v.settings.policy.bundle_ca_file (not $v.ca.existingConfigMap) -}}
{{- fail "ca.existingConfigMap is needed: settings.policy.bundle_ca_file lies in it" -}}
{{- end -}}
{{- if and $v.extproc.gateReadiness (include "headgate.anyShadow" .) -}}
{{- fail "extproc.gateReadiness would take routes in shadow down with extproc: use it only where every route enforces" -}}
{{- end -}}
{{- if and $v.settings.jwt (not $v.jwks.existingConfigMap) -}}
{{- fail "jwks.existingConfigMap is needed with settings.jwt: the keys that tokens are verified with" -}}
{{- end -}}
{{- if and $v.tls.clientCa (not $v.tls.existingSecret) -}}
{{- fail "tls.existingSecret is needed with tls.clientCa" -}}
{{- end -}}
{{- if and (gt (int $v.replicas) 1) (not $v.archive.existingClaim) (not $v.archive.perReplica) -}}
{{- fail "replicas > 1: give archive.existingClaim, a ReadWriteMany claim for one archive, or set archive.perReplica for an archive per pod" -}}
{{- end -}}
{{- range $name, $provider := $v.settings.providers -}}
{{- if and $provider.credential (not $v.providerKeys.existingSecret) -}}
{{- fail (printf "providerKeys.existingSecret is needed: settings.providers.%s.credential reads a key from it" $name) -}}
{{- end -}}
{{- if and $provider.ca_file (not $v.ca.existingConfigMap) -}}
{{- fail (printf "ca.existingConfigMap is needed: settings.providers.%s.ca_file lies in it" $name) -}}
{{- end -}}
{{- end -}}
{{- range $route := $v.settings.routes -}}
{{- if not (hasKey $v.settings.providers $route.provider) -}}
{{- fail (printf "settings.routes[%s].provider: %q is not in settings.providers" $route.name $route.provider) -}}
{{- end -}}
{{- if and (eq $route.authentication "none") (not $v.fingerprintKey.existingSecret) -}}
{{- fail (printf "fingerprintKey.existingSecret is needed: settings.routes[%s] knows its callers by key fingerprint" $route.name) -}}
{{- end -}}
{{- if and (eq $route.authentication "certificate") (not $v.tls.clientCa) -}}
{{- fail (printf "tls.clientCa is needed: settings.routes[%s] authenticates by certificate" $route.name) -}}
{{- end -}}
{{- if and (eq $route.authentication "jwt") (not $v.settings.jwt) -}}
{{- fail (printf "settings.jwt is needed: settings.routes[%s] authenticates by token" $route.name) -}}
{{- end -}}
{{- end -}}
{{- range $team := $v.teams -}}{{- range $project := $team.projects -}}{{- range $caller := $project.callers -}}
{{- if and $caller.api_key (not $v.clientKeys.existingSecret) -}}
{{- fail (printf "clientKeys.existingSecret is needed: the key of caller %s in teams lies in it" $caller.id) -}}
{{- end -}}
{{- end -}}{{- end -}}{{- end -}}
{{- end }}
