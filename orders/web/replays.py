"""Replays of dead letters that were asked for over HTTP: each runs on its own, and is looked at until it is done.

What is known of them lives as long as the process. The replay itself needs no memory: what was sent is in Kafka, and
repeating it changes nothing (docs/dead-letters.md).
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final
from uuid import uuid4

import structlog

from orders.clients.opened import Clients
from orders.errors import OrdersError
from orders.hints import as_typed
from orders.operations.dead_letters.replay_plan import REPLAYS_MAX_DEFAULT
from orders.operations.dead_letters.replaying import ReplayOutcome, replay
from orders.operations.dead_letters.selection import Place, Selection
from orders.web.problems import Problem

KEPT_MAX: Final = 100
"""So many replays are remembered, the newest."""
RUNNING_MAX: Final = 2
"""So many run side by side, the others wait their turn: each holds up to 32 MB and a producer."""
WAITING_MAX: Final = 50
"""So many may wait; what is asked for beyond them is refused."""

_log = structlog.get_logger("orders.api")


class ReplayState(StrEnum):
    """How far a replay is."""

    WAITING = "waiting"
    """For its turn."""
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ReplayRequest:
    """What is to be replayed."""

    which: Selection | Sequence[Place]
    dry_run: bool = True
    replays_max: int | None = REPLAYS_MAX_DEFAULT
    """A record that was replayed so often already is left out; None for no limit."""
    limit: int = 10_000
    """Nothing is done where more than so many are selected."""
    trust: bool = False
    """Whether what cannot be proved is replayed too."""


@dataclass(slots=True)
class Replay:
    """One replay, as far as it is."""

    id: str
    request: ReplayRequest
    by: str
    """Who asked for it."""
    began_at: datetime
    state: ReplayState = ReplayState.WAITING
    done: int = 0
    total: int | None = None
    """None until it is known."""
    outcome: ReplayOutcome | None = None
    failure: str | None = None
    """Why it failed, and how far it came."""
    ended_at: datetime | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_over(self) -> bool:
        """Whether nothing more is sent: it is done, or it failed."""
        return self.ended.is_set()


class ReplayDesk:
    """Runs replays and remembers them. Close it at the process's end."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._replays: dict[str, Replay] = {}
        self._by_key: dict[str, str] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._turns = asyncio.Semaphore(RUNNING_MAX)

    def begin(self, request: ReplayRequest, *, by: str, key: str) -> Replay:
        """Begins a replay, or finds the one that was begun under the same key.

        Args:
            request: what is to be replayed.
            by: who asked for it.
            key: names the request: given twice, it is done once.

        Raises:
            Problem: too many wait already, or the key was used for another request.
        """
        known = self._replays.get(self._by_key.get(key, ""))
        if known is not None:
            if known.request != request:
                raise Problem("idempotency_key_reused", "a replay of other dead letters was asked for with this key")
            return known
        if len(self._tasks) >= RUNNING_MAX + WAITING_MAX:
            raise Problem("overloaded", f"{RUNNING_MAX} replays are running and {WAITING_MAX} wait for their turn")
        begun = Replay(str(uuid4()), request, by, datetime.now(UTC))
        self._remember(begun, key)
        task = asyncio.create_task(self._run(begun), name=f"replay {begun.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return begun

    def find(self, replay_id: str) -> Replay | None:
        """A replay that this process remembers."""
        return self._replays.get(replay_id)

    def newest(self) -> list[Replay]:
        """All that are remembered, the newest first."""
        return list(reversed(self._replays.values()))

    async def close(self) -> None:
        """Ends what runs. A replay that is cut off may simply be repeated."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _remember(self, begun: Replay, key: str) -> None:
        self._replays[begun.id] = begun
        self._by_key[key] = begun.id
        while len(self._replays) > KEPT_MAX:
            # There is one: fewer than so many run or wait.
            oldest = next(one.id for one in self._replays.values() if one.is_over)
            del self._replays[oldest]
            self._by_key = {key: replay_id for key, replay_id in self._by_key.items() if replay_id != oldest}

    async def _run(self, begun: Replay) -> None:
        def progress(done: int, total: int) -> None:
            begun.done, begun.total = done, total

        request = begun.request
        try:
            async with self._turns:
                begun.state = ReplayState.RUNNING
                outcome = await replay(
                    self._clients,
                    request.which,
                    replays_max=request.replays_max,
                    limit=request.limit,
                    dry_run=request.dry_run,
                    trust=request.trust,
                    progress=progress,
                )
        except asyncio.CancelledError:
            begun.state, begun.failure = ReplayState.FAILED, "the process that ran it ended; it may be repeated"
            raise
        except OrdersError as error:
            begun.state, begun.failure = ReplayState.FAILED, as_typed(str(error))
        except Exception:  # noqa: BLE001 - the task's edge: nobody else would hear of it
            _log.exception("api.replay.failed", replay=begun.id)
            begun.state, begun.failure = ReplayState.FAILED, "the service failed; its log says how, under this id"
        else:
            begun.state, begun.outcome = ReplayState.DONE, outcome
            begun.done, begun.total = outcome.replayed, len(outcome.planned)
        finally:
            begun.ended_at = datetime.now(UTC)
            begun.ended.set()
            what = {"dry_run": request.dry_run, "trust": request.trust}
            _log.info("api.replay.ended", replay=begun.id, by=begun.by, state=begun.state, **what)
