"""What was looked up is remembered for some seconds, so that a request costs no statement."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class _Entry(Generic[Value]):
    value: Value
    until: float


class Remembered(Generic[Key, Value]):
    """Looks things up, and remembers what it found, also that it found nothing. A look-up that fails is not remembered.

    Who asks while a thing is being looked up waits for that look-up.

    Args:
        look_up: finds the value of a key.
        lasts: for how long a value is remembered, counted from before it was looked up.
        entries_max: what was used longest ago is forgotten beyond that.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        look_up: Callable[[Key], Awaitable[Value]],
        *,
        lasts: timedelta,
        entries_max: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._look_up = look_up
        self._lasts = lasts.total_seconds()
        self._entries_max = entries_max
        self._clock = clock
        self._entries: OrderedDict[Key, _Entry[Value]] = OrderedDict()
        self._under_way: dict[Key, asyncio.Task[Value]] = {}

    def knows(self, key: Key) -> bool:
        """Whether the key's value is remembered, so that `get` needs no look-up."""
        entry = self._entries.get(key)
        return entry is not None and self._clock() < entry.until

    def last_known(self, key: Key) -> Value | None:
        """What the key's value was when it was last looked up, however long ago; None where that is forgotten."""
        entry = self._entries.get(key)
        return None if entry is None else entry.value

    async def get(self, key: Key) -> Value:
        """The key's value. Raises what the look-up raises."""
        entry = self._entries.get(key)
        if entry is not None and self._clock() < entry.until:
            self._entries.move_to_end(key)
            return entry.value
        task = self._under_way.get(key)
        if task is None:
            task = self._under_way[key] = asyncio.create_task(
                self._fill(key, self._clock() + self._lasts), name="look-up"
            )
            task.add_done_callback(lambda done: self._end(key, done))
        # Others may wait for the same look-up: it goes on when the one who began it goes away.
        return await asyncio.shield(task)

    def forget(self, key: Key) -> None:
        """Has the key looked up again when it is next asked for; a look-up under way is not remembered either."""
        self._entries.pop(key, None)
        self._under_way.pop(key, None)

    async def _fill(self, key: Key, until: float) -> Value:
        value = await self._look_up(key)
        if self._under_way.get(key) is asyncio.current_task():
            self._entries[key] = _Entry(value, until)
            self._entries.move_to_end(key)
            while len(self._entries) > self._entries_max:
                self._entries.popitem(last=False)
        return value

    def _end(self, key: Key, task: asyncio.Task[Value]) -> None:
        if self._under_way.get(key) is task:
            del self._under_way[key]
        if not task.cancelled():
            # Marks the exception as seen: asyncio would log it where nobody waits for the look-up any more.
            task.exception()
