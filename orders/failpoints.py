"""Strikes the process where a test wants it: at points of the bridge and of the activities.

Off unless asked for, and refused in production. The variable ``FAILPOINTS`` reads ``name:action[@hit]``, several of
them separated by commas: ``after_call:kill@3`` kills the process when the point is reached for the third time.
"""

import asyncio
import os
import re
import signal
import time
from dataclasses import dataclass
from typing import Final, Self

from activities.failpoints import Failpoint as ActivityFailpoint
from bridge.failpoints import Failpoint as BridgeFailpoint

Failpoint = ActivityFailpoint | BridgeFailpoint
"""Where the process can be struck: every process may be given points of both kinds."""
FAILPOINTS: Final[dict[str, Failpoint]] = {
    **{point.value: point for point in BridgeFailpoint},
    **{point.value: point for point in ActivityFailpoint},
}
"""Every failpoint by its name."""

_ITEM = re.compile(
    r"(?P<name>[a-z_]+):(?P<action>kill|raise|block|pause)(=(?P<seconds>\d+(\.\d+)?))?(@(?P<hit>[1-9]\d*))?"
)
_TIMED_ACTIONS: Final = ("block", "pause")


class FailpointError(Exception):
    """What the action ``raise`` raises."""


@dataclass(slots=True)
class _Action:
    kind: str
    seconds: float
    on_hit: int | None
    """Which time the point is reached; None for every time."""
    hits: int = 0

    def is_due(self) -> bool:
        self.hits += 1
        return self.on_hit is None or self.hits == self.on_hit


class Failpoints:
    """The failpoints that are set: the `Failpoints` of the bridge and of the activities."""

    def __init__(self, actions: dict[Failpoint, _Action]) -> None:
        self._actions = actions

    @classmethod
    def parse(cls, text: str, *, production: bool) -> Self | None:
        """The failpoints that a variable sets; None where it sets none.

        Args:
            text: ``name:kill``, ``name:raise``, ``name:block=SECONDS`` (nothing else runs) or ``name:pause=SECONDS``
                (everything else does), each with ``@N`` for the N-th time only; empty for none.
            production: Whether this is a production system, where none may be set.

        Raises:
            ValueError: It does not read so, or this is production.
        """
        actions: dict[Failpoint, _Action] = {}
        for item in filter(None, (part.strip() for part in text.split(","))):
            match = _ITEM.fullmatch(item)
            if match is None or (match["action"] in _TIMED_ACTIONS) != (match["seconds"] is not None):
                raise ValueError(f"FAILPOINTS: {item!r} does not read name:action, such as after_call:kill@3")
            if match["name"] not in FAILPOINTS:
                raise ValueError(f"FAILPOINTS: there is no {match['name']!r}; there are {', '.join(FAILPOINTS)}")
            on_hit = int(match["hit"]) if match["hit"] else None
            actions[FAILPOINTS[match["name"]]] = _Action(match["action"], float(match["seconds"] or 0), on_hit)
        if actions and production:
            raise ValueError("FAILPOINTS is set in production; unset it")
        return cls(actions) if actions else None

    def hit(self, point: Failpoint) -> None:
        """Does what is set for the point, where the code may not wait; ``pause`` does nothing there."""
        action = self._due(point)
        if action is not None:
            _strike(action, point)

    async def reach(self, point: Failpoint) -> None:
        """Does what is set for the point, where the code may wait."""
        action = self._due(point)
        if action is None:
            return
        if action.kind == "pause":
            await asyncio.sleep(action.seconds)
        else:
            _strike(action, point)

    def _due(self, point: Failpoint) -> _Action | None:
        action = self._actions.get(point)
        return action if action is not None and action.is_due() else None


def _strike(action: _Action, point: Failpoint) -> None:
    if action.kind == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action.kind == "raise":
        raise FailpointError(f"failpoint {point.value}")
    elif action.kind == "block":
        time.sleep(action.seconds)
