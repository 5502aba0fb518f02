"""API keys of requests: looked up, compared, and remembered."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from orders.clients.key_store import USE_NOTED_EVERY, KeyRecord, KeyStore
from orders.clients.opened import Clients
from orders.errors import UnreachableError
from orders.operations.key_text import MalformedKeyError, parse_key_text
from orders.web.identity import refusals
from orders.web.identity.rates import FailedTries
from orders.web.identity.remembered import Remembered
from orders.web.identity.who import Identity

_KEYS_REMEMBERED_MAX: Final = 10_000
_MALFORMED: Final = "malformed"

_log = structlog.get_logger("orders.identity")


class KeyChecker:
    """Tells whose key a request has.

    Args:
        clients: lead to the database.
        tries: counts keys that are of no use.
        lasts: how long a key is remembered, and so how long one may go on that is revoked.
        now: the present time.
    """

    def __init__(
        self,
        clients: Clients,
        tries: FailedTries,
        *,
        lasts: timedelta,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._clients = clients
        self._tries = tries
        self._now = now
        self._keys: Remembered[str, KeyRecord | None] = Remembered(
            self._find, lasts=lasts, entries_max=_KEYS_REMEMBERED_MAX
        )
        self._noted_at: dict[str, datetime] = {}

    async def check(self, text: str, address: str) -> KeyRecord:
        """The key that a text is.

        Args:
            text: what was sent.
            address: of whoever sent it.

        Raises:
            Problem: 401, it is of no use; 429, that was so too often.
            UnreachableError: Postgres does not answer, and the key is not remembered.
        """
        try:
            key = parse_key_text(text)
        except MalformedKeyError as error:
            await self._tries.count(address, _MALFORMED)
            # `from None`: nothing of what was sent may reach a log by way of a chain.
            raise refusals.credential(f"what was sent {error}") from None
        # Who has a key that was good is not asked to wait because somebody else at his address makes keys up.
        if not self._keys.knows(key.key_id) and self._keys.last_known(key.key_id) is None:
            await self._tries.check_address(address)
        record = await self._keys.get(key.key_id)
        # Compared also where the id is unknown, so that both take as long.
        matches = key.has_digest(bytes(32) if record is None else record.digest)
        reason = "is unknown" if record is None or not matches else record.refused_because(self._now())
        if record is None or reason is not None:
            await self._tries.count(address, key.key_id)
            _log.info("identity.key.refused", key_id=key.key_id, reason=reason)
            raise refusals.credential(f"the API key {reason}")
        await self._note_use(record)
        return record

    async def _find(self, key_id: str) -> KeyRecord | None:
        async with self._clients.database() as engine:
            return await KeyStore(engine).find(key_id)

    async def _note_use(self, record: KeyRecord) -> None:
        """Writes down that the key is in use, where that is due; it is no reason to refuse it that this fails."""
        now, never = self._now(), datetime.min.replace(tzinfo=UTC)
        noted_at = max(record.last_used_at or never, self._noted_at.get(record.key_id, never))
        if noted_at > now - USE_NOTED_EVERY:
            return
        # At once, so that of many requests one writes. As many as there are good keys; none is made up by a caller.
        self._noted_at[record.key_id] = now
        with suppress(UnreachableError):
            async with self._clients.database() as engine:
                await KeyStore(engine).note_use(record.key_id)


def identity_of_key(record: KeyRecord) -> Identity:
    """Who has the key."""
    return Identity(record.name, record.role.included, "api_key", f"api_key:{record.name}")
