"""Records of our own making: one for each that a batch holds, or one that stands for records which cannot be read."""

from dataclasses import dataclass
from typing import Protocol

from bridge.record import Header
from bridge.refusal import Refusal, RefusalCode, Stage


class Span(Protocol):
    """What is known of a batch without taking it apart."""

    @property
    def base_offset(self) -> int | None:
        """Its first offset; None where only taking it apart would tell."""
        ...

    @property
    def next_offset(self) -> int:
        """The offset behind it."""
        ...

    @property
    def max_timestamp(self) -> int:
        """The latest of its timestamps, in milliseconds."""
        ...

    @property
    def timestamp_type(self) -> int | None:
        """0 for the producer's, 1 for the broker's; None where nobody says."""
        ...


@dataclass(frozen=True, slots=True)
class ReadRecord:
    """What the client makes its consumer records of."""

    offset: int
    timestamp: int
    timestamp_type: int | None
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...] = ()
    checksum: Refusal | None = None
    """What is wrong with the record. The client hands this field through, and no record has a checksum that we use."""


def rest_of(batch: Span, first_offset: int | None, error: Exception) -> ReadRecord:
    """Stands for the records of a batch that cannot be taken apart, from an offset on; None where that is not known."""
    return _stand_in(
        batch,
        RefusalCode.BATCH_UNREADABLE,
        f"the records {_range(first_offset, batch)} are one batch that cannot be taken apart "
        f"({type(error).__name__}): see how their producer compresses them, and have it send them again",
    )


def too_large(batch: Span, bytes_max: int, setting: str) -> ReadRecord:
    """Stands for the records of a batch that unfolds beyond the bound.

    Args:
        batch: The batch.
        bytes_max: The bound.
        setting: What an operator knows it as.
    """
    return _stand_in(
        batch,
        RefusalCode.BATCH_TOO_LARGE,
        f"the records {_range(batch.base_offset, batch)} are one compressed batch of more than "
        f"{bytes_max} bytes: have their producer send smaller batches, or raise {setting}; then have them sent again",
    )


def _range(first_offset: int | None, batch: Span) -> str:
    last = batch.next_offset - 1
    return f"up to offset {last}" if first_offset is None else f"from offset {first_offset} to {last}"


def _stand_in(batch: Span, code: RefusalCode, message: str) -> ReadRecord:
    """One record for many.

    At the batch's last offset, as every fetch for one of them leads to this batch, also one that begins in its middle.
    """
    return ReadRecord(
        batch.next_offset - 1,
        batch.max_timestamp,
        batch.timestamp_type,
        None,
        None,
        checksum=Refusal(Stage.BYTES, code, message),
    )
