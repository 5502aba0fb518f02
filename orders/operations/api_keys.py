"""API keys: made, listed and revoked."""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from orders.clients.key_store import KeyRecord, KeyStore
from orders.clients.opened import Clients
from orders.errors import NotFoundError, UsageError
from orders.operations.key_text import key_id_of, new_key_text
from orders.roles import Role

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._@+-]{0,63}")


@dataclass(frozen=True, slots=True)
class CreatedKey:
    """A new key, once: nothing keeps its text."""

    record: KeyRecord
    text: str = field(repr=False)
    namesakes: tuple[str, ...]
    """Ids of the good keys that have the name already: with them it is one caller."""


async def create_key(clients: Clients, *, name: str, role: Role, expires_at: datetime | None) -> CreatedKey:
    """Makes a key.

    Args:
        clients: lead to the database.
        name: who the caller is: journals have it beside each decision.
        role: what the key is good for.
        expires_at: until when; None for no end.

    Raises:
        UsageError: the name cannot be one, or the time is over.
        UnreachableError: Postgres does not answer.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} is no name of a key: up to 64 letters, digits, blanks and . _ @ + -, with a letter or digit "
            f"first"
        )
    if expires_at is not None and expires_at <= datetime.now(UTC):
        raise UsageError(f"the key would have expired at {expires_at.isoformat()}: give a time to come")
    made = new_key_text()
    async with clients.database() as engine:
        store = KeyStore(engine)
        others = tuple(one.key_id for one in await store.all() if one.name == name and _is_good(one))
        record = await store.add(
            key_id=made.key_id, name=name, role=role, digest=made.digest, expires_at=expires_at
        )  # fmt: skip
    return CreatedKey(record, made.text, others)


async def list_keys(clients: Clients) -> tuple[KeyRecord, ...]:
    """Every key, the newest last.

    Raises:
        UnreachableError: Postgres does not answer.
    """
    async with clients.database() as engine:
        return await KeyStore(engine).all()


async def revoke_key(clients: Clients, named: str) -> KeyRecord:
    """Revokes a key, and with it the sessions that it signed in; processes forget both within API_KEY_CACHE_SECONDS.

    Args:
        clients: lead to the database.
        named: its id, with or without the prefix, or the whole key.

    Raises:
        UsageError: the text names no key.
        NotFoundError: there is no such key.
        UnreachableError: Postgres does not answer.
    """
    key_id = key_id_of(named)
    async with clients.database() as engine:
        revoked = await KeyStore(engine).revoke(key_id)
    if revoked is None:
        raise NotFoundError(f"there is no key {key_id}: `orders api-keys list` has them all")
    return revoked


def key_json(key: KeyRecord) -> dict[str, Any]:
    """A key for a program, without its digest."""
    return {
        "id": key.key_id,
        "name": key.name,
        "role": key.role,
        "created_at": key.created_at.isoformat(),
        "expires_at": _iso(key.expires_at),
        "revoked_at": _iso(key.revoked_at),
        "last_used_at": _iso(key.last_used_at),
        "usable": _is_good(key),
    }


def _is_good(key: KeyRecord) -> bool:
    return key.refused_because(datetime.now(UTC)) is None


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
