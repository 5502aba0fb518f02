"""How long to wait before the next attempt. Pure, but for the random number it is given."""

from datetime import timedelta

from bridge.config import BackOff

_DOUBLINGS_MAX = 30
"""Bounds the exponent: a wait has reached any sensible maximum long before."""


def delay_before(attempt: int, back_off: BackOff, *, random_share: float) -> timedelta:
    """The wait before an attempt.

    Args:
        attempt: 2 for the first repeat.
        back_off: The first and the longest wait.
        random_share: From 0 to 1; the wait lies between half and the whole of the doubled one.
    """
    doubled: timedelta = back_off.initial * int(2 ** min(attempt - 2, _DOUBLINGS_MAX))
    return min(doubled, back_off.maximum) * (0.5 + random_share / 2)
