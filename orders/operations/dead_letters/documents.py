"""Dead letters, a replay and a purge as JSON documents. Pure."""

import base64
from typing import Any, Final

from bridge.record import moment_of
from orders.operations.dead_letters.finding import Shown, Summary
from orders.operations.dead_letters.purging import PurgePlan
from orders.operations.dead_letters.replaying import ReplayOutcome

VALUE_BYTES_MAX: Final = 4_096
"""How much of a value is shown unless all of it is asked for."""


def time_text(timestamp_ms: int) -> str:
    """A timestamp in UTC, to the second."""
    moment = moment_of(timestamp_ms)
    if moment is None:
        return "unknown" if timestamp_ms < 0 else f"{timestamp_ms} ms"
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def summary_json(summary: Summary) -> dict[str, Any]:
    """A dead letter in a list."""
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
    """Everything about a dead letter.

    Args:
        shown: the letter, and the record whose value is shown.
        value_bytes_max: how much of the value; None for all of it.
    """
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
        "first_identity": letter.first_identity,
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


def replay_json(outcome: ReplayOutcome, *, dry_run: bool) -> dict[str, Any]:
    """What was replayed and what was not; of a dry run, what would be."""
    return {
        "dry_run": dry_run,
        "selected": len(outcome.planned),
        "replayed": outcome.replayed,
        "duplicates": outcome.duplicates,
        "not_replayed_count": outcome.refused_count,
        "not_replayed": [{"at": one.at, "why": one.why} for one in outcome.refused],
        "records": [{"at": str(one.place), "to": f"{one.topic}:{one.partition}"} for one in outcome.planned],
    }


def purge_json(plan: PurgePlan, *, dry_run: bool) -> dict[str, Any]:
    """What was deleted and what stays; of a dry run, what would be."""
    partitions = {
        str(key.partition): {"deleted": part.deleted, "before_offset": part.before, "kept": part.kept_behind_others}
        for key, part in plan.partitions.items()
        if part.deleted or part.kept_behind_others
    }
    return {"dry_run": dry_run, "deleted": plan.deleted, "kept": plan.kept, "partitions": partitions}
