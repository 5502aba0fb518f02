"""One system with workers for all tests of this folder, and an API that they share: each has orders of its own."""

from collections.abc import AsyncIterator

import pytest

from stack.endpoints import Endpoints
from tests.helpers.system.api_room import ApiRoom, open_api
from tests.helpers.system.system import OrderSystem, order_system


@pytest.fixture(scope="session")
async def system(endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OrderSystem]:
    folder = tmp_path_factory.mktemp("api")
    async with order_system(
        endpoints, folder, ORDER_APPROVAL_TIMEOUT_SECONDS="300", ORDER_AMOUNT_REQUIRED="false"
    ) as running:
        yield running


@pytest.fixture(scope="session")
async def api(system: OrderSystem) -> AsyncIterator[ApiRoom]:
    async with open_api(system) as room:
        yield room
