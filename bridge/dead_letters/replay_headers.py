"""Which record a replayed one repeats: the only thing that the bridge believes of a record's ``dlq_`` headers."""

import re
from collections.abc import Sequence
from typing import Final

from bridge.record import Header

REPLAY_OF_HEADER: Final = "dlq_replay_of"
"""``topic:partition:offset`` of the record that was set aside first, put on by ``orders dlq replay``."""
REPLAY_COUNT_HEADER: Final = "dlq_replay_count"
"""How often it has been sent again; only ``orders dlq replay`` reads it."""

_COORDINATES = re.compile(r"(?P<topic>[A-Za-z0-9._-]{1,249}):(?P<partition>[0-9]{1,10}):(?P<offset>[0-9]{1,19})")


def replayed_coordinates(headers: Sequence[Header], topic: str) -> str | None:
    """The coordinates of the record that this one repeats; None where it repeats none.

    They stand for the coordinates of the record itself where its sender named no event id, so that a record that is
    replayed, and replayed again, stays one event. Anyone may put this header on a record, and gains nothing that the
    body's own ``event_id`` does not give: it names the event, and no more. What is malformed, or names another topic,
    is ignored, as any header that is not ours.

    Args:
        headers: The record's.
        topic: The record's.
    """
    for name, value in reversed(headers):
        if name == REPLAY_OF_HEADER:
            text = (value or b"").decode("ascii", "replace")
            match = _COORDINATES.fullmatch(text)
            return text if match is not None and match["topic"] == topic else None
    return None
