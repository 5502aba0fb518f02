"""Which dead letters an operation is about. Pure."""

import re
from dataclasses import dataclass
from datetime import datetime

from bridge.dead_letters.letter import Letter
from orders.clients.topic_scan import timestamp_ms
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
    """Takes the dead letters that every given filter takes; without a filter, all of them."""

    reasons: frozenset[str] = frozenset()
    topics: frozenset[str] = frozenset()
    """Of the source records."""
    order_id: str | None = None
    since: datetime | None = None
    """Set aside at this moment or later."""
    until: datetime | None = None
    """Set aside before this moment."""

    @property
    def is_everything(self) -> bool:
        """Whether no filter is given."""
        return self == Selection()

    def takes(self, letter: Letter) -> bool:
        """Whether the letter is selected."""
        if self.reasons and letter.error_code not in self.reasons:
            return False
        if self.topics and (letter.origin is None or letter.origin.topic not in self.topics):
            return False
        time_ms = letter.record.timestamp_ms
        if self.since is not None and time_ms < timestamp_ms(self.since):
            return False
        if self.until is not None and time_ms >= timestamp_ms(self.until):
            return False
        return self.order_id is None or names_order(letter.record.key, letter.record.value, self.order_id)


def parse_place(text: str) -> Place:
    """A dead letter's place from how a person writes it, which is how ``orders dlq list`` shows it.

    Raises:
        UsageError: the text is no place.
    """
    match = _PLACE.fullmatch(text)
    if match is None:
        raise UsageError(
            f"{text!r} is no PARTITION:OFFSET of the dead-letter topic, such as 3:17; see `orders dlq list`"
        )
    return Place(int(match["partition"]), int(match["offset"]))
