"""Signing in to the console by API key: sessions begin, end, and are nobody else's."""

import asyncio
from hashlib import sha256

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from orders.clients.session_store import SESSIONS_OF_A_CALLER_MAX
from orders.operations.api_keys import revoke_key
from orders.operations.key_text import new_key_text
from orders.roles import Role
from orders.web.identity import gate as gate_module
from stack.endpoints import Endpoints
from tests.helpers.system.waiting import assert_eventually, patient_timeout
from tests.integration.web.identity.api import RunningApi, bearer, running_api, settings_for, sign_in_by_key

COOKIE = "orders-session"


async def is_signed_out(browser: httpx.AsyncClient) -> bool:
    return (await browser.get("/who")).status_code == 401


async def test_a_person_signs_in_with_a_key_is_known_and_signs_out(api: RunningApi) -> None:
    key = (await api.key("anna")).text
    async with api.browser() as browser:
        page = await browser.get("/console/sign-in", params={"next": "/console/orders/o-1"})
        assert page.status_code == 200
        assert 'name="next" value="/console/orders/o-1"' in page.text
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]
        assert await is_signed_out(browser)

        answer = await sign_in_by_key(browser, f" {key}\n", "/console/orders/o-1")
        assert answer.status_code == 303, answer.text
        assert answer.headers["Location"] == "/console/orders/o-1"
        assert answer.headers["Cache-Control"] == "no-store"
        cookie = answer.headers["Set-Cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=lax" in cookie
        assert "path=/" in cookie

        who = (await browser.get("/who")).json()
        assert who == {"name": "anna", "roles": ["approver", "viewer"], "via": "session", "caller_id": "api_key:anna"}
        assert (await browser.post("/approve")).status_code == 200

        value = browser.cookies[COOKIE]
        out = await browser.post("/console/sign-out")
        assert (out.status_code, out.headers["Location"]) == (303, "/console/sign-in?signed-out")
        assert COOKIE not in browser.cookies
        assert await is_signed_out(browser)
        # The cookie is of no use either to whoever has kept it.
        browser.cookies.set(COOKIE, value, domain="127.0.0.1")
        assert await is_signed_out(browser)


async def test_a_wrong_key_signs_nobody_in_and_the_page_does_not_repeat_it(api: RunningApi) -> None:
    wrong = new_key_text().text
    async with api.browser() as browser:
        for key in (wrong, wrong[:-1], "", "<script>alert(1)</script>"):
            refused = await sign_in_by_key(browser, key)
            assert refused.status_code == 401, key
            assert 'role="alert"' in refused.text
            assert not key or key not in refused.text
            assert "Set-Cookie" not in refused.headers


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example", "/console/\\evil.example"])
async def test_signing_in_leads_to_no_other_site(api: RunningApi, elsewhere: str) -> None:
    key = (await api.key()).text
    async with api.browser() as browser:
        page = await browser.get("/console/sign-in", params={"next": elsewhere})
        assert "evil" not in page.text
        assert (await sign_in_by_key(browser, key, elsewhere)).headers["Location"] == "/console/"


async def test_signing_in_gives_a_new_session_whatever_cookie_the_browser_had(api: RunningApi) -> None:
    """An attacker who could choose the cookie beforehand would otherwise share the session."""
    chosen = "A" * 43
    key = (await api.key()).text
    async with api.browser() as browser:
        browser.cookies.set(COOKIE, chosen, domain="127.0.0.1")
        first = await sign_in_by_key(browser, key)
        values = [_value(first)]
        values.append(_value(await sign_in_by_key(browser, key)))
    assert len({chosen, *values}) == 3
    async with api.browser() as attacker:
        for value in (chosen, values[0]):
            attacker.cookies.set(COOKIE, value, domain="127.0.0.1")
            assert await is_signed_out(attacker), "the one before ended with the next"


def _value(answer: httpx.Response) -> str:
    return answer.headers["Set-Cookie"].partition("=")[2].partition(";")[0]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
@pytest.mark.parametrize("path", ["/approve", "/console/sign-in", "/console/sign-out"])
async def test_what_another_site_s_page_sends_with_the_cookie_is_refused(
    api: RunningApi, method: str, path: str
) -> None:
    key = (await api.key()).text
    async with api.browser() as browser:
        await sign_in_by_key(browser, key)
        for headers in (
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
            {"Sec-Fetch-Site": "cross-site", "Origin": api.url},
        ):
            refused = await browser.request(method, path, headers=headers)
            assert (refused.status_code, refused.json()["code"]) == (403, "cross_site_request")
        del browser.headers["Sec-Fetch-Site"]
        for origin in ("https://evil.example", "null", api.url.replace("http:", "https:")):
            refused = await browser.request(method, path, headers={"Origin": origin})
            assert (refused.status_code, refused.json()["code"]) == (403, "cross_site_request")
        assert (await browser.post("/approve", headers={"Origin": api.url})).status_code == 200
        assert (await browser.post("/approve")).status_code == 200, "a program says neither"


async def test_a_session_ends_when_nothing_comes_of_it_and_goes_on_while_something_does(
    endpoints: Endpoints, engine: AsyncEngine
) -> None:
    settings = settings_for(endpoints, engine.url, session_idle_seconds=4)
    async with running_api(settings) as api, api.browser() as used, api.browser() as unused:
        key = (await api.key()).text
        await sign_in_by_key(used, key)
        await sign_in_by_key(unused, key)
        value = unused.cookies[COOKIE]

        async def unused_has_ended() -> bool:
            assert (await used.get("/who")).status_code == 200, "the one in use goes on"
            async with engine.connect() as connection:
                seen = "SELECT count(*) FROM sessions WHERE last_seen_at > now() - interval '4 s' AND digest = :digest"
                return bool(await connection.scalar(text(seen), {"digest": _digest(value)}) == 0)

        await assert_eventually(unused_has_ended, 20)
        assert await is_signed_out(unused)
        assert not await is_signed_out(used)


def _digest(value: str) -> bytes:
    return sha256(value.encode()).digest()


async def test_a_session_ends_in_any_case_after_its_longest_time(endpoints: Endpoints, engine: AsyncEngine) -> None:
    settings = settings_for(endpoints, engine.url, session_idle_seconds=4, session_max_seconds=5)
    async with running_api(settings) as api, api.browser() as browser:
        await sign_in_by_key(browser, (await api.key()).text)
        assert not await is_signed_out(browser)
        await assert_eventually(lambda: is_signed_out(browser), 20)


async def test_a_revoked_key_takes_its_sessions_along(endpoints: Endpoints, engine: AsyncEngine) -> None:
    settings = settings_for(endpoints, engine.url, api_key_cache_seconds=0.5)
    async with running_api(settings) as api, api.browser() as browser:
        key = await api.key()
        await sign_in_by_key(browser, key.text)
        assert not await is_signed_out(browser)
        await revoke_key(api.clients, key.record.key_id)
        await assert_eventually(lambda: is_signed_out(browser), 20)


async def test_another_process_forgets_a_session_that_was_signed_out_here(
    endpoints: Endpoints, engine: AsyncEngine
) -> None:
    settings = settings_for(endpoints, engine.url, api_key_cache_seconds=0.5)
    async with (
        running_api(settings) as here,
        running_api(settings) as there,
        here.browser() as browser,
        there.browser() as other,
    ):
        await sign_in_by_key(browser, (await here.key()).text)
        other.cookies.set(COOKIE, browser.cookies[COOKIE], domain="127.0.0.1")
        assert not await is_signed_out(other)
        await browser.post("/console/sign-out")
        await assert_eventually(lambda: is_signed_out(other), 20)


async def test_a_stream_ends_with_what_it_was_let_in_for_and_keeps_no_session_from_ending(
    endpoints: Endpoints, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate_module, "LOOK_AGAIN_SECONDS", 0.2)
    settings = settings_for(endpoints, engine.url, api_key_cache_seconds=0.5, session_idle_seconds=3)
    async with running_api(settings) as api, api.browser() as browser:
        by_key, other = await api.key("streaming"), await api.key("other")
        await sign_in_by_key(browser, other.text)
        streams = {
            "key": asyncio.create_task(api.http.get("/stream", headers=bearer(by_key.text))),
            "other key": asyncio.create_task(api.http.get("/stream", headers=bearer(other.text))),
            "session": asyncio.create_task(browser.get("/stream")),
        }
        # Nobody asks for anything in this session: the open stream does not count.
        ended, _ = await asyncio.wait(streams.values(), timeout=60, return_when=asyncio.FIRST_COMPLETED)
        assert ended == {streams["session"]}
        await revoke_key(api.clients, by_key.record.key_id)
        async with patient_timeout(20):
            await streams["key"]
        assert not streams["other key"].done()
        streams["other key"].cancel()
        await asyncio.gather(streams["other key"], return_exceptions=True)
        assert {streams[name].result().text for name in ("key", "session")} == {"begun, ended"}


async def test_the_sessions_of_one_caller_are_bounded(api: RunningApi, engine: AsyncEngine) -> None:
    key = (await api.key("many browsers")).text
    browsers = []
    for _ in range(SESSIONS_OF_A_CALLER_MAX + 2):
        async with api.browser() as browser:
            browsers.append(_value(await sign_in_by_key(browser, key)))
    count = "SELECT count(*) FROM sessions WHERE caller_id = 'api_key:many browsers'"
    async with engine.connect() as connection:
        assert await connection.scalar(text(count)) == SESSIONS_OF_A_CALLER_MAX
    async with api.browser() as browser:
        for value, signed_out in ((browsers[0], True), (browsers[-1], False)):
            browser.cookies.set(COOKIE, value, domain="127.0.0.1")
            assert await is_signed_out(browser) is signed_out


async def test_the_database_has_nothing_that_a_cookie_could_be_made_of(api: RunningApi, engine: AsyncEngine) -> None:
    async with api.browser() as browser:
        await sign_in_by_key(browser, (await api.key()).text)
        value = browser.cookies[COOKIE]
    async with engine.connect() as connection:
        kept = await connection.scalar(text("SELECT string_agg(sessions::text, ' ') FROM sessions"))
    assert value not in str(kept)
    assert _digest(value).hex() in str(kept)


async def test_a_wrong_credential_is_told_and_not_passed_over_for_the_cookie(api: RunningApi) -> None:
    async with api.browser() as browser:
        await sign_in_by_key(browser, (await api.key()).text)
        refused = await browser.get("/who", headers={"Authorization": f"Bearer {new_key_text().text}"})
        assert refused.status_code == 401


@pytest.mark.parametrize("value", ["", "x", "A" * 43, "A" * 44, "'; DROP TABLE sessions; --", "%00"])
async def test_a_cookie_that_is_none_of_ours_is_nobody_s(api: RunningApi, value: str) -> None:
    answer = await api.http.get("/who", headers={"Cookie": f"{COOKIE}={value}"})
    assert answer.status_code == 401


async def test_a_form_that_is_no_form_is_refused_as_a_wrong_key_is(api: RunningApi) -> None:
    for content, kind in (
        (b"api_key=" + b"x" * 20_000, "application/x-www-form-urlencoded"),
        (b"\xff\xfe", "application/x-www-form-urlencoded"),
        (b"&".join(b"a=%d" % number for number in range(100)), "application/x-www-form-urlencoded"),
        (b'{"api_key": "x"}', "application/json"),
        (b"", "multipart/form-data; boundary=x"),
    ):
        answer = await api.http.post("/console/sign-in", content=content, headers={"Content-Type": kind})
        assert answer.status_code == 401, kind


async def test_behind_https_the_cookie_is_for_this_host_and_for_https_alone(
    endpoints: Endpoints, engine: AsyncEngine
) -> None:
    settings = settings_for(endpoints, engine.url, api_public_url="https://orders.example")
    async with running_api(settings) as api:
        key = (await api.key("anna", Role.VIEWER)).text
        form = {"api_key": key, "next": "/console/"}
        answer = await api.http.post("/console/sign-in", data=form, headers={"Origin": "https://orders.example"})
        assert answer.status_code == 303
        cookie = answer.headers["Set-Cookie"]
        assert cookie.startswith("__Host-orders-session=")
        assert "; Secure" in cookie
        assert "domain" not in cookie.lower()
        value = _value(answer)
        who = await api.http.get("/who", headers={"Cookie": f"__Host-orders-session={value}"})
        assert who.json()["name"] == "anna"
        plain = await api.http.get("/who", headers={"Cookie": f"{COOKIE}={value}"})
        assert plain.status_code == 401, "a name that another host of the domain could set"


async def test_over_plain_http_from_another_machine_the_page_says_why_browsers_cannot_sign_in(api: RunningApi) -> None:
    page = await api.http.get("/console/sign-in", headers={"Host": "orders.example"})
    assert page.status_code == 200
    assert "API_PUBLIC_URL" in page.text
    assert "<form" not in page.text


async def test_in_development_nobody_signs_in_and_whoever_does_is_who_he_says(
    endpoints: Endpoints, engine: AsyncEngine
) -> None:
    settings = settings_for(endpoints, engine.url, api_identity="auto")
    async with running_api(settings) as api, api.browser() as browser:
        everybody = {"name": "development", "roles": ["approver", "operator", "viewer"], "via": "development"}
        assert (await api.who()).json() == {**everybody, "caller_id": "development"}
        assert (await api.approve()).status_code == 200
        viewer = (await api.key("onlooker", Role.VIEWER)).text
        assert (await api.approve(viewer)).status_code == 403, "what is shown counts"
        assert (await api.who(new_key_text().text)).status_code == 401
        await sign_in_by_key(browser, viewer)
        assert (await browser.post("/approve")).status_code == 403

        rebound = await api.http.get("/who", headers={"Host": "evil.example"})
        assert (rebound.status_code, rebound.json()["code"]) == (421, "host_not_local")
        crossed = await api.approve(headers={"Sec-Fetch-Site": "cross-site"})
        assert (crossed.status_code, crossed.json()["code"]) == (403, "cross_site_request")
