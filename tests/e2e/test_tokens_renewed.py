"""Tokens of an OpenID provider for Kafka, and API keys of Temporal, are renewed while orders run."""

from collections.abc import Callable
from pathlib import Path

from tests.helpers.servers.openid_server import AUDIENCE, CLIENT_SECRET, OpenIdServer
from tests.helpers.servers.secure.kafka import TOKEN_CLIENT, Listener
from tests.helpers.servers.secure.key_door import KeyDoor, key_door
from tests.helpers.system.processes import OrdersProcess
from tests.helpers.system.secured import SecuredSystem
from tests.helpers.system.waiting import assert_eventually

TOKEN_SECONDS = 12
"""As short as a busy machine bears: every connection to Kafka ends as often."""
SOON_SECONDS = 120.0


async def let_tokens_last(provider: OpenIdServer, seconds: int) -> None:
    """From now on, at the same place and with the same key."""
    provider.kill()
    provider.token_seconds = seconds
    await provider.start()


def renewals(process: OrdersProcess) -> int:
    return process.log.count("kafka.token.renewed")


async def test_orders_run_by_tokens_that_end_every_few_seconds_and_after_their_provider_was_away(
    secured: SecuredSystem,
) -> None:
    provider = secured.servers.provider
    usual = provider.token_seconds
    await let_tokens_last(provider, TOKEN_SECONDS)
    settings = {
        "KAFKA_BOOTSTRAP_SERVERS": secured.servers.kafka.address(Listener.SASL),
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA_SASL_MECHANISM": "OAUTHBEARER",
        "KAFKA_OAUTH_TOKEN_URL": f"{provider.issuer}/token",
        "KAFKA_OAUTH_CLIENT_ID": TOKEN_CLIENT,
        "KAFKA_OAUTH_CLIENT_SECRET": CLIENT_SECRET,
        "KAFKA_OAUTH_AUDIENCE": AUDIENCE,
        "KAFKA_OAUTH_SCOPE": "orders",
        "KAFKA_SSL_CERT_FILE": "",
        "KAFKA_SSL_KEY_FILE": "",
    }
    bridge, worker = (secured.start(name, name, **settings) for name in ("bridge", "worker"))
    try:
        await secured.complete_an_order(upstream=settings, downstream=settings)
        await assert_eventually(
            lambda: renewals(bridge) >= 3 and renewals(worker) >= 3, SOON_SECONDS, lambda: secured.log_tails
        )
        await secured.complete_an_order()
        provider.kill()
        await bridge.wait_until_logged("token_not_given", SOON_SECONDS)
        await provider.start()
        await secured.complete_an_order()
        assert not any(CLIENT_SECRET in log or "eyJ" in log for log in (bridge.log, worker.log)), "no token in a log"
    finally:
        await let_tokens_last(provider, usual)
    for process in (bridge, worker):
        await process.terminate()


async def test_an_api_key_of_temporal_is_renewed_without_a_restart_whichever_side_comes_first(
    secured: SecuredSystem, tmp_path: Path
) -> None:
    file = tmp_path / "api-key"

    def write(key: str) -> None:
        draft = file.with_suffix(".new")
        draft.write_text(f"{key}\n")
        draft.replace(file)

    servers = secured.servers
    async with key_door(servers.open.temporal_host, servers.certificates, tmp_path) as door:
        write("first-key")
        door.let_in("first-key")
        settings = {
            "TEMPORAL_HOST": door.address,
            "TEMPORAL_API_KEY_FILE": str(file),
            "TEMPORAL_TLS_CLIENT_CERT_FILE": "",
            "TEMPORAL_TLS_CLIENT_KEY_FILE": "",
        }
        bridge, worker = (secured.start(name, name, **settings) for name in ("bridge", "worker"))
        await secured.complete_an_order()
        await renew_the_file_first(secured, door, (bridge, worker), write)
        # The gateway first: who is refused tries again, and goes on once the file has it too.
        door.let_in("third-key")
        await bridge.wait_until_logged("credentials_refused", SOON_SECONDS)
        write("third-key")
        await secured.complete_an_order()
        former = tmp_path / "former"
        former.write_text("second-key")
        refused = {**settings, "TEMPORAL_API_KEY_FILE": str(former)}
        said = await secured.run("approve", "o-1", status=2, **refused)
        assert "does not know the API key" in said
        assert not any("-key" in log.replace("api-key", "") for log in (said, bridge.log, worker.log))
        for process in (bridge, worker):
            await process.terminate()


async def renew_the_file_first(
    secured: SecuredSystem, door: KeyDoor, processes: tuple[OrdersProcess, ...], write: Callable[[str], None]
) -> None:
    door.let_in("first-key", "second-key")
    write("second-key")
    for process in processes:
        await process.wait_until_logged("temporal.credentials.renewed", SOON_SECONDS)
    door.let_in("second-key")
    await secured.complete_an_order()
