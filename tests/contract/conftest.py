"""The database and the provider that the contract suites share: ids are random, so that tests do not meet."""

import secrets
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.adapters.http import HttpProvider
from activities.adapters.postgres import PostgresOrderStore
from activities.ports import OrderStore
from stack.endpoints import Endpoints
from tests.helpers.fakes import InMemoryOrderStore
from tests.helpers.servers.databases import migrated_engine
from tests.helpers.servers.gateway_server import RunningGateway, running_gateway


@pytest.fixture(scope="session")
async def engine(endpoints: Endpoints) -> AsyncIterator[AsyncEngine]:
    async with migrated_engine(endpoints) as one:
        yield one


@pytest.fixture(scope="session")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningGateway]:
    async with running_gateway(tmp_path_factory.mktemp("gateway")) as one:
        yield one


@pytest.fixture
async def provider(gateway: RunningGateway) -> AsyncIterator[HttpProvider]:
    async with HttpProvider(
        base_url=gateway.url, api_key=gateway.api_key, timeout=timedelta(seconds=3), settings="PAYMENT_GATEWAY"
    ) as one:
        yield one


@pytest.fixture(params=["memory", "postgres"])
def store(request: pytest.FixtureRequest) -> OrderStore:
    if request.param == "memory":
        return InMemoryOrderStore()
    return PostgresOrderStore(request.getfixturevalue("engine"))


@pytest.fixture
def order_id() -> str:
    return f"o-{secrets.token_hex(6)}"
