"""Streams of callers who are let in no longer: the whole API in this process, with a key that is revoked meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from orders.clients.opened import Clients, open_clients
from orders.operations.api_keys import create_key, revoke_key
from orders.processes.api import run_api
from orders.processes.exit_status import ExitStatus
from orders.roles import Role
from orders.settings import Settings
from orders.web.identity import gate
from tests.helpers.system.api_room import ApiRoom
from tests.helpers.system.event_streams import Listener
from tests.helpers.system.processes import free_port
from tests.helpers.system.system import OrderSystem
from tests.helpers.system.waiting import assert_eventually


@pytest.fixture
async def clients(system: OrderSystem, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Clients]:
    """Of an API that serves, asks everybody who they are, and soon asks again."""
    monkeypatch.setattr(gate, "LOOK_AGAIN_SECONDS", 0.2)
    values: dict[str, Any] = {name.lower(): value for name, value in system.settings.items()}
    changes: dict[str, Any] = {"api_port": free_port(), "api_identity": "required", "api_key_cache_seconds": 0.1}
    settings = Settings(_env_file=None, **{**values, **changes})
    stop = asyncio.Event()
    async with open_clients(settings) as opened:
        serving = asyncio.create_task(run_api(settings, stop))
        yield opened
        stop.set()
        assert await serving is ExitStatus.OK


async def test_a_stream_ends_soon_after_its_key_was_revoked_and_others_go_on(api: ApiRoom, clients: Clients) -> None:
    order_id = await api.start_order()
    revoked, kept = [
        await create_key(clients, name=name, role=Role.VIEWER, expires_at=None) for name in ("revoked", "kept")
    ]
    async with (
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{clients.settings.api_port}") as http,
        httpx.AsyncClient(base_url=http.base_url, headers={"Authorization": f"Bearer {revoked.text}"}) as by_revoked,
        httpx.AsyncClient(base_url=http.base_url, headers={"Authorization": f"Bearer {kept.text}"}) as by_kept,
    ):

        async def answers() -> bool:
            try:
                return (await http.get("/")).status_code == 200
            except httpx.ConnectError:
                return False

        await assert_eventually(answers, 60)
        paths = ("/events", f"/orders/{order_id}/events")
        ended = [Listener(by_revoked, path) for path in paths]
        goes_on = [Listener(by_kept, path) for path in paths]
        async with ended[0].listening(), ended[1].listening(), goes_on[0].listening(), goes_on[1].listening():
            assert [one.status for one in (*ended, *goes_on)] == [200] * 4
            await revoke_key(clients, revoked.record.key_id)
            await assert_eventually(lambda: all(one.ended for one in ended), 60, "the streams of the revoked key end")
            await api.signal(order_id, "cancel", {"reason": "no longer wanted"})
            await goes_on[1].wait_for(3, 60)
            assert [one.ended for one in goes_on] == [False, False]
            again = Listener(by_revoked, "/events")
            async with again.listening():
                assert again.status == 401
