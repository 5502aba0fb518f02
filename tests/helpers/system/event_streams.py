"""A client of server-sent events that keeps what it got, for tests."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.helpers.system.waiting import assert_eventually


@dataclass(slots=True)
class SeenEvent:
    """One event as a browser has it."""

    id: str
    type: str
    body: dict[str, Any]

    @property
    def order_and_sequence(self) -> tuple[str, int]:
        """What identifies the event, whichever stream brought it."""
        return self.body["order_id"], self.body["sequence"]


@dataclass(slots=True)
class Listener:
    """Reads one stream after the other, each behind what the one before brought."""

    http: httpx.AsyncClient
    path: str
    last_id: str | None = None
    events: list[SeenEvent] = field(default_factory=list)
    ended: bool = False
    """Whether the server has ended the stream, in order."""
    status: int | None = None

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Listener"]:
        """Reads while the block lasts, which begins once the stream has."""
        began = asyncio.Event()
        self.ended = False
        task = asyncio.create_task(self._read(began), name="listener")
        beginning = asyncio.create_task(began.wait())
        await asyncio.wait([task, beginning], return_when=asyncio.FIRST_COMPLETED)
        beginning.cancel()
        try:
            yield self
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError, httpx.HTTPError):
                await task

    async def wait_for(self, count: int, within_seconds: float = 30) -> None:
        """Waits until so many events have come."""
        await assert_eventually(
            lambda: len(self.events) >= count, within_seconds, lambda: f"{count} events, not {self.events}"
        )

    async def _read(self, began: asyncio.Event) -> None:
        headers = {"Accept": "text/event-stream", **({"Last-Event-ID": self.last_id} if self.last_id else {})}
        async with self.http.stream("GET", self.path, headers=headers, timeout=None) as answer:
            self.status = answer.status_code
            if answer.status_code != 200:
                return
            assert answer.headers["content-type"].startswith("text/event-stream")
            fields: dict[str, str] = {}
            async for line in answer.aiter_lines():
                if line:
                    name, _, value = line.partition(":")
                    fields[name] = value.removeprefix(" ")
                    continue
                self.last_id = fields.get("id", self.last_id)
                if "data" in fields:
                    self.events.append(SeenEvent(fields["id"], fields["event"], json.loads(fields["data"])))
                began.set()
                fields = {}
        self.ended = True
