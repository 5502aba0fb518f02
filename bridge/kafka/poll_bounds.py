"""Bounds one poll in bytes. The Kafka client itself bounds it in records only, however large they are (I11).

How large a record is shows when its batch is unfolded, which the client does while it gathers the records of a poll: 50
of them may be 50 bytes, or 50 batches that each unfold to 16 MiB. So the count stops there, at the bytes that were
really gathered. What is left stays in the client's buffer as it was fetched.
"""

from contextvars import ContextVar
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import FetchResult


class _Room:
    """How many more bytes the poll under way may gather."""

    __slots__ = ("bytes_left",)

    def __init__(self, bytes_left: int) -> None:
        self.bytes_left = bytes_left


_room: ContextVar[_Room | None] = ContextVar("room_of_a_poll", default=None)
"""Of the task that polls: a poll is made within its task, and each consumer has a task of its own."""


def bound_polls() -> None:
    """Has all consumers of the process heed `bound_next_poll` from now on. Nothing public of the client does it."""
    fetcher.FetchResult = BoundedFetchResult


def bound_next_poll(bytes_max: int) -> None:
    """Bounds the next poll that the calling task makes.

    Args:
        bytes_max: Once the poll's records have so many bytes it gathers no more: it exceeds them by less than a record.
    """
    _room.set(_Room(bytes_max))


class BoundedFetchResult(FetchResult):  # type: ignore[misc]  # aiokafka ships no types.
    """One partition's part of a fetch, in the place of the client's own."""

    def getall(self, max_records: int | None = None) -> list[Any]:
        """The next records, as the client's own; but none beyond the room that the poll has left."""
        room = _room.get()
        if room is None:
            return super().getall(max_records)  # type: ignore[no-any-return]
        if room.bytes_left <= 0 or not self.check_assignment(self._topic_partition) or not self.has_more():
            return []
        gathered: list[Any] = []
        for record in self._partition_records:
            gathered.append(record)
            room.bytes_left -= _size_bytes(record)
            if room.bytes_left <= 0 or len(gathered) == max_records:
                self._update_position()
                return gathered
        self._update_position()
        self._partition_records: Any = None
        return gathered


def _size_bytes(record: Any) -> int:
    size = len(record.key or b"") + len(record.value or b"")
    for name, value in record.headers:
        size += len(name) + len(value or b"")
    return size
