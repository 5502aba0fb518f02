"""The table of API keys."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import RowMapping, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.adapters.postgres.engine import single_statements
from activities.adapters.postgres.schema import api_keys
from orders.roles import Role

USE_NOTED_EVERY: Final = timedelta(hours=1)
"""How coarse `KeyRecord.last_used_at` is: a key in use costs one write in so long, and not one a request."""
KEYS_MAX: Final = 10_000
"""Most keys that one call returns."""


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A row of `api_keys`."""

    key_id: str
    name: str
    role: Role
    digest: bytes = field(repr=False)
    created_at: datetime
    expires_at: datetime | None
    """None: it does not expire."""
    revoked_at: datetime | None
    last_used_at: datetime | None
    """None: never. Coarse, see `USE_NOTED_EVERY`."""

    def refused_because(self, now: datetime) -> str | None:
        """Why whoever has the key is not let in; None where he is."""
        if self.revoked_at is not None:
            return "was revoked"
        if self.expires_at is not None and self.expires_at <= now:
            return "has expired"
        return None


class KeyStore:
    """Reads and writes the table. Every method raises `DatabaseUnavailableError` where it does not answer."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def add(self, *, key_id: str, name: str, role: Role, digest: bytes, expires_at: datetime | None) -> KeyRecord:
        """Keeps a new key."""
        values = {"id": key_id, "name": name, "role": role.value, "digest": digest, "expires_at": expires_at}
        async with single_statements(self._engine) as connection:
            statement = insert(api_keys).values(values).returning(api_keys)
            return _record((await connection.execute(statement)).mappings().one())

    async def find(self, key_id: str) -> KeyRecord | None:
        """The key of this id; None where there is none."""
        async with single_statements(self._engine) as connection:
            statement = select(api_keys).where(api_keys.c.id == key_id)
            row = (await connection.execute(statement)).mappings().one_or_none()
        return None if row is None else _record(row)

    async def all(self) -> tuple[KeyRecord, ...]:
        """Every key, the newest last; of more than `KEYS_MAX` the newest."""
        newest = select(api_keys).order_by(api_keys.c.created_at.desc(), api_keys.c.id).limit(KEYS_MAX)
        async with single_statements(self._engine) as connection:
            found = (await connection.execute(newest)).mappings().all()
        return tuple(_record(row) for row in reversed(found))

    async def any_usable(self) -> bool:
        """Whether there is a key that lets anybody in."""
        lasting = or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > func.now())
        usable = select(api_keys.c.id).where(api_keys.c.revoked_at.is_(None), lasting).limit(1)
        async with single_statements(self._engine) as connection:
            return (await connection.execute(usable)).first() is not None

    async def revoke(self, key_id: str) -> KeyRecord | None:
        """Revokes a key, and returns it; one that was revoked before keeps its time. None where there is none."""
        revoked_at = func.coalesce(api_keys.c.revoked_at, func.now())
        statement = update(api_keys).where(api_keys.c.id == key_id).values(revoked_at=revoked_at).returning(api_keys)
        async with single_statements(self._engine) as connection:
            row = (await connection.execute(statement)).mappings().one_or_none()
        return None if row is None else _record(row)

    async def note_use(self, key_id: str) -> None:
        """Writes down that the key is in use, unless that was done not long ago."""
        due = or_(api_keys.c.last_used_at.is_(None), api_keys.c.last_used_at < func.now() - USE_NOTED_EVERY)
        statement = update(api_keys).where(api_keys.c.id == key_id, due).values(last_used_at=func.now())
        async with single_statements(self._engine) as connection:
            await connection.execute(statement)


def _record(row: RowMapping) -> KeyRecord:
    return KeyRecord(
        key_id=row["id"],
        name=row["name"],
        role=Role(row["role"]),
        digest=row["digest"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
        last_used_at=row["last_used_at"],
    )
