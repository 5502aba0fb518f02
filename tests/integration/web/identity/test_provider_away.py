"""The provider goes away, and changes its keys: what is known goes on, and what is not is never taken for bad."""

from collections.abc import Awaitable, Callable

import httpx
import pytest
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from orders.web.identity import provider as provider_module
from stack.endpoints import Endpoints
from tests.helpers.servers.openid_server import OpenIdServer, new_key, openid_server
from tests.helpers.system.waiting import assert_eventually
from tests.integration.web.identity.api import RunningApi, running_api, settings_for

SOON_SECONDS = 0.5


@pytest.fixture
def asked_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """The provider is asked again after half a second, where it would be after ten."""
    monkeypatch.setattr(provider_module, "ASK_AGAIN_SECONDS", SOON_SECONDS)


async def status(api: RunningApi, token: str) -> int:
    return (await api.who(token)).status_code


@pytest.mark.usefixtures("asked_again_soon")
async def test_a_provider_that_is_away_at_the_start_is_waited_for(endpoints: Endpoints, engine: AsyncEngine) -> None:
    async with openid_server() as provider:
        token = provider.sign()
        provider.kill()
        async with running_api(settings_for(endpoints, engine.url, **provider.settings)) as api:
            key = (await api.key()).text
            answer = await api.who(token)
            assert answer.status_code == 503
            assert 1 <= int(answer.headers["Retry-After"]) <= 10
            assert "provider does not answer" in answer.json()["detail"]
            assert await status(api, key) == 200, "keys need no provider"

            await provider.start()
            await assert_eventually(lambda: _is(api, token, 200), 20)


async def _is(api: RunningApi, token: str, wanted: int) -> bool:
    return await status(api, token) == wanted


@pytest.mark.usefixtures("asked_again_soon")
async def test_a_provider_that_goes_away_later_leaves_its_known_keys_good(
    endpoints: Endpoints, engine: AsyncEngine
) -> None:
    async with openid_server() as provider:
        settings = settings_for(endpoints, engine.url, **provider.settings, oidc_keys_refresh_seconds=0.1)
        async with running_api(settings) as api:
            assert await status(api, provider.sign()) == 200
            provider.kill()
            for _ in range(20):
                assert await status(api, provider.sign()) == 200
            # Of a key that is not known nobody can say that it is wrong, once the provider has been asked again.
            unknown = provider.sign(key=new_key("key-2"))
            await assert_eventually(lambda: _is(api, unknown, 503), 20)
            assert await status(api, provider.sign()) == 200


async def test_a_provider_that_hangs_keeps_nobody_waiting_whose_key_is_known(
    endpoints: Endpoints, engine: AsyncEngine
) -> None:
    async with openid_server() as provider:
        changes = {"oidc_keys_refresh_seconds": 0.1, "oidc_timeout_seconds": 1}
        async with running_api(settings_for(endpoints, engine.url, **provider.settings, **changes)) as api:
            assert await status(api, provider.sign()) == 200
            provider.freeze()
            try:
                for _ in range(5):
                    assert await status(api, provider.sign()) == 200
            finally:
                provider.thaw()


@pytest.mark.usefixtures("asked_again_soon")
async def test_a_key_that_the_provider_has_changed_to_is_fetched_and_the_old_one_is_no_longer_good(
    endpoints: Endpoints, engine: AsyncEngine
) -> None:
    async with (
        openid_server() as provider,
        running_api(settings_for(endpoints, engine.url, **provider.settings)) as api,
    ):
        before = provider.sign()
        assert await status(api, before) == 200
        provider.kill()
        provider.key = new_key("key-2")
        await provider.start()
        after = await provider.access_token("job-approver")
        await assert_eventually(lambda: _is(api, after, 200), 20)
        assert await status(api, before) == 401


async def test_unknown_keys_have_the_provider_asked_once_in_ten_seconds(
    endpoints: Endpoints, engine: AsyncEngine, provider: OpenIdServer
) -> None:
    settings = settings_for(endpoints, engine.url, **provider.settings, api_failed_sign_ins_per_minute=1_000)
    async with running_api(settings) as api:
        assert api.gate._tokens is not None
        asked: list[str] = []
        http = api.gate._tokens._provider._http
        http.event_hooks["request"].append(_noting(asked))
        assert await status(api, provider.sign()) == 200
        assert len(asked) == 2, "the document and the keys"
        for number in range(100):
            assert await status(api, provider.sign(header={"kid": f"made-up-{number}"})) == 401
        assert len(asked) == 2
        assert await status(api, provider.sign()) == 200


def _noting(asked: list[str]) -> Callable[[httpx.Request], Awaitable[None]]:
    async def note(request: httpx.Request) -> None:
        asked.append(str(request.url))

    return note


async def test_a_provider_of_another_name_is_not_taken_for_ours(
    endpoints: Endpoints, engine: AsyncEngine, provider: OpenIdServer
) -> None:
    other_name = {**provider.settings, "oidc_issuer": provider.issuer.replace("127.0.0.1", "localhost")}
    async with running_api(settings_for(endpoints, engine.url, **other_name)) as api:
        with structlog.testing.capture_logs() as logs:
            assert await status(api, provider.sign({"iss": other_name["oidc_issuer"]})) == 503
    lost = [line for line in logs if line["event"] == "identity.provider.lost"]
    assert len(lost) == 1
    assert "they must be the same, to the last slash" in str(lost[0]["detail"])
