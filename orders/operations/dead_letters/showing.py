"""Dead letters as lines for a person and as JSON for a program. Pure; whatever strangers wrote comes out as text."""

import base64
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from bridge.dead_letters.letter import Letter
from bridge.record import Header, Record
from orders.operations.dead_letters.finding import Summary

VALUE_BYTES_MAX: Final = 4_096
"""How much of a value is shown unless all of it is asked for."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Shown:
    """A dead letter, and the record whose value is shown."""

    letter: Letter
    source: Record
    """The letter's own record; of a pointer, the original."""
    gone: str | None = None
    """Why the original is not there."""

    @property
    def headers(self) -> tuple[Header, ...]:
        """The source record's headers."""
        return self.letter.source_headers if self.source is self.letter.record else self.source.headers


def time_text(timestamp_ms: int) -> str:
    """A timestamp in UTC, to the second."""
    try:
        moment = _EPOCH + timedelta(milliseconds=timestamp_ms)
    except OverflowError:
        return f"{timestamp_ms} ms"
    return "unknown" if timestamp_ms < 0 else f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def summary_json(summary: Summary) -> dict[str, Any]:
    """The same for a program."""
    return {
        "at": summary.at,
        "set_aside_at": time_text(summary.timestamp_ms),
        "origin": summary.origin,
        "stage": summary.stage,
        "error_code": summary.error_code,
        "message": summary.message,
        "key": bytes_json(summary.key),
        "pointer": summary.is_pointer,
        "replay_count": summary.replay_count,
    }


def letter_json(shown: Shown, value_bytes_max: int | None) -> dict[str, Any]:
    """Everything about a dead letter, for a program."""
    letter, value = shown.letter, shown.source.value
    return {
        "at": letter.at,
        "set_aside_at": time_text(letter.record.timestamp_ms),
        "origin": str(letter.origin) if letter.origin else None,
        "source_timestamp_ms": letter.origin.timestamp_ms if letter.origin else None,
        "stage": letter.stage,
        "error_code": letter.error_code,
        "message": letter.message,
        "attempts": letter.attempts,
        "bridge_version": letter.bridge_version,
        "pointer": letter.is_pointer,
        "original_gone": shown.gone,
        "replay_count": letter.replay_count,
        "first_coordinates": letter.first_coordinates,
        "key": bytes_json(shown.source.key),
        "headers": [{"name": name, "value": bytes_json(raw)} for name, raw in shown.headers],
        "renamed_headers": list(letter.renamed_headers),
        "value_bytes": None if value is None else len(value),
        "value_cut": value is not None and value_bytes_max is not None and len(value) > value_bytes_max,
        "value": bytes_json(value if value is None else value[:value_bytes_max]),
    }


def bytes_json(raw: bytes | None) -> dict[str, str] | None:
    """Bytes as text where they are UTF-8, else in base64; None for none."""
    if raw is None:
        return None
    try:
        return {"text": raw.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(raw).decode()}
