"""A record on its way to being settled, and what it weighs in memory until then."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bridge.calls import Call
from bridge.dead_letters.limit import DeadLetterLimitError
from bridge.engine.offsets import Ticket
from bridge.record import Record
from bridge.refusal import Refusal

if TYPE_CHECKING:
    from bridge.traces import RecordTrace

LaneKey = str | Ticket | int
"""A call's lane or workflow id. For a record that the mapping refuses its ticket, which no other record has: it must
wait for nobody. Once a record is to be set aside, the number of one of the lanes of such records."""

_RECORD_WEIGHS: Final = 1_600
"""Bytes of memory that a held record takes beside its own key, value and headers, its lane included (1,420 to 1,710;
by tracemalloc with a mapping of nested models, 2026-11-25, Python 3.11; the application's tests hold all three)."""
_CALL_WEIGHS: Final = 2_400
"""Bytes of memory that a record's call takes, however small the record is (2,220 to 2,500)."""
_CALL_WEIGHS_TIMES: Final = 5.8
"""How many times the record's bytes its call weighs besides: what was read of it are Python's objects (4.2 to 5.8 for
lists of 10 to 1,000 objects; nothing where a mapping keeps nothing of them, which it is not asked)."""
LARGE_CALL_BYTES: Final = 8 * 1024
"""The call of a larger record is let go of while it is not needed, and made again from the record when it is. And the
attempt at it begins in a turn of the loop of its own: to write the argument of one with 1,000 items keeps the loop for
some 8 ms, and many calls may end at once, each to be followed by the next."""


def weight_of(size_bytes: int, *, with_call: bool) -> int:
    """Bytes of memory that a held record takes.

    Args:
        size_bytes: Of its key, value and headers.
        with_call: Whether its call is held as well.
    """
    weight = _RECORD_WEIGHS + size_bytes
    return weight + _CALL_WEIGHS + round(_CALL_WEIGHS_TIMES * size_bytes) if with_call else weight


@dataclass(slots=True)
class Work:
    """A delivered record on its way to being settled."""

    record: Record
    translated: Call | Refusal | None
    """What the mapping made of the record. None once that was let go of."""
    ticket: Ticket
    key: LaneKey
    """Which lane the record waits in, as long as it is not to be set aside."""
    size_bytes: int
    """Of the record's key, value and headers."""
    weight_bytes: int
    """What the record takes of memory now."""
    attempts: int = 0
    """Attempts made so far, at calling and at setting aside."""
    first_begun_at: float | None = None
    """When the first attempt began, in seconds; None before it."""
    begun_at: float = 0.0
    """When the last attempt began."""
    refusal: Refusal | None = None
    """Why the record is to be set aside; None as long as it is not. Its own, or Temporal's."""
    beyond_limit: DeadLetterLimitError | None = None
    """Why the record must not be set aside after all: it would be one too many."""
    trace: "RecordTrace | None" = None
    """The record's span; None before the first attempt, and for a record that is not traced."""

    @classmethod
    def of(cls, record: Record, translated: Call | Refusal, ticket: Ticket) -> "Work":
        """The work that a record is, as it was translated."""
        is_call = isinstance(translated, Call)
        size_bytes = record.size_bytes
        return cls(
            record,
            translated,
            ticket,
            translated.lane_key if isinstance(translated, Call) else ticket,
            size_bytes,
            weight_of(size_bytes, with_call=is_call),
        )

    @property
    def wants_call(self) -> bool:
        """Whether its call has to be made again before it can be attempted."""
        return self.translated is None and self.refusal is None

    def take_call(self, translated: Call | Refusal) -> None:
        """Holds its call, which was made again."""
        self.translated = translated
        self.weight_bytes = weight_of(self.size_bytes, with_call=isinstance(translated, Call))

    def let_call_go(self) -> None:
        """Holds the record alone from now on, if that is worth it."""
        if self.size_bytes > LARGE_CALL_BYTES and isinstance(self.translated, Call):
            self.translated = None
            self.weight_bytes = weight_of(self.size_bytes, with_call=False)
