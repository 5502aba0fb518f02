{{/* KEDA's objects for a worker; of `root`, `name`, `of` (for labels) and `worker`. */}}
{{- define "orders.workerScaling" -}}
{{- $scaling := .worker.autoscaling -}}
{{- $settings := mergeOverwrite (dict) (deepCopy .root.Values.settings) (deepCopy (.worker.settings | default dict)) -}}
{{- if $scaling.apiKeySecretKey }}
---
apiVersion: keda.sh/v1alpha1
kind: TriggerAuthentication
metadata:
  name: {{ .name }}
  labels: {{- include "orders.labels" .of | nindent 4 }}
spec:
  secretTargetRef:
    - parameter: apiKey
      name: {{ required "secrets.name is not set: the Secret with Temporal's API key" .root.Values.secrets.name }}
      key: {{ $scaling.apiKeySecretKey }}
{{- end }}
---
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  name: {{ .name }}
  labels: {{- include "orders.labels" .of | nindent 4 }}
spec:
  scaleTargetRef:
    name: {{ .name }}
  minReplicaCount: {{ $scaling.minReplicas }}
  maxReplicaCount: {{ $scaling.maxReplicas }}
  cooldownPeriod: {{ $scaling.cooldownSeconds }}
  fallback:
    failureThreshold: 3
    replicas: {{ $scaling.minReplicas }}
    behavior: currentReplicasIfHigher
  triggers:
    - type: temporal
      metadata:
        endpoint: {{ index $settings "TEMPORAL_HOST" | quote }}
        namespace: {{ index $settings "TEMPORAL_NAMESPACE" | default "default" | quote }}
        taskQueue: {{ .worker.queue }}
        queueTypes: {{ get (dict "workflows" "workflow" "activities" "activity") (.worker.only | default "") | default "workflow,activity" | quote }}
        targetQueueSize: {{ $scaling.tasksPerWorker | toString | quote }}
        {{- with index $settings "WORKER_BUILD_ID" }}
        workerDeploymentName: {{ index $settings "WORKER_DEPLOYMENT_NAME" | default "orders" | quote }}
        workerDeploymentBuildId: {{ . | quote }}
        {{- end }}
      {{- if $scaling.apiKeySecretKey }}
      authenticationRef:
        name: {{ .name }}
      {{- end }}
{{- end -}}
