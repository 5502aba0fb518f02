"""Partitions in words short enough to read: a thousand of them in one line of the log would hide all others."""

from collections import defaultdict
from collections.abc import Iterable


def ranges_of(numbers: Iterable[int]) -> list[str]:
    """Numbers in ascending order, those that follow each other as one: ``["0-5", "7"]``."""
    found: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if found and number == found[-1][1] + 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return [str(first) if first == last else f"{first}-{last}" for first, last in found]


def in_ranges(partitions: Iterable[tuple[str, int]]) -> list[str]:
    """Partitions by their topics: ``["device.seen:0-5,7"]``."""
    by_topic: defaultdict[str, list[int]] = defaultdict(list)
    for topic, number in partitions:
        by_topic[topic].append(number)
    return [f"{topic}:{','.join(ranges_of(by_topic[topic]))}" for topic in sorted(by_topic)]
