"""A replay: how far it is, and what came of each record. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from orders.operations.dead_letters.replay_plan import Refused
from orders.web.console.rendering.words import counted
from orders.web.console.views.dead_letters import PlanRow
from orders.web.replays import Replay, ReplayState

LOOKED_FOR: Final = timedelta(seconds=30)
"""How long a page looks for what became of the records by itself: it takes milliseconds, unless a server is away."""


@dataclass(frozen=True, slots=True)
class ReplayPage:
    """A replay."""

    id: str
    by: str
    at: datetime
    words: str
    is_over: bool
    """Whether everything was sent, or it failed."""
    is_complete: bool
    """Whether nothing more is to be expected of it."""
    done: int
    total: int
    error: str | None
    records: tuple[PlanRow, ...]
    refused: tuple[Refused, ...]


def replay_page(replay: Replay, records: tuple[PlanRow, ...], *, is_complete: bool = False) -> ReplayPage:
    """The page of a replay.

    Args:
        replay: as far as it is.
        records: what came of each.
        is_complete: whether that is known of all of them.
    """
    ended_long_ago = replay.ended_at is not None and datetime.now(UTC) - replay.ended_at > LOOKED_FOR
    return ReplayPage(
        id=replay.id,
        by=replay.by,
        at=replay.began_at,
        words=_words(replay),
        is_over=replay.is_over,
        is_complete=replay.is_over and (is_complete or ended_long_ago or replay.state is ReplayState.FAILED),
        done=replay.done,
        total=replay.total or 0,
        error=replay.failure,
        records=records,
        refused=tuple(replay.outcome.refused) if replay.outcome else (),
    )


def _words(replay: Replay) -> str:
    if replay.state is ReplayState.FAILED:
        return f"The replay stopped after {counted(replay.done, 'record')}."
    if replay.state is ReplayState.WAITING:
        return "Waiting until others are done …"
    if replay.state is ReplayState.RUNNING:
        return f"{replay.done} of {counted(replay.total, 'record')} sent …" if replay.total else "Being prepared …"
    return f"{counted(replay.done, 'record')} sent again."
