{{/*
Volumes. The policy lies one folder down ("bundle"): a mounted ConfigMap's own folder also holds `..data` and a dated
folder with every file once more, which OPA would load twice; below a folder of ours there are only real files.
*/}}
{{- define "headgate.volumes" -}}
- name: config
  configMap:
    name: {{ include "headgate.fullname" . }}
- name: policy
  configMap:
    name: {{ include "headgate.policyConfigMap" . }}
    items:
      {{- if .Values.policy.existingConfigMap }}
      {{- range .Values.policy.items }}
      - key: {{ .key }}
        path: bundle/{{ .path }}
      {{- end }}
      {{- else }}
      {{- range $path, $_ := include "headgate.policyFiles" . | fromYaml }}
      - key: {{ include "headgate.policyKey" $path }}
        path: bundle/{{ $path }}
      {{- end }}
      {{- end }}
# Sockets, the policy bundle.
- name: run
  emptyDir:
    medium: Memory
    sizeLimit: 64Mi
# Envoy's configuration, with the clients' keys in it: never on a disk.
- name: bootstrap
  emptyDir:
    medium: Memory
    sizeLimit: 16Mi
- name: tmp
  emptyDir:
    sizeLimit: 1Gi
{{- if .Values.archive.existingClaim }}
- name: archive
  persistentVolumeClaim:
    claimName: {{ .Values.archive.existingClaim }}
{{- end }}
{{- include "headgate.secretVolume" (list "provider-keys" .Values.providerKeys.existingSecret) }}
{{- include "headgate.secretVolume" (list "client-keys" .Values.clientKeys.existingSecret) }}
{{- include "headgate.secretVolume" (list "fingerprint-key" .Values.fingerprintKey.existingSecret) }}
{{- include "headgate.secretVolume" (list "redaction-key" .Values.redactionKey.existingSecret) }}
{{- include "headgate.secretVolume" (list "bundle-token" .Values.policy.bundleToken.existingSecret) }}
{{- include "headgate.secretVolume" (list "tls" .Values.tls.existingSecret) }}
{{- range $name, $configMap := dict "ca" .Values.ca.existingConfigMap "jwks" .Values.jwks.existingConfigMap "verification-key" .Values.policy.verificationKey.existingConfigMap }}
{{- if $configMap }}
- name: {{ $name }}
  configMap:
    name: {{ $configMap }}
{{- end }}
{{- end }}
{{- end }}

{{- define "headgate.secretVolume" -}}
{{- if index . 1 }}
- name: {{ index . 0 }}
  secret:
    secretName: {{ index . 1 }}
    # With fsGroup: owner root, readable by the pod's group.
    defaultMode: 0440
{{- end }}
{{- end }}

{{- define "headgate.claim" -}}
- apiVersion: v1
  kind: PersistentVolumeClaim
  metadata:
    name: {{ .name }}
  spec:
    accessModes: [ReadWriteOnce]
    {{- with .claim.storageClass }}
    storageClassName: {{ . }}
    {{- end }}
    resources:
      requests:
        storage: {{ .claim.size }}
{{- end }}
