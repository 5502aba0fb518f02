"""Whether the servers that orders are read from and decided by answer, asked seldom however often one wants to know."""

import asyncio
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from bridge.supervision.probe import ask_temporal
from orders.clients.opened import Clients
from orders.errors import OrdersError

_ANSWER_AGE_MAX_SECONDS: Final = 2.0
_ASK_TIMEOUT_SECONDS: Final = 2.0
_NO_ORDER: Final = "-"
"""No order has this id: ids begin with a letter or a digit."""


class Reachability:
    """Asks Temporal and Postgres, and remembers the answers for 2 s."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._asking = asyncio.Lock()
        self._asked_at: float | None = None
        self._answers: Mapping[str, str] = {}

    async def troubles(self) -> Mapping[str, str]:
        """For each server what is wrong with it; "" where it answers."""
        async with self._asking:
            if self._asked_at is None or time.monotonic() - self._asked_at >= _ANSWER_AGE_MAX_SECONDS:
                temporal, postgres = await asyncio.gather(self._temporal(), self._postgres())
                self._answers = MappingProxyType({"temporal": temporal, "postgres": postgres})
                self._asked_at = time.monotonic()
            return self._answers

    async def _temporal(self) -> str:
        try:
            async with asyncio.timeout(_ASK_TIMEOUT_SECONDS):
                await ask_temporal(await self._clients.temporal())
        except Exception as error:  # noqa: BLE001 - whatever it is, Temporal does not serve us now
            return f"temporal does not answer ({type(error).__name__})"
        return ""

    async def _postgres(self) -> str:
        try:
            async with asyncio.timeout(_ASK_TIMEOUT_SECONDS), self._clients.order_reader() as reader:
                # Not `SELECT 1`: a database without our tables is of no use either.
                await reader.order(_NO_ORDER)
        except (OrdersError, TimeoutError) as error:
            return f"postgres does not answer ({type(error).__name__})"
        return ""
