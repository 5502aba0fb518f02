"""Places at which a test may kill, stop or fail the process, to prove that nothing is lost there.

Off unless asked for, and refused in production. The variable ``FAILPOINTS`` reads ``name:action[@hit]``, several of
them separated by commas: ``after_call:kill@3`` kills the process when the point is reached for the third time.

It stands in this room because bridge and activities both reach points, and imports go one way.
"""

import asyncio
import os
import re
import signal
import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class Failpoint(StrEnum):
    """Where the process can be struck."""

    AFTER_POLL = "after_poll"
    """Records are out of the client's hands, and in nobody's."""
    BEFORE_CALL = "before_call"
    AFTER_CALL = "after_call"
    """Temporal has the event, and the bridge does not know it yet."""
    BEFORE_DEAD_LETTER = "before_dead_letter"
    AFTER_DEAD_LETTER = "after_dead_letter"
    BEFORE_COMMIT = "before_commit"
    AFTER_COMMIT = "after_commit"

    AFTER_CHARGE = "after_charge"
    """The provider has charged, and our own table does not know it yet."""
    AFTER_REFUND = "after_refund"
    """The provider has given the money back, and our own table does not know it yet."""
    AFTER_SETTLEMENT = "after_settlement"
    """Our own table has the provider's answer, and Temporal does not know it yet."""
    AFTER_PREPARATION = "after_preparation"
    AFTER_DISPATCH = "after_dispatch"
    """The carrier has the package, and Temporal does not know it yet."""
    AFTER_RECORD = "after_record"
    """The transition is committed in the database, and not published yet."""
    AFTER_PUBLISH = "after_publish"
    """Kafka has the transition, and neither the database nor Temporal knows it yet."""


ORDER_WORKER_FAILPOINTS: Final = (
    Failpoint.AFTER_CHARGE,
    Failpoint.AFTER_REFUND,
    Failpoint.AFTER_SETTLEMENT,
    Failpoint.AFTER_RECORD,
    Failpoint.AFTER_PUBLISH,
)
SHIPPING_WORKER_FAILPOINTS: Final = (Failpoint.AFTER_PREPARATION, Failpoint.AFTER_DISPATCH)
BRIDGE_FAILPOINTS: Final = tuple(
    point for point in Failpoint if point not in ORDER_WORKER_FAILPOINTS + SHIPPING_WORKER_FAILPOINTS
)
"""Which kind of process reaches which; every process may be given all of them."""


class FailpointError(Exception):
    """What the action ``raise`` raises."""


_ITEM = re.compile(
    r"(?P<name>[a-z_]+):(?P<action>kill|raise|block|pause)(=(?P<seconds>\d+(\.\d+)?))?(@(?P<hit>[1-9]\d*))?"
)
_TIMED_ACTIONS: Final = ("block", "pause")


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


@dataclass(slots=True)
class Failpoints:
    """The failpoints that are set; by default none."""

    _actions: dict[Failpoint, _Action] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str, *, production: bool) -> "Failpoints":
        """The failpoints that a variable sets.

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
            if match["name"] not in set(Failpoint):
                raise ValueError(f"FAILPOINTS: there is no {match['name']!r}; there are {', '.join(Failpoint)}")
            on_hit = int(match["hit"]) if match["hit"] else None
            actions[Failpoint(match["name"])] = _Action(match["action"], float(match["seconds"] or 0), on_hit)
        if actions and production:
            raise ValueError("FAILPOINTS is set in production; unset it")
        return cls(actions)

    def __bool__(self) -> bool:
        return bool(self._actions)

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
