"""How the API's process starts: who may enter is said, and nobody at all is refused."""

import asyncio
from typing import Any

import pytest
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from orders.clients.opened import open_clients
from orders.errors import WrongSettingsError
from orders.operations.api_keys import create_key, revoke_key
from orders.processes.api import run_api
from orders.roles import Role
from orders.web.identity import open_gate
from stack.endpoints import Endpoints
from tests.helpers.servers.databases import migrated_engine
from tests.helpers.servers.openid_server import AUDIENCE
from tests.integration.web.identity.api import settings_for

PRODUCTION = {
    "orders_environment": "production",
    "payment_gateway_url": "https://pay.example",
    "carrier_gateway_url": "https://ship.example",
}


async def lines_at_start(endpoints: Endpoints, engine: AsyncEngine, **changes: Any) -> list[dict[str, Any]]:
    """What the check at the start says."""
    with structlog.testing.capture_logs() as logs:
        async with open_clients(settings_for(endpoints, engine.url, **changes)) as clients, open_gate(clients) as gate:
            await gate.check_somebody_may_enter()
    return [dict(line) for line in logs]


async def test_that_everybody_may_do_everything_is_said_loudly(endpoints: Endpoints, engine: AsyncEngine) -> None:
    (line,) = await lines_at_start(endpoints, engine, api_identity="auto")
    assert (line["event"], line["log_level"]) == ("identity.open_to_everybody", "warning")
    assert "DEVELOPMENT" in line["detail"]


async def test_production_refuses_to_start_where_nobody_could_enter(endpoints: Endpoints) -> None:
    async with migrated_engine(endpoints) as engine:
        settings = settings_for(endpoints, engine.url, api_identity="auto", **PRODUCTION)
        with pytest.raises(WrongSettingsError, match=r"nobody can use the API: .*orders api-keys create"):
            await run_api(settings, asyncio.Event())
        async with open_clients(settings) as clients:
            key = await create_key(clients, name="shop", role=Role.VIEWER, expires_at=None)
            (line,) = await lines_at_start(endpoints, engine, **PRODUCTION)
            assert (line["event"], line["ways"]) == ("identity.required", ["api_key"])
            await revoke_key(clients, key.record.key_id)
        with pytest.raises(WrongSettingsError, match="no API key that is good"):
            await run_api(settings, asyncio.Event())
        lines = await lines_at_start(endpoints, engine)
        assert lines[-1]["event"] == "identity.nobody_may_enter", "outside of production it starts, and says so"
        known = {"oidc_issuer": "https://id.example", "oidc_audience": AUDIENCE}
        (line,) = await lines_at_start(endpoints, engine, **PRODUCTION, **known)
        assert line["ways"] == ["api_key", "token"]


async def test_an_outage_of_postgres_at_the_start_is_no_reason_to_refuse(
    endpoints: Endpoints, engine: AsyncEngine
) -> None:
    (line,) = await lines_at_start(endpoints, engine, **PRODUCTION, db_port=1)
    assert line["event"] == "identity.required"
