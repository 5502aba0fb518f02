"""Orders on servers that demand TLS and client certificates, while all certificates are replaced."""

import json
import secrets

import httpx
import pytest

from tests.helpers.system.secured import SecuredSystem
from tests.helpers.system.waiting import assert_eventually

pytestmark = pytest.mark.timeout(300)


async def complete_an_order(system: SecuredSystem) -> None:
    """From the message that places it to the end, as upstream and an approver send them."""
    order_id = f"o-{secrets.token_hex(6)}"
    await system.run("produce", "created", order_id, "--payment-id", f"p-{order_id}")
    await system.run("produce", "approved", order_id)
    await system.run("wait", order_id, "--state", "COMPLETED", "--timeout", "90")
    events = [json.loads(line) for line in (await system.run("events", order_id, "--json")).splitlines()]
    assert [event["sequence"] for event in events] == list(range(1, 9)), events


async def renew_all(system: SecuredSystem) -> None:
    """Replaces every certificate and its authority, and cuts every connection: each is made anew, with new ones."""
    servers = system.servers
    servers.renew_all()
    await servers.postgres.renew()
    await servers.postgres.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'mutual' AND pid <> pg_backend_pid()"
    )
    await servers.temporal_mutual.drop()
    await servers.kafka.restart()


async def test_orders_run_by_tls_and_go_on_while_all_certificates_are_replaced(secured: SecuredSystem) -> None:
    bridge, worker, api = (secured.start(name, name) for name in ("bridge", "worker", "api"))
    await complete_an_order(secured)
    await renew_all(secured)
    await complete_an_order(secured)

    async def ready() -> bool:
        async with httpx.AsyncClient() as http:
            answer = await http.get(f"http://127.0.0.1:{secured.settings['API_HEALTH_PORT']}/readyz")
        return answer.status_code == httpx.codes.OK

    await assert_eventually(ready, 60.0, lambda: f"an API that is ready\n{secured.log_tails}")
    assert "temporal.credentials.renewed" in worker.log
    for process in (bridge, worker, api):
        await process.terminate()
