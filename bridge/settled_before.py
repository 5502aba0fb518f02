"""Asks, for many calls at once, which of them were answered in an earlier life of their records.

Where a group is rewound, each old record of a workflow that is over would otherwise start a run of its own, to find out
that there is nothing to do.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Final, Protocol

import structlog

from bridge.calls import Call

log = structlog.get_logger("bridge")

_TIMEOUT: Final = timedelta(seconds=2)
"""How long one look-up may take: an index's work, so that anything longer is an outage."""
_SILENT_FOR: Final = timedelta(seconds=15)
"""How long nothing is asked after a look-up that failed: the calls are made meanwhile, as if nothing were known."""


class SettledBefore(Protocol):
    """Knows which calls need not be made, as the same was called and answered before."""

    async def settled(self, calls: Sequence[Call]) -> Sequence[bool]:
        """Whether each of the calls was answered before. What is not known for certain was not.

        Args:
            calls: Each is the `Call.when_closed` of a record whose workflow is over; as many as are in flight at most.

        Raises:
            Exception: Whoever knows does not answer. The calls are made then: it costs runs, and loses nothing.
        """
        ...


class _Batch:
    """Calls that are asked for together."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.answers: Sequence[bool] | None = None


class LookUps:
    """Asks a `SettledBefore`: one question at a time, each for all calls that came up during the last one.

    So it costs what the calls themselves cost, however many there are, and a source that is away holds nobody up.

    Args:
        source: Who knows.
    """

    def __init__(self, source: SettledBefore) -> None:
        self._source = source
        self._next = _Batch()
        self._asking = asyncio.Lock()
        self._silent_until: float | None = None
        """Until when nothing is asked, on the loop's clock; None while the source answers."""

    async def was_settled(self, call: Call) -> bool:
        """Whether the call was answered before; False where that is not known. Cancelling it disturbs no other."""
        if self._is_silent():
            return False
        batch, place = self._next, len(self._next.calls)
        batch.calls.append(call)
        async with self._asking:
            if batch.answers is None:
                # Whoever comes first asks for all of them. Were it cancelled, the next one would.
                self._next = _Batch()
                batch.answers = await self._ask(batch.calls)
        return batch.answers[place]

    def _is_silent(self) -> bool:
        return self._silent_until is not None and asyncio.get_running_loop().time() < self._silent_until

    async def _ask(self, calls: Sequence[Call]) -> Sequence[bool]:
        unknown = [False] * len(calls)
        if self._is_silent():
            return unknown
        try:
            async with asyncio.timeout(_TIMEOUT.total_seconds()):
                answers = _checked(await self._source.settled(calls), len(calls))
        except Exception as error:  # noqa: BLE001 -- another team's code, and not knowing loses nothing
            self._fall_silent(error)
            return unknown
        if self._silent_until is not None:
            self._silent_until = None
            log.info("bridge.settled_before.known_again")
        return answers

    def _fall_silent(self, error: Exception) -> None:
        is_new = self._silent_until is None
        self._silent_until = asyncio.get_running_loop().time() + _SILENT_FOR.total_seconds()
        if is_new:
            log.warning(
                "bridge.settled_before.unknown",
                error=type(error).__name__,
                detail="nobody says which late records were answered before: each is answered by a run of its own",
                action="none for the records' sake; see why the source does not answer before much is read again",
            )


def _checked(answers: Sequence[bool], calls: int) -> list[bool]:
    if len(answers) != calls:
        raise ValueError(f"{len(answers)} answers for {calls} calls")
    return list(answers)
