"""No secret is in a log, an answer, an address or a text of ours, whatever goes well or wrong."""

import io
import logging
from collections.abc import Iterator

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from orders.operations.key_text import new_key_text
from orders.telemetry.logs import configure_logging
from stack.endpoints import Endpoints
from tests.helpers.servers.openid_server import CLIENT_SECRET, OpenIdServer
from tests.helpers.system.command_line import logging_as_it_was
from tests.integration.web.identity.api import running_api, settings_for, sign_in_by_key
from tests.integration.web.identity.test_code_flow import begun, callback_address, changed, come_back


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """All that a process of ours logs, at the level that says most."""
    written = io.StringIO()
    with logging_as_it_was():
        configure_logging(level="debug", form="json", stream=written)
        yield written


async def test_nothing_secret_is_said_anywhere(
    endpoints: Endpoints, engine: AsyncEngine, provider: OpenIdServer, log: io.StringIO
) -> None:
    texts: list[str] = []

    async def keep(response: httpx.Response) -> None:
        await response.aread()
        texts.append(
            f"{response.text} {response.headers.get('Location', '')} {response.headers.get('WWW-Authenticate')}"
        )

    secrets = {"client secret": CLIENT_SECRET, "key": "", "wrong key": new_key_text().text}
    async with running_api(settings_for(endpoints, engine.url, **provider.settings)) as api, api.browser() as browser:
        api.http.event_hooks["response"].append(keep)
        created = await api.key()
        texts += [repr(created), repr(api.settings), str(api.settings), repr(api.gate), repr(api.gate.keys)]
        secrets |= {"key": created.text, "token": provider.sign(), "bad token": provider.sign({"aud": "other"})}
        for credential in (*secrets.values(), created.text[:-1], secrets["token"][:-5]):
            await api.who(credential)
            texts.append((await api.http.post("/console/sign-in", data={"api_key": credential})).text)
        browser.event_hooks["response"].append(keep)
        await sign_in_by_key(browser, created.text)
        secrets["session"] = browser.cookies["orders-session"]
        address = await begun(browser)
        secrets["under way"] = browser.cookies["orders-sign-in"]
        await come_back(api, browser, "anna-approver", address)
        secrets["next session"] = browser.cookies["orders-session"]
        callback = await callback_address(api, browser, "anna-approver")
        secrets["code"] = dict(httpx.URL(callback).params)["code"]
        await browser.get(changed(callback, state="other"))
        for path in ("/who", "/console/sign-in", "/nothing"):
            await browser.get(path)
        await browser.post("/console/sign-out")

    logged = log.getvalue()
    assert "identity.signed_in" in logged
    assert "identity.token.refused" in logged
    assert logging.getLogger().level == logging.DEBUG
    said = "\n".join(texts)
    for name, secret in secrets.items():
        # A half of it would be as good as the whole to whoever reads it.
        for part in (secret, secret[len(secret) // 2 :]):
            assert part not in logged, name
            assert part not in said, name


async def test_an_outage_in_the_middle_says_nothing_secret_either(
    endpoints: Endpoints, engine: AsyncEngine, log: io.StringIO
) -> None:
    key = new_key_text().text
    async with running_api(settings_for(endpoints, engine.url, db_port=1)) as api:
        answers = [
            await api.who(key),
            await api.http.post("/console/sign-in", data={"api_key": key}),
            await api.http.get("/who", headers={"Cookie": f"orders-session={'A' * 43}"}),
        ]
    assert [answer.status_code for answer in answers] == [503] * 3
    assert all("Traceback" not in answer.text and key not in answer.text for answer in answers)
    assert key.split("_")[2] not in log.getvalue()
