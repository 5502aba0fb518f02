"""What a record says of itself, and what its signature says of it. Needs no cryptography, so that all may import it."""

from datetime import datetime
from typing import NamedTuple

from schemas.event_types import EventType


class Said(NamedTuple):
    """What a record says of itself, without its signature."""

    order_id: str
    event_type: EventType
    event_id: str | None
    """None where the sender gave none beside the signature."""
    occurred_at: datetime | None
    """None, likewise."""


class Signed(NamedTuple):
    """What a good signature says."""

    key_id: str
    event_id: str
    occurred_at: datetime


def vouched_words(verified_by: str | None) -> str:
    """Says in words what vouches for the name of whoever decided, to stand behind that name on a page or a line.

    Args:
        verified_by: as `schemas.outbound.Cause` has it.
    """
    kind, _, key_id = (verified_by or "").partition(":")
    return f"signed with {key_id}" if key_id else "signed in" if kind else "unverified"
