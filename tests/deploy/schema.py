"""The schema of the chart's values: their types from values.yaml, bounds from here, settings from the code."""

from typing import Any, Final

from pydantic import SecretStr

from orders.settings import Settings
from orders.settings.model import GROUPS
from tests.deploy.values import default_values

OF_THE_CHART: Final = frozenset(
    {
        "API_HEALTH_PORT", "API_HOST", "API_PORT", "BRIDGE_HEALTH_PORT", "BRIDGE_INSTANCE_ID", "HEALTH_BIND_ADDRESS",
        "WORKER_HEALTH_PORT",
    }
)  # fmt: skip
"""Settings that the chart gives, as its probes, Services and names of pods hang on them."""
_NOT_FOR_INSTALLATIONS: Final = frozenset({"FAILPOINTS"})
_TEXTS: Final = {"type": "object", "additionalProperties": {"type": "string"}}
_ANY_OBJECT: Final = {"type": "object"}
_OBJECTS: Final = {"type": "array", "items": {"type": "object"}}
_SETTINGS: Final = {"$ref": "#/definitions/settings"}
_PART: Final = "[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?"

_OPEN: Final[dict[str, dict[str, Any]]] = {
    "affinity": _ANY_OBJECT,
    "annotations": _TEXTS,
    "apiFrom": _OBJECTS,
    "commonLabels": _TEXTS,
    "disruptionBudget": _ANY_OBJECT,
    "extraEgress": _OBJECTS,
    "labels": _TEXTS,
    "metricsFrom": _OBJECTS,
    "nodeSelector": _TEXTS,
    "pullSecrets": {"type": "array", "items": {"type": "string"}},
    "resources": _ANY_OBJECT,
    "rollout": _ANY_OBJECT,
    "settings": _SETTINGS,
    "to": _OBJECTS,
    "tolerations": _OBJECTS,
    "volumeMounts": _OBJECTS,
    "volumes": _OBJECTS,
}
"""What Kubernetes or another part defines, by the name of the value."""

_BOUNDS: Final[dict[str, dict[str, Any]]] = {
    "api.ingress.host": {"pattern": r"^([a-z0-9*]([a-z0-9.-]*[a-z0-9])?)?$"},
    "api.replicas": {"minimum": 1},
    "bridge.autoscaling.minReplicas": {"minimum": 1},
    "bridge.autoscaling.recordsPerBridge": {"minimum": 1},
    "bridge.replicas": {"minimum": 1},
    "image.digest": {"pattern": "^(sha256:[0-9a-f]{64})?$"},
    # Not what is meant to become another image.
    "image.tag": {"not": {"enum": ["latest"]}},
    "image.pullPolicy": {"enum": ["Always", "IfNotPresent", "Never"]},
    "networkPolicy.kafka.ports": {"minItems": 1},
    "networkPolicy.postgres.ports": {"minItems": 1},
    "networkPolicy.providers.ports": {"minItems": 1},
    "networkPolicy.temporal.ports": {"minItems": 1},
    "pods.terminationGracePeriodSeconds": {"minimum": 30},
    "secrets.mountPath": {"pattern": "^/[^:]+$"},
    "workerController.buildId": {"pattern": "^([a-zA-Z0-9]([a-zA-Z0-9._-]{0,61}[a-zA-Z0-9])?)?$"},
    "workerController.replicas": {"minimum": 2},
    "workerDefaults.autoscaling.minReplicas": {"minimum": 2},
    "workerDefaults.autoscaling.tasksPerWorker": {"minimum": 1},
    "workerDefaults.only": {"enum": ["", "workflows", "activities"]},
    "workerDefaults.replicas": {"minimum": 1},
}
"""What is narrower than its type."""


def setting_names() -> list[str]:
    """Settings that an installation may give as text, in the order in which they are documented."""
    secret = set(secret_names())
    names = [name.upper() for group in GROUPS for name in group.model_fields]
    return [name for name in names if name not in secret | OF_THE_CHART | _NOT_FOR_INSTALLATIONS]


def secret_names() -> list[str]:
    """Settings that are secret, each of which can be read from a file."""
    fields = Settings.model_fields.items()
    secret = [name for name, field in fields if SecretStr in _types(field.annotation, field.metadata)]
    return sorted(name.upper() for name in secret)


def _types(annotation: Any, metadata: Any) -> set[Any]:
    parts = getattr(annotation, "__args__", ())
    return {annotation, *metadata}.union(*(_types(part, ()) for part in parts if not isinstance(part, str)))


def schema() -> dict[str, Any]:
    """The whole of values.schema.json."""
    found = _of(default_values(), "")
    worker = found["properties"]["workerDefaults"]["properties"]
    queue = {"enum": ["order-tq", "shipping-tq"]}
    entry = {"additionalProperties": False, "required": ["queue"], "properties": {"queue": queue, **worker}}
    found["properties"]["workers"] = {
        "type": "object",
        "propertyNames": {"pattern": f"^{_PART}$"},
        "additionalProperties": {"type": ["object", "null"], **entry},
    }
    found["properties"]["global"] = _ANY_OBJECT  # What a chart above this one hands to all of its own.
    settings = {name: {"type": ["string", "number", "boolean", "null"]} for name in setting_names()}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Values of the chart orders: made by `make chart`",
        **found,
        "definitions": {"settings": {"type": "object", "additionalProperties": False, "properties": settings}},
    }


def _of(value: Any, path: str) -> dict[str, Any]:
    last = path.rpartition(".")[2]
    if path == "secrets.settings":
        return {"type": "array", "items": {"enum": secret_names()}}
    if last in _OPEN:
        return _OPEN[last]
    if isinstance(value, dict):
        inside = {key: _of(one, f"{path}.{key}".lstrip(".")) for key, one in value.items()}
        return {"type": "object", "additionalProperties": False, "properties": inside}
    if isinstance(value, list):
        items = {"type": "integer" if last == "ports" else "string"}
        return {"type": "array", "items": items, **_BOUNDS.get(path, {})}
    kind = {bool: "boolean", int: "integer", str: "string"}[type(value)]
    return {"type": kind, **_BOUNDS.get(path, {})}
