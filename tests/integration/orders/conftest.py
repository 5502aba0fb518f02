"""A database of its own for each test of the commands that change or read what is recorded."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.adapters.postgres import PostgresOrderStore
from stack.endpoints import Endpoints
from tests.helpers.servers.databases import migrated_engine


@pytest.fixture
async def engine(endpoints: Endpoints) -> AsyncIterator[AsyncEngine]:
    async with migrated_engine(endpoints) as one:
        yield one


@pytest.fixture
async def store(engine: AsyncEngine) -> AsyncIterator[PostgresOrderStore]:
    one = PostgresOrderStore(engine)
    yield one
    await one.close()


@pytest.fixture
def settings(endpoints: Endpoints, engine: AsyncEngine) -> dict[str, str]:
    """What leads a command to it."""
    return {**endpoints.as_environment(), "DB_NAME": engine.url.database or ""}
