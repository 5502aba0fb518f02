"""Times and lengths of time as people read them. All times are shown in UTC. Pure."""

from datetime import UTC, datetime, timedelta
from typing import Final

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
_MONTHS: Final = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
"""Written out: what ``strftime`` says depends on the machine's language."""


def moment(at: datetime, now: datetime) -> str:
    """A time as ``21:04:05 UTC``, with its date before it where that is not today's."""
    here = at.astimezone(UTC)
    clock = f"{here:%H:%M:%S} UTC"
    today = now.astimezone(UTC)
    if here.date() == today.date():
        return clock
    year = "" if here.year == today.year else f" {here.year}"
    return f"{here.day} {_MONTHS[here.month - 1]}{year}, {clock}"


def duration(length: timedelta) -> str:
    """A length of time by its two largest units, as ``2 h 5 min``; below a second it is ``0 s``."""
    seconds = max(0, int(length.total_seconds()))
    days, hours, minutes = seconds // _DAY, seconds % _DAY // _HOUR, seconds % _HOUR // _MINUTE
    if days:
        return f"{days} d {hours} h" if hours else f"{days} d"
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    if minutes:
        return f"{minutes} min {seconds % _MINUTE} s" if seconds % _MINUTE else f"{minutes} min"
    return f"{seconds} s"


def ago(at: datetime, now: datetime) -> str:
    """How long ago a time was, as ``5 min ago``, by its largest unit."""
    seconds = max(0, int((now - at).total_seconds()))
    for size, unit in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"


def countdown(left: timedelta) -> str:
    """What is left of a time, as ``14:59``, ``1:05:09`` or ``2 d 3 h``; ``0:00`` when it is over.

    The page's own script writes the same (`static/console.js`), so that nothing jumps when it takes over.
    """
    seconds = max(0, int(left.total_seconds()))
    if seconds >= _DAY:
        return f"{seconds // _DAY} d {seconds % _DAY // _HOUR} h"
    hours, minutes, rest = seconds // _HOUR, seconds % _HOUR // _MINUTE, seconds % _MINUTE
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def epoch_ms(at: datetime) -> int:
    """A time in milliseconds since 1970, as the page's script counts."""
    return round(at.timestamp() * 1_000)
