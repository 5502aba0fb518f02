"""Signing in at a real OpenID provider: the code flow with PKCE from the console's page and back."""

import base64
import json
import re
from html import unescape
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from stack.endpoints import Endpoints
from tests.helpers.servers.openid_server import OpenIdServer, openid_server, sign_in_at_provider
from tests.integration.web.identity.api import RunningApi, running_api, settings_for

SESSION, UNDER_WAY = "orders-session", "orders-sign-in"


async def begun(browser: httpx.AsyncClient, go_on: str = "/console/orders/o-1") -> str:
    """Follows the link of the page; the address at the provider."""
    page = await browser.get("/console/sign-in", params={"next": go_on})
    link = re.search(r'href="(/console/sign-in/oidc[^"]*)"', page.text)
    assert link, page.text
    answer = await browser.get(unescape(link[1]))
    assert answer.status_code == 303, answer.text
    return answer.headers["Location"]


async def come_back(api: RunningApi, browser: httpx.AsyncClient, login: str, address: str) -> httpx.Response:
    return await sign_in_at_provider(browser, address, login, until=f"{api.url}/console/sign-in/callback")


def changed(address: str, **changes: str | None) -> str:
    """The address with other parameters."""
    parts = urlsplit(address)
    kept = {**dict(parse_qsl(parts.query)), **changes}
    return parts._replace(query=urlencode({name: value for name, value in kept.items() if value is not None})).geturl()


async def callback_address(api: RunningApi, browser: httpx.AsyncClient, login: str) -> str:
    """Where the provider sends the browser, before the browser goes there."""
    address = await begun(browser)
    without_us = httpx.AsyncClient(cookies=httpx.Cookies(), timeout=20)
    async with without_us as person:
        response = await sign_in_at_provider(
            person, address, login, until=f"{api.url}/console/sign-in/callback"
        )  # fmt: skip
    # The person's own browser has no cookie of the console: so the console refused her, and the code is not used.
    assert response.status_code == 400
    return str(response.url)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_person_signs_in_at_the_provider_and_goes_on_where_she_was(
    api_with_provider: RunningApi, host: str
) -> None:
    api = api_with_provider
    async with api.browser(host) as browser:
        address = await begun(browser)
        asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        assert asked["scope"] == "openid roles"
        assert asked["redirect_uri"] == f"{api.url.replace('127.0.0.1', host)}/console/sign-in/callback"
        assert len(asked["state"]) == len(asked["nonce"]) == len(asked["code_challenge"]) == 43

        until = f"{api.url.replace('127.0.0.1', host)}/console/sign-in/callback"
        back = await sign_in_at_provider(browser, address, "anna-approver", until)

        assert back.status_code == 303, back.text
        assert back.headers["Location"] == "/console/orders/o-1"
        assert UNDER_WAY not in browser.cookies
        who = (await browser.get("/who")).json()
        assert who == {
            "name": "anna-approver",
            "roles": ["approver", "viewer"],
            "via": "session",
            "caller_id": "token:anna-approver",
        }
        assert (await browser.post("/approve")).status_code == 200
        again = await browser.get(str(back.url))
        assert again.status_code == 400, "a code is good once, and for the sign-in that asked for it"


async def test_roles_in_the_id_token_need_no_further_question(endpoints: Endpoints, engine: AsyncEngine) -> None:
    asked: list[str] = []

    async def note(request: httpx.Request) -> None:
        asked.append(request.url.path)

    async with (
        openid_server(roles_in_id_token=True) as provider,
        running_api(settings_for(endpoints, engine.url, **provider.settings)) as api,
        api.browser() as browser,
    ):
        assert api.gate.code_flow is not None
        api.gate.code_flow._http.event_hooks["request"].append(note)
        await come_back(api, browser, "otto-operator", await begun(browser))
        assert (await browser.get("/who")).json()["roles"] == ["approver", "operator", "viewer"]
    assert asked == ["/.well-known/openid-configuration", "/jwks", "/token"]


async def test_a_name_that_only_the_userinfo_endpoint_tells_is_asked_for(
    endpoints: Endpoints, engine: AsyncEngine, provider: OpenIdServer
) -> None:
    changes = {**provider.settings, "oidc_name_claim": "name"}
    async with running_api(settings_for(endpoints, engine.url, **changes)) as api, api.browser() as browser:
        await come_back(api, browser, "anna-approver", await begun(browser))
        who = (await browser.get("/who")).json()
        assert (who["name"], who["caller_id"]) == ("Name of anna-approver", "token:anna-approver")


async def test_somebody_without_a_role_here_is_not_signed_in(api_with_provider: RunningApi) -> None:
    async with api_with_provider.browser() as browser:
        back = await come_back(api_with_provider, browser, "stranger", await begun(browser))
        assert back.status_code == 403
        assert "stranger has no role here" in back.text
        assert SESSION not in browser.cookies


async def test_a_code_that_another_browser_got_signs_nobody_in(api_with_provider: RunningApi) -> None:
    """An attacker sends his own callback to a victim, who would then work as him; or uses a code that he has seen."""
    api = api_with_provider
    async with api.browser() as attacker, api.browser() as victim:
        stolen = await callback_address(api, attacker, "attacker-viewer")
        assert (await victim.get(stolen)).status_code == 400, "without a sign-in under way"
        await begun(victim)
        assert (await victim.get(stolen)).status_code == 400, "with another one under way"
        assert SESSION not in victim.cookies


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"state": "x" * 43}, "another sign-in"),
        ({"state": None}, "another sign-in"),
        ({"iss": "https://evil.example"}, "another provider"),
        ({"iss": None}, "another provider"),
        ({"code": None}, "sent no code"),
        ({"code": "made-up"}, "took no code"),
        ({"error": "access_denied", "error_description": "<b>hush</b>"}, "did not let you in"),
        ({"error": "<b>hush</b>"}, "could not sign you in"),
    ],
)
async def test_a_callback_with_one_thing_wrong_signs_nobody_in(
    api_with_provider: RunningApi, changes: dict[str, str | None], words: str
) -> None:
    async with api_with_provider.browser() as browser:
        callback = await callback_address(api_with_provider, browser, "anna-approver")
        answer = await browser.get(changed(callback, **changes))
        assert answer.status_code == 400
        assert words in unescape(answer.text)
        assert "hush" not in answer.text
        assert SESSION not in browser.cookies
        assert UNDER_WAY not in browser.cookies, "another try begins anew"


@pytest.mark.parametrize("member", ["verifier", "nonce"])
async def test_a_code_is_of_no_use_without_what_the_browser_kept(api_with_provider: RunningApi, member: str) -> None:
    api = api_with_provider
    async with api.browser() as browser:
        callback = await callback_address(api, browser, "anna-approver")
        kept = json.loads(base64.urlsafe_b64decode(browser.cookies[UNDER_WAY].strip('"')))
        _keep(browser, {**kept, member: "A" * 43})
        assert (await browser.get(callback)).status_code == 400
        assert SESSION not in browser.cookies


async def test_the_page_to_go_on_with_is_looked_at_again_at_the_end(api_with_provider: RunningApi) -> None:
    api = api_with_provider
    async with api.browser() as browser:
        callback = await callback_address(api, browser, "anna-approver")
        kept = json.loads(base64.urlsafe_b64decode(browser.cookies[UNDER_WAY].strip('"')))
        _keep(browser, {**kept, "go_on": "https://evil.example/"})
        assert (await browser.get(callback)).headers["Location"] == "/console/"


def _keep(browser: httpx.AsyncClient, members: Any) -> None:
    browser.cookies.delete(UNDER_WAY)
    value = base64.urlsafe_b64encode(json.dumps(members).encode()).decode()
    browser.cookies.set(UNDER_WAY, value, domain="127.0.0.1", path="/")


@pytest.mark.parametrize(
    "members", [[], {}, 7, {"state": 1, "nonce": 2, "verifier": 3, "go_on": 4}, {"state": "x"}, None]
)
async def test_a_cookie_that_is_none_of_ours_is_no_sign_in_under_way(
    api_with_provider: RunningApi, members: object
) -> None:
    async with api_with_provider.browser() as browser:
        _keep(browser, members)
        answer = await browser.get("/console/sign-in/callback", params={"code": "c", "state": "s"})
        assert answer.status_code == 400
        assert "took too long" in answer.text


async def test_a_cookie_of_brackets_alone_is_no_sign_in_under_way(api_with_provider: RunningApi) -> None:
    """Deeper than Python reads JSON: it was answered as a failure of ours."""
    async with api_with_provider.browser() as browser:
        browser.cookies.set(UNDER_WAY, base64.urlsafe_b64encode(b"[" * 2_900).decode(), domain="127.0.0.1", path="/")
        answer = await browser.get("/console/sign-in/callback", params={"code": "c", "state": "s"})
        assert answer.status_code == 400
        assert "took too long" in answer.text


async def test_a_host_that_a_request_makes_up_is_not_where_the_provider_sends_browsers(
    api_with_provider: RunningApi,
) -> None:
    answer = await api_with_provider.http.get("/console/sign-in/oidc", headers={"Host": "evil.example"})
    assert answer.status_code == 404
    assert "Location" not in answer.headers


async def test_without_a_client_at_the_provider_the_page_offers_the_key_alone(
    endpoints: Endpoints, engine: AsyncEngine, provider: OpenIdServer
) -> None:
    known = {name: provider.settings[name] for name in ("oidc_issuer", "oidc_audience")}
    async with running_api(settings_for(endpoints, engine.url, **known)) as api:
        page = await api.http.get("/console/sign-in")
        assert "oidc" not in page.text
        assert (await api.http.get("/console/sign-in/oidc")).status_code == 404
        assert (await api.http.get("/console/sign-in/callback")).status_code == 404


async def test_while_the_provider_is_away_the_page_says_so_and_keys_go_on(
    endpoints: Endpoints, engine: AsyncEngine
) -> None:
    async with (
        openid_server() as provider,
        running_api(settings_for(endpoints, engine.url, **provider.settings)) as api,
        api.browser() as browser,
    ):
        callback = await callback_address(api, browser, "anna-approver")
        provider.kill()
        answer = await browser.get(callback)
        assert answer.status_code == 400
        assert "Please sign in again" in answer.text
    async with running_api(settings_for(endpoints, engine.url, **provider.settings)) as api:
        answer = await api.http.get("/console/sign-in/oidc")
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) >= 1
        assert "try again in a moment" in answer.text
        assert 'name="api_key"' in answer.text
