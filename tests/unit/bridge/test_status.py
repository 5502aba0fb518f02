"""How a bridge says that it is, with many partitions."""

import asyncio
import dataclasses
from typing import Any

from bridge import Bridge, BridgeConfig, Call, Kafka, Record
from bridge.engine.offsets import Partition

PARTITIONS, TURNS = 1_000, 4


class OneTopic:
    topics = ("a",)

    def translate(self, record: Record) -> Call:
        return Call("Any", f"w-{record.partition}", "any")


def full_bridge() -> Bridge:
    """A bridge that has its partitions and holds a record of each tenth, and is not connected to anything."""
    nothing: Any = None
    bridge = Bridge(BridgeConfig("g", "dead"), Kafka("nowhere:9"), nothing, OneTopic())
    parts = bridge._parts = bridge._make_parts(nothing, nothing)
    places = [Partition("a", number) for number in range(PARTITIONS)]
    parts.tracker.assign(set(places))
    for place in places[::10]:
        parts.engine.take(place, [Record("a", place.partition, 5, 1_700_000_000_000, None, b"v")])
    parts.prober.ends = dict.fromkeys(places, 8)
    return bridge


async def test_a_status_in_turns_is_the_status_and_leaves_others_their_turns() -> None:
    bridge, turns = full_bridge(), 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    at_work = asyncio.create_task(others())
    told = await bridge.status_in_turns()
    at_work.cancel()
    assert turns >= TURNS
    assert told == bridge.status()
    assert [one.partition for one in told.progress] == list(range(PARTITIONS))
    assert [(one.held, one.unread) for one in told.progress[:2]] == [(1, 2), (0, None)]


async def test_a_status_without_progress_says_all_the_rest() -> None:
    bridge = full_bridge()
    assert bridge.status(with_progress=False) == dataclasses.replace(bridge.status(), progress=())
