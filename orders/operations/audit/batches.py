"""Hands on in lists what is read one by one, so that the database is asked once a list and not once an item."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")


def in_batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """The items in lists of at most so many; `itertools.batched` comes with Python 3.12 only."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
