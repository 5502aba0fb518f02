"""Orders on servers that demand TLS and client certificates, while all certificates are replaced."""

import httpx

from tests.helpers.system.secured import SecuredSystem
from tests.helpers.system.waiting import assert_eventually


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
    await secured.complete_an_order()
    await renew_all(secured)
    await secured.complete_an_order()

    async def ready() -> bool:
        async with httpx.AsyncClient() as http:
            answer = await http.get(f"http://127.0.0.1:{secured.settings['API_HEALTH_PORT']}/readyz")
        return answer.status_code == httpx.codes.OK

    await assert_eventually(ready, 60.0, lambda: f"an API that is ready\n{secured.log_tails}")
    assert "temporal.credentials.renewed" in worker.log
    for process in (bridge, worker, api):
        await process.terminate()
