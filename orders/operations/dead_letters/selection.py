"""Which dead letters a command is about. Pure."""

import re
from dataclasses import dataclass

from bridge.dead_letters.letter import Letter
from orders.errors import UsageError
from orders.operations.naming import names_order

_PLACE = re.compile(r"(?P<partition>[0-9]{1,9}):(?P<offset>[0-9]{1,18})")


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a dead letter is in its topic."""

    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.partition}:{self.offset}"


@dataclass(frozen=True, slots=True)
class Selection:
    """What every filter that is given lets through; without any, everything."""

    reasons: frozenset[str] = frozenset()
    topics: frozenset[str] = frozenset()
    """Of the source records."""
    order_id: str | None = None
    since_ms: int | None = None
    """When it was set aside: this and later."""
    until_ms: int | None = None
    """Before this."""

    @property
    def is_everything(self) -> bool:
        """Whether no filter is given."""
        return self == Selection()

    def takes(self, letter: Letter) -> bool:
        """Whether the letter is one of them."""
        if self.reasons and letter.error_code not in self.reasons:
            return False
        if self.topics and (letter.origin is None or letter.origin.topic not in self.topics):
            return False
        time_ms = letter.record.timestamp_ms
        if self.since_ms is not None and time_ms < self.since_ms:
            return False
        if self.until_ms is not None and time_ms >= self.until_ms:
            return False
        return self.order_id is None or names_order(letter.record.key, letter.record.value, self.order_id)


def parse_place(text: str) -> Place:
    """A dead letter's place, as ``orders dlq list`` shows it.

    Raises:
        UsageError: it is none.
    """
    match = _PLACE.fullmatch(text)
    if match is None:
        raise UsageError(
            f"{text!r} is no PARTITION:OFFSET of the dead-letter topic, such as 3:17; see `orders dlq list`"
        )
    return Place(int(match["partition"]), int(match["offset"]))
