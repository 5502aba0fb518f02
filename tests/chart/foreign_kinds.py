"""Kinds of other projects that the chart makes objects of, as an API server knows them: with the fields that it uses.

In our own words, after the documentation of KEDA 2.21, Temporal's worker controller 1.8 and the Prometheus operator.
A field that is not here, or of another type, is refused.
"""

from typing import Any, Final

_TEXT: Final = {"type": "string"}
_NUMBER: Final = {"type": "integer"}
_ANY: Final = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_TEXTS: Final = {"type": "object", "additionalProperties": _TEXT}


def _object(*required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, **({"required": list(required)} if required else {})}


def _list(item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": item}


_NAMED: Final = _object("name", name=_TEXT)
_KEY_OF_A_SECRET: Final = _object("key", name=_TEXT, key=_TEXT)

_SCALED_OBJECT: Final = _object(
    "scaleTargetRef",
    "triggers",
    scaleTargetRef=_object("name", apiVersion=_TEXT, kind=_TEXT, name=_TEXT),
    minReplicaCount=_NUMBER,
    maxReplicaCount=_NUMBER,
    cooldownPeriod=_NUMBER,
    fallback=_object(
        "failureThreshold",
        "replicas",
        failureThreshold=_NUMBER,
        replicas=_NUMBER,
        behavior={
            "type": "string",
            "enum": ["static", "currentReplicas", "currentReplicasIfHigher", "currentReplicasIfLower"],
        },
    ),
    triggers=_list(_object("type", "metadata", type=_TEXT, metadata=_TEXTS, authenticationRef=_NAMED)),
)
_TRIGGER_AUTHENTICATION: Final = _object(
    secretTargetRef=_list(_object("key", "name", "parameter", key=_TEXT, name=_TEXT, parameter=_TEXT))
)
_CONNECTION: Final = _object(
    "hostPort",
    hostPort={"type": "string", "pattern": "^[a-zA-Z0-9.-]+:[0-9]+$"},
    mutualTLSSecretRef=_NAMED,
    apiKeySecretRef=_KEY_OF_A_SECRET,
)
_WORKER_DEPLOYMENT: Final = _object(
    "rollout",
    "sunset",
    "template",
    "workerOptions",
    replicas=_NUMBER,
    template=_ANY,
    workerOptions=_object(
        "connectionRef",
        "temporalNamespace",
        connectionRef=_NAMED,
        temporalNamespace=_TEXT,
        unsafeCustomBuildID={
            "type": "string",
            "maxLength": 63,
            "pattern": "^[a-zA-Z0-9]([a-zA-Z0-9._-]*[a-zA-Z0-9])?$",
        },
    ),
    rollout=_object(
        "strategy",
        strategy={"type": "string", "enum": ["Manual", "AllAtOnce", "Progressive"]},
        steps=_list(_object("rampPercentage", "pauseDuration", rampPercentage=_NUMBER, pauseDuration=_TEXT)),
    ),
    sunset=_object(scaledownDelay=_TEXT, deleteDelay=_TEXT),
)
_SERVICE_MONITOR: Final = _object(
    "endpoints",
    "selector",
    selector=_object(matchLabels=_TEXTS),
    endpoints=_list(
        _object(
            port=_TEXT,
            path=_TEXT,
            interval=_TEXT,
            relabelings=_list(_object(targetLabel=_TEXT, replacement=_TEXT)),
        )
    ),
)
_RULE: Final = _object(
    "expr",
    alert=_TEXT,
    record=_TEXT,
    expr={"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": True},
    labels=_TEXTS,
    annotations=_TEXTS,
    **{"for": _TEXT},
)
_PROMETHEUS_RULE: Final = _object(
    groups=_list(_object("name", name=_TEXT, interval=_TEXT, rules=_list(_RULE))),
)

KINDS: Final = {
    ("keda.sh", "v1alpha1", "ScaledObject"): _SCALED_OBJECT,
    ("keda.sh", "v1alpha1", "TriggerAuthentication"): _TRIGGER_AUTHENTICATION,
    ("temporal.io", "v1alpha1", "Connection"): _CONNECTION,
    ("temporal.io", "v1alpha1", "WorkerDeployment"): _WORKER_DEPLOYMENT,
    ("monitoring.coreos.com", "v1", "ServiceMonitor"): _SERVICE_MONITOR,
    ("monitoring.coreos.com", "v1", "PrometheusRule"): _PROMETHEUS_RULE,
}


def definitions() -> list[dict[str, Any]]:
    """A CustomResourceDefinition for each kind."""
    return [_definition(*names, spec) for names, spec in KINDS.items()]


def _definition(group: str, version: str, kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    plural = f"{kind.lower()}s"
    schema = _object("spec", apiVersion=_TEXT, kind=_TEXT, metadata={"type": "object"}, spec=spec)
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": f"{kind}List"},
            "versions": [
                {"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}},
            ],
        },
    }
