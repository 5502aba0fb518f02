"""The table of the console's sessions. What a cookie holds comes here as its digest only."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.adapters.postgres.engine import transaction
from activities.adapters.postgres.schema import api_keys, sessions
from orders.roles import Role

SESSIONS_OF_A_CALLER_MAX: Final = 20
"""More browsers of one caller at once than any person has; a further one signs out the oldest."""
SEEN_NOTED_EVERY: Final = timedelta(minutes=1)
"""How coarse `last_seen_at` is, where the time allowed without a request is long enough for that."""
_CLEARED_MAX: Final = 1_000
"""Most ended sessions that one sign-in clears away."""


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """A session that is good."""

    digest: bytes = field(repr=False)
    caller_id: str
    name: str
    role: Role
    api_key_id: str | None
    created_at: datetime
    expires_at: datetime


class SessionStore:
    """Reads and writes the table. Every method raises `DatabaseUnavailableError` where it does not answer.

    All times are the database's: the processes' clocks take no part in when a session ends.

    Args:
        engine: leads to the database.
        idle: a session without a request for so long has ended.
    """

    def __init__(self, engine: AsyncEngine, *, idle: timedelta) -> None:
        self._engine = engine
        self._idle = idle
        self._noted_every = min(SEEN_NOTED_EVERY, idle / 10)

    async def add(
        self, *, digest: bytes, caller_id: str, name: str, role: Role, api_key_id: str | None, lasts: timedelta
    ) -> None:
        """Keeps a new session, and clears away ended ones and those that its caller has too many of.

        Args:
            digest: of what the cookie holds.
            caller_id: who signed in.
            name: as people call him.
            role: as it was at sign-in.
            api_key_id: the key that signed in; None where a provider vouched.
            lasts: when it ends at the latest, from now on.
        """
        values = {"digest": digest, "caller_id": caller_id, "name": name, "role": role.value, "api_key_id": api_key_id}
        kept = (
            select(sessions.c.digest)
            .where(sessions.c.caller_id == caller_id)
            .order_by(sessions.c.created_at.desc(), sessions.c.digest)
            .offset(SESSIONS_OF_A_CALLER_MAX)
        )
        ended = select(sessions.c.digest).where(sessions.c.expires_at < func.now()).limit(_CLEARED_MAX)
        async with transaction(self._engine) as connection:
            await connection.execute(insert(sessions).values(**values, expires_at=func.now() + lasts))
            await connection.execute(delete(sessions).where(sessions.c.digest.in_(kept)))
            await connection.execute(delete(sessions).where(sessions.c.digest.in_(ended)))

    async def find(self, digest: bytes, *, note_seen: bool = True) -> SessionRecord | None:
        """The session, if it is good, and notes that it was seen.

        A session is no longer good where it has ended, where no request came with it for too long, and where the key
        that signed in is no longer good.

        Args:
            digest: of what the cookie holds.
            note_seen: whether somebody asks for something, which keeps the session from ending for want of that.
        """
        statement = (
            select(sessions, (sessions.c.last_seen_at < func.now() - self._noted_every).label("note_due"))
            .outerjoin(api_keys, api_keys.c.id == sessions.c.api_key_id)
            .where(
                sessions.c.digest == digest,
                sessions.c.expires_at > func.now(),
                sessions.c.last_seen_at > func.now() - self._idle,
                api_keys.c.revoked_at.is_(None),
                or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > func.now()),
            )
        )
        async with transaction(self._engine) as connection:
            row = (await connection.execute(statement)).mappings().one_or_none()
            if row is None:
                return None
            if note_seen and row["note_due"]:
                seen = update(sessions).where(sessions.c.digest == digest).values(last_seen_at=func.now())
                await connection.execute(seen)
        names = ("digest", "caller_id", "name", "api_key_id", "created_at", "expires_at")
        return SessionRecord(**{name: row[name] for name in names}, role=Role(row["role"]))

    async def end(self, digest: bytes) -> None:
        """Ends a session; does nothing where there is none with this digest."""
        async with transaction(self._engine) as connection:
            await connection.execute(delete(sessions).where(sessions.c.digest == digest))
