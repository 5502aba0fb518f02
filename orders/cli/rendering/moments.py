"""Times as a person at a terminal reads them: in that person's zone. Whatever else reads, reads UTC."""

import re
import sys
from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_IN_UTC: Final = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|\+00:00)(?![\w:])")


def moment_text(moment: datetime) -> str:
    """A time to the second with its offset, which ``--since`` and its like take as it stands.

    On a terminal it is in the zone of whoever sits there (``TZ``, or the machine's), as
    ``2026-01-31T13:00:00+01:00``; in a pipe or a file in UTC, as ``2026-01-31T12:00:00Z``.
    """
    return _here(moment).isoformat(timespec="seconds").replace("+00:00", "Z")


def clock_text(moment: datetime) -> str:
    """The time of day to the millisecond, in the same zone."""
    return _here(moment).isoformat(timespec="milliseconds")[11:23]


def in_this_zone(sentence: str) -> str:
    """A sentence of ours with its times as `moment_text` has them.

    Sentences are made in UTC, wherever that is: also in a worker on another machine. Whoever shows one puts it through
    here, once.
    """
    return _IN_UTC.sub(_shown_here, sentence)


def _shown_here(found: re.Match[str]) -> str:
    try:
        return moment_text(datetime.fromisoformat(found[0]))
    except ValueError:  # Somebody's 2026-02-31T25:00:00Z.
        return found[0]


def timestamp_text(timestamp_ms: int) -> str:
    """A record's timestamp as `moment_text`; ``unknown`` where nobody set one."""
    if timestamp_ms < 0:
        return "unknown"
    try:
        return moment_text(_EPOCH + timedelta(milliseconds=timestamp_ms))
    except OverflowError:
        return f"{timestamp_ms} ms"


def _here(moment: datetime) -> datetime:
    if not sys.stdout.isatty():
        return moment.astimezone(UTC)
    try:
        return moment.astimezone()
    except (OverflowError, OSError, ValueError):
        return moment.astimezone(UTC)  # Near the end of what a datetime can hold.
