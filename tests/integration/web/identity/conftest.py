"""A database with our tables, a real OpenID provider, and an application that asks our gate."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from stack.endpoints import Endpoints
from tests.helpers.servers.databases import migrated_engine
from tests.helpers.servers.openid_server import OpenIdServer, openid_server
from tests.integration.web.identity.api import RunningApi, running_api, settings_for


@pytest.fixture(scope="module")
async def engine(endpoints: Endpoints) -> AsyncIterator[AsyncEngine]:
    async with migrated_engine(endpoints) as one:
        yield one


@pytest.fixture(scope="module")
async def provider() -> AsyncIterator[OpenIdServer]:
    async with openid_server() as one:
        yield one


@pytest.fixture
async def api(endpoints: Endpoints, engine: AsyncEngine) -> AsyncIterator[RunningApi]:
    """Taken are API keys alone."""
    async with running_api(settings_for(endpoints, engine.url)) as one:
        yield one


@pytest.fixture
async def api_with_provider(
    endpoints: Endpoints, engine: AsyncEngine, provider: OpenIdServer
) -> AsyncIterator[RunningApi]:
    """Taken are API keys and the provider's tokens."""
    async with running_api(settings_for(endpoints, engine.url, **provider.settings)) as one:
        yield one
