"""What is tried too often is refused, and nobody else with it."""

import asyncio
import time

import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from orders.operations.key_text import new_key_text
from stack.endpoints import Endpoints
from tests.integration.web.identity.api import RunningApi, running_api, settings_for, sign_in_by_key
from tests.integration.web.identity.test_keys import _with_id


async def test_a_login_that_is_tried_a_thousand_times_is_refused_and_locks_nobody_out(
    api: RunningApi,
) -> None:
    owned, other = await api.key("the attacked"), await api.key("somebody else")
    forged = _with_id(new_key_text().text, owned.record.key_id)
    statements: list[str] = []
    async with api.clients.database() as engine:
        event.listen(engine.sync_engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    began = time.monotonic()
    async with api.browser() as attacker:
        answers = [await sign_in_by_key(attacker, forged) for _ in range(1_000)]
    took = time.monotonic() - began

    statuses = [answer.status_code for answer in answers]
    # A minute's limit is 10, and the minutes are those that the clock has.
    assert statuses.count(401) <= 10 * (2 + int(took // 60))
    assert statuses.count(401) + statuses.count(429) == 1_000
    assert statuses[-1] == 429
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 60
    assert "Too many failed tries" in answers[-1].text
    assert len(statements) <= 2 + took / api.settings.api_key_cache_seconds, "of the key alone, once in a while"

    # From the same address: another key, and the very key that was attacked.
    for key in (other.text, owned.text):
        async with api.browser() as browser:
            assert (await sign_in_by_key(browser, key)).status_code == 303
        assert (await api.who(key)).status_code == 200


async def test_a_thousand_made_up_keys_cost_a_bounded_number_of_statements(api: RunningApi) -> None:
    owner = (await api.key()).text
    assert (await api.who(owner)).status_code == 200
    statements: list[str] = []
    async with api.clients.database() as engine:
        event.listen(engine.sync_engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    began = time.monotonic()
    statuses = [(await api.who(new_key_text().text)).status_code for _ in range(1_000)]
    minutes = 2 + int((time.monotonic() - began) // 60)
    assert statuses.count(401) <= 100 * minutes
    assert statuses.count(429) >= 1_000 - 100 * minutes
    assert len(statements) <= 100 * minutes + 20
    assert (await api.who(owner)).status_code == 200, "a key that is in use goes on"


@pytest.mark.parametrize("path", ["/who"])
async def test_made_up_cookies_are_limited_as_keys_are(api: RunningApi, path: str) -> None:
    statuses = []
    for number in range(250):
        cookie = f"orders-session={number:043}"
        statuses.append((await api.http.get(path, headers={"Cookie": cookie})).status_code)
    assert set(statuses) == {401, 429}
    async with api.browser() as browser:
        assert (await sign_in_by_key(browser, (await api.key()).text)).status_code in {303, 429}


async def test_a_caller_over_the_limit_waits_and_others_do_not(endpoints: Endpoints, engine: AsyncEngine) -> None:
    settings = settings_for(endpoints, engine.url, api_caller_requests_per_minute=20)
    async with running_api(settings) as api:
        busy, quiet = (await api.key("busy")).text, (await api.key("quiet")).text
        answers = await asyncio.gather(*(api.who(busy) for _ in range(60)))
        assert {answer.status_code for answer in answers} == {200, 429}
        assert sum(answer.status_code == 200 for answer in answers) <= 40, "two minutes' worth at most"
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert refused.json()["code"] == "too_many_requests"
        assert 1 <= int(refused.headers["Retry-After"]) <= 60
        assert (await api.who(quiet)).status_code == 200
