"""Times as a person writes and reads them."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from orders.errors import UsageError
from schemas.base import parse_rfc_3339

_DAY: Final = timedelta(days=1)
_AGO: Final = re.compile(r"(?P<count>[0-9]{1,6})(?P<unit>[smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def age_text(moment: datetime, now: datetime | None = None) -> str:
    """How long ago a moment was, for a person: ``12s``, ``3m 05s``, ``2h 10m``, ``4d 02h``."""
    span = max((now or datetime.now(UTC)) - moment, timedelta(0))
    minutes, seconds = divmod(int(span.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if span >= _DAY:
        return f"{days}d {hours:02}h"
    if hours:
        return f"{hours}h {minutes:02}m"
    return f"{minutes}m {seconds:02}s" if minutes else f"{seconds}s"


def parse_time(text: str, option: str, now: datetime) -> datetime:
    """A moment as a person writes it.

    Args:
        text: ``90m`` (ago; s, m, h or d), or a time with an offset as ``2026-01-31T12:00:00Z``.
        option: to which the text was given, for the error.
        now: the present time.

    Raises:
        UsageError: the text is neither.
    """
    return _parse(text, option, now, -1, "30m, 2h or 7d (ago)")


def parse_time_to_come(text: str, option: str, now: datetime) -> datetime:
    """A moment to come, as a person writes it.

    Args:
        text: ``90d`` (from now on; s, m, h or d), or a time with an offset as ``2026-01-31T12:00:00Z``.
        option: to which the text was given, for the error.
        now: the present time.

    Raises:
        UsageError: the text is neither.
    """
    return _parse(text, option, now, 1, "12h or 90d (from now on)")


def _parse(text: str, option: str, now: datetime, sign: int, spans: str) -> datetime:
    """A moment; a span is added to the present time with this sign, and `spans` shows how one is written."""
    match = _AGO.fullmatch(text)
    try:
        if match is None:
            return parse_rfc_3339(text).astimezone(UTC)
        return (now + sign * timedelta(**{_UNITS[match["unit"]]: int(match["count"])})).astimezone(UTC)
    except (ValueError, OverflowError):
        raise UsageError(f"{option} {text!r} is no time: give {spans}, or as 2026-01-31T12:00:00Z") from None
