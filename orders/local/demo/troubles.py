"""What keeps a demonstration's orders from going on, told from the log lines of its processes: once, and its end."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from activities.errors import (
    DATABASE_UNAVAILABLE,
    GATEWAY_CONTRADICTION,
    GATEWAY_NOT_ASKED,
    GATEWAY_UNAVAILABLE,
    KAFKA_UNAVAILABLE,
    PROVIDER_GIVEN_UP,
)
from orders.settings import Settings
from workflows.names import order_id_of

KAFKA: Final = "Kafka"
TEMPORAL: Final = "Temporal"
POSTGRES: Final = "Postgres"
PAYMENT: Final = "the payment provider"
CARRIER: Final = "the carrier"

_PROVIDERS: Final = {
    "charge_payment": PAYMENT,
    "refund_payment": PAYMENT,
    "prepare_package": CARRIER,
    "dispatch_carrier": CARRIER,
}
"""Who is asked by an activity."""
_FAILURES: Final = {
    GATEWAY_UNAVAILABLE: "does not answer",
    GATEWAY_NOT_ASKED: "cannot be asked",
    GATEWAY_CONTRADICTION: "is not understood",
    PROVIDER_GIVEN_UP: "was given up",
    DATABASE_UNAVAILABLE: "does not do what it is asked",
    KAFKA_UNAVAILABLE: "does not take what is published",
}
"""What an activity's error type says of whom it asked."""
_SERVERS: Final = {"kafka": KAFKA, "temporal": TEMPORAL, "postgres": POSTGRES, "dead_letters": KAFKA}
_BEGINNINGS: Final = {
    "bridge.dependency.lost": "does not answer",
    "bridge.dependency.misconfigured": "does not answer",
    "worker.temporal.lost": "does not answer",
    "worker.temporal.misconfigured": "does not answer",
    "worker.kafka.lost": _FAILURES[KAFKA_UNAVAILABLE],
    "server.refuses_us": "does not let us in",
}
"""The log events by which processes tell of a server that they need."""
_ENDS: Final = frozenset(
    {
        "bridge.dependency.recovered",
        "bridge.dependency.forgotten",
        "worker.temporal.recovered",
        "worker.kafka.recovered",
        "server.lets_us_in",
    }
)
_AT_ONCE: Final = (GATEWAY_NOT_ASKED, PROVIDER_GIVEN_UP)
"""What is told when it is first met. All else is told when an order meets it twice: a single call may always fail."""


@dataclass(slots=True)
class _Trouble:
    who: str
    sentence: str
    sources: set[tuple[str, str]] = field(default_factory=set)
    """Who has met it, and has not said that it is over: a process and what it needs, or ``order`` and its id."""


class Troubles:
    """Collects what does not answer; says each once when it begins, and once when it is over.

    Args:
        settings: where the servers and the providers are.
        say: takes a sentence, and whether it is a good one: that something answers again.
    """

    def __init__(self, settings: Settings, say: Callable[[str, bool], None]) -> None:
        self._places = {
            KAFKA: settings.kafka_bootstrap_servers,
            TEMPORAL: settings.temporal_host,
            POSTGRES: f"{settings.db_host}:{settings.db_port}",
            PAYMENT: settings.payment_gateway_url or "the sandbox",
            CARRIER: settings.carrier_gateway_url or "the sandbox",
        }
        self._say = say
        self._found: dict[str, _Trouble] = {}

    @property
    def standing(self) -> tuple[str, ...]:
        """A sentence for each that still does not answer, and how many orders wait for it."""
        return tuple(_with_orders(trouble) for trouble in self._found.values())

    def take_line(self, process: str, text: str) -> None:
        """Takes a line of a process's output; what is no log line of ours says nothing."""
        try:
            line: dict[str, Any] = json.loads(text)
            event = str(line["event"])
        except (ValueError, KeyError, TypeError):
            return
        needed = str(line.get("dependency") or line.get("server") or event.partition(".")[2].partition(".")[0])
        if event == "process.started":
            # What the one before it had met is not known any more.
            self._ended(lambda source: source[0] == process)
        elif event == "activity.failed":
            self._activity_failed(line)
        elif event in _BEGINNINGS:
            self._met(_server(needed), _BEGINNINGS[event], line, (process, needed))
        elif event in _ENDS:
            self._ended(lambda source: source == (process, needed))

    def went_on(self, order_id: str) -> None:
        """Takes an order's event: what the order was waiting for has answered, unless it was given up."""
        self._ended(lambda source: source == ("order", order_id))

    def _activity_failed(self, line: Mapping[str, Any]) -> None:
        kind, order_id = str(line.get("error_type")), order_id_of(str(line.get("workflow_id")))
        if kind not in _FAILURES or (line.get("attempt") == 1 and kind not in _AT_ONCE):
            return
        servers = {DATABASE_UNAVAILABLE: POSTGRES, KAFKA_UNAVAILABLE: KAFKA}
        who = servers.get(kind) or _PROVIDERS.get(str(line.get("activity")))
        if who is not None:
            source = "given up" if kind == PROVIDER_GIVEN_UP else "order"
            self._met(who, _FAILURES[kind], {"detail": line.get("error")}, (source, order_id or ""))

    def _met(self, who: str, what: str, line: Mapping[str, Any], source: tuple[str, str]) -> None:
        trouble = self._found.get(who)
        if trouble is None:
            place = self._places.get(who)
            sentence = f"{who}{f' ({place})' if place else ''} {what}: {line.get('detail') or 'it does not say why'}"
            trouble = self._found[who] = _Trouble(who, sentence)
            self._say(sentence, False)
        trouble.sources.add(source)

    def _ended(self, is_over: Callable[[tuple[str, str]], bool]) -> None:
        for who, trouble in list(self._found.items()):
            trouble.sources -= {source for source in trouble.sources if is_over(source)}
            if not trouble.sources:
                del self._found[who]
                self._say(f"{who} answers again", True)


def _server(name: str) -> str:
    """A server as people call it, by the name that logs have of it or of a part of it."""
    return next((server for known, server in _SERVERS.items() if name.startswith(known)), name)


def _with_orders(trouble: _Trouble) -> str:
    waiting, given_up = (sum(kind == one for kind, _ in trouble.sources) for one in ("order", "given up"))
    counts = [f"orders that wait for it: {waiting}"] if waiting else []
    counts += [f"orders that have given it up: {given_up}"] if given_up else []
    return f"{trouble.sentence} ({', '.join(counts)})" if counts else trouble.sentence
