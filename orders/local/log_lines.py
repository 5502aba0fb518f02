"""A process's JSON log line as a short line that a person reads beside those of other processes."""

import json
import sys
from datetime import datetime
from typing import Any, Final

from rich.markup import escape

from orders.safe_text import safe_lines, safe_text

_HIDDEN_LOGGERS: Final = ("aiokafka", "temporalio", "alembic")
"""Of these a person sees warnings only; the log files have all."""
_HIDDEN_FIELDS: Final = ("event", "level", "logger", "timestamp", "exception")
_COLOURS: Final = {"warning": "yellow", "error": "red", "critical": "red"}


def readable_line(text: str) -> str | None:
    """The line in rich's markup; None where a person need not see it.

    Args:
        text: a line of a process's output: JSON of ours, or anything else, which is shown as it is. What a terminal
            would obey is written as escapes.
    """
    try:
        fields: dict[str, Any] = json.loads(text)
        level, event = str(fields["level"]), str(fields["event"])
    except (ValueError, KeyError, TypeError):
        return escape(safe_text(text)) if text.strip() else None
    if level in ("debug", "info") and str(fields.get("logger", "")).startswith(_HIDDEN_LOGGERS):
        return None
    clock = escape(safe_text(_clock(str(fields.get("timestamp", "")))))
    rest = " ".join(
        f"{name}={value}" for name, value in fields.items() if name not in _HIDDEN_FIELDS and value is not None
    )
    colour = _COLOURS.get(level)
    named = escape(safe_text(event))
    shown = f"[{colour}]{named}[/{colour}]" if colour else named
    trace = f"\n{escape(safe_lines(str(fields['exception'])))}" if "exception" in fields else ""
    return f"[dim]{clock}[/dim] {shown} [dim]{escape(safe_text(rest))}[/dim]{trace}"


def _clock(timestamp: str) -> str:
    """The time of day, in the zone of whoever sits at the terminal."""
    try:
        moment = datetime.fromisoformat(timestamp)
        return f"{moment.astimezone() if sys.stdout.isatty() else moment:%H:%M:%S}"
    except (ValueError, OverflowError, OSError):
        return timestamp[11:19]
