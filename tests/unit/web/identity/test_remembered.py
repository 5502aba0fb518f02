"""What was looked up is remembered: for so long, for so many, and by one look-up for all who wait."""

import asyncio
from datetime import timedelta

import pytest

from orders.web.identity.remembered import Remembered


class Shelf:
    """Looks up, and counts how often."""

    def __init__(self) -> None:
        self.now = 0.0
        self.asked: list[str] = []
        self.open = asyncio.Event()
        self.open.set()
        self.fails = False
        self.remembered = Remembered(
            self.look_up, lasts=timedelta(seconds=5), entries_max=2, clock=lambda: self.now
        )  # fmt: skip

    async def look_up(self, key: str) -> str | None:
        self.asked.append(key)
        await self.open.wait()
        if self.fails:
            raise OSError("away")
        return None if key == "nothing" else key.upper()


async def test_a_value_is_looked_up_once_in_its_time_also_where_there_is_none() -> None:
    shelf = Shelf()
    for _ in range(3):
        assert await shelf.remembered.get("a") == "A"
        assert await shelf.remembered.get("nothing") is None
    assert shelf.asked == ["a", "nothing"]
    assert shelf.remembered.knows("a")
    shelf.now = 5.0
    assert not shelf.remembered.knows("a")
    await shelf.remembered.get("a")
    assert shelf.asked == ["a", "nothing", "a"]


async def test_the_time_counts_from_before_the_look_up() -> None:
    shelf = Shelf()
    shelf.open.clear()
    waiting = asyncio.create_task(shelf.remembered.get("a"))
    await asyncio.sleep(0)
    shelf.now = 4.9
    shelf.open.set()
    await waiting
    assert shelf.remembered.knows("a")
    shelf.now = 5.0
    assert not shelf.remembered.knows("a")


async def test_what_was_used_longest_ago_makes_room() -> None:
    shelf = Shelf()
    for key in ("a", "b", "a", "c"):
        await shelf.remembered.get(key)
    assert [shelf.remembered.knows(key) for key in "abc"] == [True, False, True]


async def test_all_who_ask_at_once_wait_for_one_look_up_and_one_who_leaves_takes_it_from_nobody() -> None:
    shelf = Shelf()
    shelf.open.clear()
    waiting = [asyncio.create_task(shelf.remembered.get("a")) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)
    shelf.open.set()
    assert await asyncio.gather(*waiting[1:]) == ["A", "A"]
    assert shelf.asked == ["a"]


async def test_a_failure_is_told_to_all_and_not_remembered() -> None:
    shelf = Shelf()
    shelf.fails = True
    for _ in range(2):
        with pytest.raises(OSError, match="away"):
            await shelf.remembered.get("a")
    shelf.fails = False
    assert await shelf.remembered.get("a") == "A"
    assert shelf.asked == ["a"] * 3


async def test_what_is_forgotten_during_its_look_up_is_not_remembered_by_it() -> None:
    shelf = Shelf()
    shelf.open.clear()
    before = asyncio.create_task(shelf.remembered.get("a"))
    await asyncio.sleep(0)
    shelf.remembered.forget("a")
    shelf.open.set()
    assert await before == "A"
    assert not shelf.remembered.knows("a")
