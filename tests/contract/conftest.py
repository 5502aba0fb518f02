"""The database that the contract suites share: ids are random, so that tests do not meet."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from stack.endpoints import Endpoints
from tests.helpers.databases import migrated_engine


@pytest.fixture(scope="session")
async def engine(endpoints: Endpoints) -> AsyncIterator[AsyncEngine]:
    async with migrated_engine(endpoints) as one:
        yield one
