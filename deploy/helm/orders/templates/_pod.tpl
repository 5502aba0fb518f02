{{/*
The environment of a container: of `root`, `settings` (the pod's own, which win), `fixed` (the chart's, which win over all)
and `without` (secrets that somebody else hands over). Of a secret it has the file's name. Sorted, so that the same values make the
same text.
*/}}
{{- define "orders.environment" -}}
{{- $settings := mergeOverwrite (dict) (deepCopy .root.Values.settings) (deepCopy (.settings | default dict)) -}}
{{- range $name := list "KAFKA_BOOTSTRAP_SERVERS" "TEMPORAL_HOST" "DB_HOST" -}}
{{- if not (index $settings $name) -}}
{{- fail (printf "settings.%s is not set: say where that server is" $name) -}}
{{- end -}}
{{- end -}}
{{- $environment := dict -}}
{{- range $name, $value := $settings -}}
{{- if not (kindIs "invalid" $value) -}}{{- $_ := set $environment $name (include "orders.text" $value) -}}{{- end -}}
{{- end -}}
{{- if and .root.Values.secrets.settings (not .root.Values.secrets.name) -}}
{{- fail "secrets.name is not set: the Secret that has secrets.settings" -}}
{{- end -}}
{{- range $name := .root.Values.secrets.settings -}}
{{- if not (has $name ($.without | default list)) -}}
{{- $_ := set $environment (printf "%s_FILE" $name) (printf "%s/%s" $.root.Values.secrets.mountPath $name) -}}
{{- end -}}
{{- end -}}
{{- range $name, $value := .fixed -}}{{- $_ := set $environment $name $value -}}{{- end -}}
{{- range $name := keys $environment | sortAlpha }}
- name: {{ $name }}
  value: {{ index $environment $name | quote }}
{{- end -}}
{{- end -}}

{{/* A value as a setting is written: large numbers without an exponent. */}}
{{- define "orders.text" -}}
{{- if and (kindIs "float64" .) (eq . (floor .)) -}}{{- printf "%.0f" . -}}{{- else -}}{{- toString . -}}{{- end -}}
{{- end -}}

{{/* What every pod's specification begins with; of `root`, `component` and `grace`. */}}
{{- define "orders.podCommon" -}}
{{- $pods := .root.Values.pods -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .root.Values.serviceAccountName }}
serviceAccountName: {{ . }}
{{- end }}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
terminationGracePeriodSeconds: {{ $pods.terminationGracePeriodSeconds }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  # So that the account can read the Secret's files.
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- with $pods.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $pods.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $pods.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $pods.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- if $pods.topologySpread }}
topologySpreadConstraints:
  {{- range $key := list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - topologyKey: {{ $key }}
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "orders.selector" (dict "root" $.root "component" $.component) | nindent 8 }}
  {{- end }}
{{- end }}
volumes:
  - name: tmp
    emptyDir: {sizeLimit: 64Mi}
  {{- with .root.Values.secrets.name }}
  - name: secrets
    secret:
      secretName: {{ . }}
      defaultMode: 0440
  {{- end }}
  {{- with $pods.volumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* What every container has; of `root`, `tag` and `resources`. */}}
{{- define "orders.containerCommon" -}}
image: {{ include "orders.image" (dict "root" .root "tag" .tag) | quote }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- with .resources }}
resources: {{- toYaml . | nindent 2 }}
{{- end }}
volumeMounts:
  - name: tmp
    mountPath: /tmp
  {{- if .root.Values.secrets.name }}
  - name: secrets
    mountPath: {{ .root.Values.secrets.mountPath }}
    readOnly: true
  {{- end }}
  {{- with .root.Values.pods.volumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/*
Probes of the port `health`. It is restarted for /livez alone; where nothing answers for a minute, the loop that does the work
stands still. The start has two minutes: a process waits for servers without an end, and answers meanwhile.
*/}}
{{- define "orders.probes" -}}
startupProbe:
  httpGet: {path: /livez, port: health}
  periodSeconds: 2
  failureThreshold: 60
  timeoutSeconds: 5
livenessProbe:
  httpGet: {path: /livez, port: health}
  periodSeconds: 10
  failureThreshold: 6
  timeoutSeconds: 5
readinessProbe:
  httpGet: {path: /readyz, port: health}
  periodSeconds: 5
  failureThreshold: 3
  timeoutSeconds: 5
{{- end -}}

{{/* A pod's template from its metadata on; of what the parts above are of, and `args`, `port`, `annotations`, `ports`, `environment`, `lifecycle`. */}}
{{- define "orders.podTemplate" -}}
metadata:
  labels: {{- include "orders.labels" . | nindent 4 }}
  {{- with mergeOverwrite (dict) (deepCopy .root.Values.pods.annotations) (deepCopy (.annotations | default dict)) }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- include "orders.podCommon" . | nindent 2 }}
  containers:
    - name: {{ .container }}
      args: {{ toJson .args }}
      {{- include "orders.containerCommon" . | nindent 6 }}
      env:
        {{- .environment | trim | nindent 8 }}
      ports:
        - name: health
          containerPort: {{ .port }}
        {{- range .ports }}
        - name: {{ .name }}
          containerPort: {{ .port }}
        {{- end }}
      {{- include "orders.probes" . | nindent 6 }}
      {{- with .lifecycle }}
      lifecycle: {{- toYaml . | nindent 8 }}
      {{- end }}
{{- end -}}

{{/* A PodDisruptionBudget; of `root`, `name`, `component` and `budget`. */}}
{{- define "orders.disruptionBudget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ .name }}
  labels: {{- include "orders.labels" . | nindent 4 }}
spec:
  {{- toYaml .budget | nindent 2 }}
  # One that is not ready does not hold up a machine that is emptied: it does no work there.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels: {{- include "orders.selector" . | nindent 6 }}
{{- end -}}
