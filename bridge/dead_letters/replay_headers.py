"""Which record a replayed one repeats: the only thing that the bridge believes of a record's ``dlq_`` headers."""

import re
from collections.abc import Sequence
from typing import Final

from bridge.dead_letters.signature import Signed, Signer
from bridge.record import Header, Record

REPLAY_OF_HEADER: Final = "dlq_replay_of"
"""`Record.identity` of the record that was set aside first; put on by whoever replays it."""
REPLAY_COUNT_HEADER: Final = "dlq_replay_count"
"""How often the record has been replayed; read by whoever replays it, and by no bridge."""
REPLAY_SIGNATURE_HEADER: Final = "dlq_replay_signature"
"""Of whoever replayed the record and has the key; over all the rest of the record."""

_REPLAY: Final = b"replay 1"
_OF_A_REPLAY: Final = frozenset({REPLAY_OF_HEADER, REPLAY_COUNT_HEADER, REPLAY_SIGNATURE_HEADER})

_IDENTITY = re.compile(
    r"(?P<topic>[A-Za-z0-9._-]{1,249}):(?P<partition>[0-9]{1,10}):(?P<offset>[0-9]{1,19}):[0-9a-f]{16}", re.ASCII
)


def replayed_identity(headers: Sequence[Header], topic: str) -> str | None:
    """The identity of the record that this one repeats; None where it repeats none.

    It stands for the identity of the record itself where its sender named no event id, so that a record that is
    replayed, and replayed again, stays one event. Anyone may put this header on a record, and gains nothing that an
    event id of the sender's own does not give: it names the event, and no more. What is malformed, or names another
    topic, is ignored, as any header that is not ours.

    Args:
        headers: The record's.
        topic: The record's.
    """
    for name, value in reversed(headers):
        if name == REPLAY_OF_HEADER:
            text = (value or b"").decode("ascii", "replace")
            match = _IDENTITY.fullmatch(text)
            return text if match is not None and match["topic"] == topic else None
    return None


_COUNT_MAX_DIGITS: Final = 6


def replay_count(headers: tuple[Header, ...]) -> int:
    """How often the record has been replayed; 0 where its headers hold no number that says so."""
    counts = [value or b"" for name, value in headers if name == REPLAY_COUNT_HEADER]
    if not counts or not counts[-1].isdigit() or len(counts[-1]) > _COUNT_MAX_DIGITS:
        return 0
    return int(counts[-1])


def replay_headers(source: Record, first_identity: str, count: int, signer: Signer | None = None) -> tuple[Header, ...]:
    """The headers of a replay.

    Args:
        source: The record that was set aside, with the headers that it had.
        first_identity: `Record.identity` of the record that was set aside first.
        count: 1 for the first replay.
        signer: Signs the replay; None for one without a signature.
    """
    made = (
        *without_replay(source.headers),
        (REPLAY_OF_HEADER, first_identity.encode()),
        (REPLAY_COUNT_HEADER, str(count).encode()),
    )
    if signer is None:
        return made
    return (*made, (REPLAY_SIGNATURE_HEADER, signer.signature_of(_REPLAY, source.key, source.value, made)))


def check_replay(record: Record, signer: Signer) -> Signed:
    """What the signature of a replayed record says of all of it, its replay headers among them."""
    return signer.check(_REPLAY, record, REPLAY_SIGNATURE_HEADER)


def without_replay(headers: tuple[Header, ...]) -> tuple[Header, ...]:
    """The headers without those of a replay."""
    return tuple((name, value) for name, value in headers if name not in _OF_A_REPLAY)
