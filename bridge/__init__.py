"""A bridge from Kafka to any Temporal workflow: each record becomes one idempotent call, then its offset is committed.

What a record means says a `Mapping`; all else is here. docs/your-own-bridge.md leads through a whole one, and
examples/refill_bridge.py is one. The names of `__all__` are the bridge's face, and their docstrings its contract.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bridge.calls import SINGLE_ATTEMPT, Call, Caller, CallOutcome
    from bridge.config import BackOff, BridgeConfig, EngineLimits, FetchLimits, GroupTimings, Kafka
    from bridge.dead_letters.limit import DeadLetterLimitError, DeadLetterLimits
    from bridge.dead_letters.signature import Signer, SigningKey
    from bridge.engine.offsets import UnexpectedDeliveryError
    from bridge.health import BridgeStatus, DependencyState, Explanation
    from bridge.kafka.membership import FencedError
    from bridge.mapping import Mapping
    from bridge.metrics import BridgeMetrics
    from bridge.reading.event import Event, check_key, read_event
    from bridge.reading.json_text import ReadLimits
    from bridge.reading.models import read_model
    from bridge.record import Header, Record
    from bridge.refusal import Refusal, RefusalCode, RefusedError, Stage
    from bridge.service import Bridge
    from bridge.settled_before import SettledBefore
    from bridge.supervision.watchdog import StuckError
    from bridge.traces import BridgeTraces

__all__ = [
    "SINGLE_ATTEMPT",
    "BackOff",
    "Bridge",
    "BridgeConfig",
    "BridgeMetrics",
    "BridgeStatus",
    "BridgeTraces",
    "Call",
    "CallOutcome",
    "Caller",
    "DeadLetterLimitError",
    "DeadLetterLimits",
    "DependencyState",
    "EngineLimits",
    "Event",
    "Explanation",
    "FencedError",
    "FetchLimits",
    "GroupTimings",
    "Header",
    "Kafka",
    "Mapping",
    "ReadLimits",
    "Record",
    "Refusal",
    "RefusalCode",
    "RefusedError",
    "SettledBefore",
    "Signer",
    "SigningKey",
    "Stage",
    "StuckError",
    "UnexpectedDeliveryError",
    "check_key",
    "read_event",
    "read_model",
]

_HOMES = {
    "calls": ("SINGLE_ATTEMPT", "Call", "CallOutcome", "Caller"),
    "config": ("BackOff", "BridgeConfig", "EngineLimits", "FetchLimits", "GroupTimings", "Kafka"),
    "dead_letters.limit": ("DeadLetterLimitError", "DeadLetterLimits"),
    "dead_letters.signature": ("Signer", "SigningKey"),
    "engine.offsets": ("UnexpectedDeliveryError",),
    "health": ("BridgeStatus", "DependencyState", "Explanation"),
    "kafka.membership": ("FencedError",),
    "mapping": ("Mapping",),
    "metrics": ("BridgeMetrics",),
    "reading.event": ("Event", "check_key", "read_event"),
    "reading.json_text": ("ReadLimits",),
    "reading.models": ("read_model",),
    "record": ("Header", "Record"),
    "refusal": ("Refusal", "RefusalCode", "RefusedError", "Stage"),
    "service": ("Bridge",),
    "settled_before": ("SettledBefore",),
    "supervision.watchdog": ("StuckError",),
    "traces": ("BridgeTraces",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first asked for.

    All at once bring the client libraries of Kafka and Temporal along, which takes half a second. Whoever only makes a
    configuration or reads a record should not wait for them.
    """
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
