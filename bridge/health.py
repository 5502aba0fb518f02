"""Whether Kafka and Temporal answer, logged once per change and not once per record; and the bridge's own status."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import structlog

from bridge.decisions import Decision

QUIET_SECONDS = 2.0
"""How long an outage is over before it counts as over. A server that is overloaded takes every other call, and would
otherwise be lost and recovered with each of them (seen 2026-11-23 on a Temporal with a rate limit)."""

AWAY_SECONDS = 15.0
"""How long a dependency in trouble may be silent before it counts as away: three looks of the prober."""


class Dependency(StrEnum):
    """What the bridge cannot work without."""

    KAFKA = "kafka"
    TEMPORAL = "temporal"
    GROUP = "kafka_group"
    """The consumer group: whether it lets this bridge in, and lets it read. Polls say so."""
    OFFSETS = "kafka_offsets"
    """The group's committed offsets, which Kafka keeps. Commits say whether it takes them."""
    DEAD_LETTERS = "dead_letters"
    REREADS = "kafka_rereads"
    """Reading records again that were deferred."""


_OF_SOME_RECORDS: Final = frozenset({Dependency.DEAD_LETTERS, Dependency.REREADS})
"""What only some records need: theirs wait for it, and all others go on."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a server does not let the bridge in: what its client has met tells too little."""

    cause: str
    """One word for it, by which two of them are told apart."""
    detail: str
    """What is wrong, in a sentence."""
    action: str
    """What a person can do."""


Explain = Callable[[str, BaseException], Awaitable[Explanation | None]]
"""Finds out why, for ``kafka`` or ``temporal`` and what was met there; None where the server is away."""

_EXPLAIN_SECONDS: Final = 15.0
"""How long finding out may take; a server that does not answer at all is away."""


@dataclass(frozen=True, slots=True)
class DependencyState:
    """Whether something that the bridge cannot work without does what is asked of it."""

    name: str
    lost_at: float | None
    """Since when it does not, as Unix time in seconds; None while it does."""


@dataclass(slots=True)
class Health:
    """The present state of each dependency; logs each change of it."""

    clock: Callable[[], float] = time.monotonic
    """Seconds; tests give another."""
    explain: Explain | None = None
    """Finds out why a server does not let us in; None where nobody can."""
    _explained: dict[Dependency, str] = field(default_factory=dict)
    """The cause of each trouble that could be explained."""
    _trouble: dict[Dependency, Decision] = field(default_factory=dict)
    _lost_at: dict[Dependency, float] = field(default_factory=dict)
    """Since when each of them is in trouble that ever was, as Unix time; it counts while it is."""
    _failed_at: dict[Dependency, float] = field(default_factory=dict)
    """When each of them last failed."""
    _heard_at: dict[Dependency, float] = field(default_factory=dict)
    """When each of them that is in trouble last answered, or else when its trouble began."""

    async def look_into(self, dependency: Dependency, decision: Decision, error: BaseException) -> None:
        """Notes a failure after finding out more about it. Cancelling it notes nothing."""
        explanation = None
        if self.explain is not None:
            try:
                async with asyncio.timeout(_EXPLAIN_SECONDS):
                    explanation = await self.explain(dependency.value, error)
            except Exception:  # noqa: BLE001 - what cannot be explained is told as it was met
                explanation = None
        if explanation is None:
            self._explained.pop(dependency, None)
        self.failed(dependency, decision, error, explanation)

    def failed(
        self,
        dependency: Dependency,
        decision: Decision,
        error: BaseException,
        explanation: Explanation | None = None,
    ) -> None:
        """Notes a failure; the first is logged: a warning for an outage, an error where a person must act.

        What was explained stands until it is over, whatever the same trouble looks like to others meanwhile.
        """
        self._failed_at[dependency] = self.clock()
        cause = "" if explanation is None else explanation.cause
        known = self._explained.get(dependency, "")
        if known and not cause and decision is Decision.TRANSIENT:
            return
        decision = decision if explanation is None else Decision.CONFIGURATION
        if self._trouble.get(dependency) is decision and cause in ("", known):
            return
        if cause:
            self._explained[dependency] = cause
        if dependency not in self._trouble:
            self._heard_at[dependency] = self.clock()
            self._lost_at[dependency] = time.time()
        self._trouble[dependency] = decision
        log = structlog.get_logger("bridge")
        # The client's own words about its connection: they hold addresses and status, never a record.
        fields = {"dependency": dependency.value, "error": type(error).__name__, "detail": str(error)[:500]}
        if explanation is not None:
            fields |= {"cause": explanation.cause, "detail": explanation.detail}
            log.error("bridge.dependency.misconfigured", **fields, action=explanation.action)
        elif decision is Decision.CONFIGURATION:
            log.error(
                "bridge.dependency.misconfigured", **fields, action="correct it; the bridge tries again by itself"
            )
        else:
            log.warning("bridge.dependency.lost", **fields, action="none: the bridge waits and tries again")

    def answered(self, dependency: Dependency) -> None:
        """Notes a success; the first after an outage is logged, once nothing has failed for a moment."""
        if not self._trouble or dependency not in self._trouble:
            return
        self._heard_at[dependency] = self.clock()
        # What a person corrected counts at once: the bridge has paused for it. So does what is not asked again while
        # there is nothing to do: its first success may be the only one. Polls go on, and between two that are refused
        # there are some that have nothing to say.
        is_outage = self._trouble[dependency] is not Decision.CONFIGURATION
        asked_again = dependency is Dependency.GROUP or (is_outage and dependency is Dependency.TEMPORAL)
        if asked_again and self.clock() - self._failed_at[dependency] < QUIET_SECONDS:
            return
        del self._trouble[dependency]
        self._explained.pop(dependency, None)
        structlog.get_logger("bridge").info("bridge.dependency.recovered", dependency=dependency.value)

    def heard_from(self, dependency: Dependency) -> None:
        """Notes that a dependency answers somebody, though it may not take what is asked of it."""
        self._heard_at[dependency] = self.clock()

    def is_away(self, dependency: Dependency) -> bool:
        """Whether nobody has had an answer of a dependency for a while: the trouble is not of some records alone."""
        return dependency in self._trouble and self.clock() - self._heard_at[dependency] > AWAY_SECONDS

    def forget(self, *dependencies: Dependency) -> None:
        """Clears the trouble of dependencies. Called when partitions are assigned anew.

        The record that met the trouble may belong to another bridge by now. If it persists, the next record that meets
        it reports it again. Only for what is asked when there is something to do, and might otherwise never
        be asked again: the trouble would stand for ever.
        """
        for dependency in dependencies:
            self._explained.pop(dependency, None)
            if self._trouble.pop(dependency, None) is not None:
                structlog.get_logger("bridge").info("bridge.dependency.forgotten", dependency=dependency.value)

    @property
    def troubled(self) -> frozenset[Dependency]:
        """What is known not to answer, or to refuse."""
        return frozenset(self._trouble)

    @property
    def states(self) -> tuple[DependencyState, ...]:
        """Each dependency, and since when it is in trouble."""
        return tuple(
            DependencyState(one.value, self._lost_at[one] if one in self._trouble else None) for one in Dependency
        )

    @property
    def needs_a_person(self) -> bool:
        """Whether a configuration has to be corrected before anything can go on.

        Not where it is one that only some records need: without the right to write dead letters, good records go on.
        """
        return any(
            decision is Decision.CONFIGURATION
            for dependency, decision in self._trouble.items()
            if dependency not in _OF_SOME_RECORDS
        )


@dataclass(frozen=True, slots=True)
class PartitionProgress:
    """How many records of an assigned partition are where."""

    topic: str
    partition: int
    unread: int | None
    """In Kafka and not delivered yet, at the prober's last look; None before it. Markers of transactions count."""
    held: int
    """Delivered and not settled: in flight, or next in their lanes."""
    deferred: int
    """Delivered and not settled, and to be read again when their lanes have room."""
    behind_stuck: int
    """Those of both that wait behind a record which has been tried in vain for long."""
    oldest_at: float | None = None
    """Timestamp of the oldest record that is not settled, as Unix time in seconds; where none is held but some are
    unread, that of the last one delivered, which is older. None where nothing is unsettled, or has a timestamp."""


@dataclass(frozen=True, slots=True)
class BridgeStatus:
    """How a bridge is, for whoever watches over it."""

    live: bool
    """Whether the poll loop turns, or has no reason to yet; if not, the process is to be replaced."""
    ready: bool
    """Whether the bridge has an assignment, and Kafka and Temporal answer. It may be an assignment of no partitions,
    where there are more bridges than partitions: that bridge stands by."""
    reasons: tuple[str, ...]
    """Why the bridge is not ready, in words; empty where it is."""
    partitions: int
    """How many partitions are assigned."""
    records_held: int
    """Records delivered by Kafka and not settled yet, without those that are deferred."""
    records_deferred: int = 0
    """Records delivered and not settled that are to be read again."""
    records_lost: int = 0
    """Records that Kafka had deleted before they could be read, since the bridge was started."""
    stuck: tuple[str, ...] = ()
    """Lanes whose first record has been tried in vain for long, in words. The bridge is ready all the same."""
    progress: tuple[PartitionProgress, ...] = ()
    """How many records are where, in each assigned partition."""
    bytes_held: int = 0
    """What the held records are reckoned to take of memory."""
    in_flight: int = 0
    """Attempts that are under way, at calls and at setting records aside."""
    paused: bool = False
    """Whether nothing is taken from Kafka: enough is held, or something is away."""
    commit_age_seconds: float | None = None
    """Time since Kafka had all offsets that may be committed; None before the first time."""
    dependencies: tuple[DependencyState, ...] = ()
    """Each dependency, by name."""
