"""The recorded messages of a version: records as Kafka held them, and for inbound ones the event that was read."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from bridge import Record
from orders.mapping import DecodedRecord, OrderMapping
from schemas.event_types import EventType

_VERSION_1: Final = Path(__file__).parent / "recorded" / "v1"
INBOUND: Final = _VERSION_1 / "inbound.jsonl"
OUTBOUND: Final = _VERSION_1 / "outbound.jsonl"
CONTRACT: Final = _VERSION_1 / "asyncapi.json"
CURRENCIES: Final = _VERSION_1 / "currencies.json"

_MAPPING: Final = OrderMapping({event_type.value: event_type for event_type in EventType})


@dataclass(frozen=True, slots=True)
class Recorded:
    """A recorded message."""

    name: str
    """What is particular about it."""
    record: Record
    read: Mapping[str, Any] | None = None
    """Of an inbound one: the event that the bridge of that version read."""


def recorded(path: Path) -> dict[str, Recorded]:
    """All messages of the file, by name; none where there is no file."""
    lines = path.read_text().splitlines() if path.exists() else []
    return {one.name: one for one in map(_from_line, lines)}


def to_line(one: Recorded) -> str:
    """A message as a line of a file; the bytes of all that we record are UTF-8."""
    fields = asdict(one.record)
    fields |= {name: None if fields[name] is None else fields[name].decode() for name in ("key", "value")}
    fields["headers"] = [(name, None if value is None else value.decode()) for name, value in one.record.headers]
    return json.dumps({"name": one.name, "record": fields, "read": one.read})


def _from_line(line: str) -> Recorded:
    written = json.loads(line)
    fields = written["record"]
    fields |= {name: None if fields[name] is None else fields[name].encode() for name in ("key", "value")}
    headers = tuple((name, None if value is None else value.encode()) for name, value in fields.pop("headers"))
    return Recorded(written["name"], Record(**fields, headers=headers), written["read"])


def read_by_the_bridge(record: Record) -> DecodedRecord:
    """The event that today's bridge reads."""
    return _MAPPING.read(record)


def as_recorded(read: DecodedRecord) -> dict[str, Any]:
    """An event as it is recorded."""
    return {"order_id": read.order_id, **read.event.model_dump(mode="json")}
