"""Browsers that are signed in: what their cookie holds is random, and kept here as its digest."""

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from orders.clients.opened import Clients
from orders.clients.session_store import SessionRecord, SessionStore
from orders.roles import Role
from orders.web.identity.rates import FailedTries
from orders.web.identity.remembered import Remembered
from orders.web.identity.who import Identity

_SESSIONS_REMEMBERED_MAX: Final = 10_000
_BYTES: Final = 32
_SHAPE: Final = re.compile(r"[A-Za-z0-9_-]{43}")
"""Of 32 bytes in base64url; anything else costs no look-up."""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Somebody who has just shown who he is."""

    name: str
    caller_id: str
    role: Role
    api_key_id: str | None = None
    """The key that he showed; None where a provider vouched for him."""


class Sessions:
    """Begins, finds and ends sessions.

    Args:
        clients: lead to the database.
        tries: counts cookies that are of no use.
        idle: a session without a request for so long has ended.
        lasts: a session ends after so long in any case.
        remembered: how long one is remembered, and so how long one may go on that was ended by another process.
    """

    def __init__(
        self, clients: Clients, tries: FailedTries, *, idle: timedelta, lasts: timedelta, remembered: timedelta
    ) -> None:
        self._clients = clients
        self._tries = tries
        self._idle = idle
        self.lasts = lasts
        self._found: Remembered[bytes, SessionRecord | None] = Remembered(
            self._find, lasts=min(remembered, idle / 10), entries_max=_SESSIONS_REMEMBERED_MAX
        )

    async def begin(self, who: SignedIn) -> str:
        """Begins a session, and returns what the cookie is to hold.

        The value is a new one in any case, so that nobody is signed in to a session whose cookie somebody else chose.

        Raises:
            UnreachableError: Postgres does not answer.
        """
        value = secrets.token_urlsafe(_BYTES)
        async with self._clients.database() as engine:
            await SessionStore(engine, idle=self._idle).add(
                digest=_digest(value),
                caller_id=who.caller_id,
                name=who.name,
                role=who.role,
                api_key_id=who.api_key_id,
                lasts=self.lasts,
            )
        return value

    async def identity(self, value: str, address: str) -> Identity | None:
        """Who is signed in with this cookie; None where nobody is, or no longer.

        Args:
            value: what the cookie holds.
            address: of whoever sent it.

        Raises:
            Problem: 429, cookies from this address were of no use too often.
            UnreachableError: Postgres does not answer, and the session is not remembered.
        """
        if not _SHAPE.fullmatch(value):
            return None
        digest = _digest(value)
        is_new = not self._found.knows(digest)
        if is_new and self._found.last_known(digest) is None:
            await self._tries.check_address(address)
        session = await self._found.get(digest)
        if session is None and is_new:
            # A browser whose session has ended sends its cookie with every request: once in a while each is counted.
            await self._tries.count(address, f"session {digest.hex()}")
        return None if session is None else Identity(session.name, session.role.included, "session", session.caller_id)

    async def goes_on(self, value: str) -> bool:
        """Whether the session of this cookie is good, looked up anew and without counting as a request.

        Raises:
            UnreachableError: Postgres does not answer.
        """
        if not _SHAPE.fullmatch(value):
            return False
        async with self._clients.database() as engine:
            return await SessionStore(engine, idle=self._idle).find(_digest(value), note_seen=False) is not None

    async def end(self, value: str) -> None:
        """Ends the session of this cookie, in this process at once, in others once they have forgotten it.

        Raises:
            UnreachableError: Postgres does not answer.
        """
        if not _SHAPE.fullmatch(value):
            return
        digest = _digest(value)
        async with self._clients.database() as engine:
            await SessionStore(engine, idle=self._idle).end(digest)
        self._found.forget(digest)

    async def _find(self, digest: bytes) -> SessionRecord | None:
        async with self._clients.database() as engine:
            return await SessionStore(engine, idle=self._idle).find(digest)


def _digest(value: str) -> bytes:
    return hashlib.sha256(value.encode()).digest()
