"""Requests that a page of another site makes are refused, whatever cookies they have."""

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from orders.web.identity.cross_site import CrossSiteGuard
from orders.web.identity.site import Site

HERE = "http://127.0.0.1:8000"
PUBLIC = "https://orders.example"


async def served(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("served")(scope, receive, send)


async def status(
    method: str,
    headers: list[tuple[str, str]],
    *,
    url: str = HERE,
    local_only: bool = False,
    public: str | None = PUBLIC,
) -> int:
    guard = CrossSiteGuard(served, site=Site(public, is_production=False), local_only=local_only)
    transport = httpx.ASGITransport(app=guard)
    async with httpx.AsyncClient(transport=transport, base_url=url) as client:
        response = await client.request(method, "/", headers=headers)
    if response.status_code != httpx.codes.OK:
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["code"] in {"cross_site_request", "host_not_local"}
    return response.status_code


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "PURGE"])
@pytest.mark.parametrize(
    "headers",
    [
        [("sec-fetch-site", "cross-site")],
        [("sec-fetch-site", "same-site"), ("origin", PUBLIC)],
        [("sec-fetch-site", "CROSS-SITE")],
        [("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")],
        [("sec-fetch-site", "")],
        [("origin", "https://evil.example")],
        [("origin", "null")],
        [("origin", "https://orders.example.evil.example")],
        [("origin", "http://orders.example")],
        [("origin", "https://orders.example:444")],
        [("origin", HERE), ("origin", "https://evil.example")],
        [("origin", "http://127.0.0.1:8001")],
    ],
)
async def test_what_another_site_s_page_sends_is_refused(method: str, headers: list[tuple[str, str]]) -> None:
    assert await status(method, headers) == 403


@pytest.mark.parametrize("method", ["POST", "DELETE"])
@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("sec-fetch-site", "same-origin"), ("origin", PUBLIC)],
        [("sec-fetch-site", "none")],
        [("origin", PUBLIC)],
        [("origin", f"{PUBLIC}:443")],
        [("origin", HERE)],
    ],
)
async def test_what_our_own_pages_and_programs_send_is_served(method: str, headers: list[tuple[str, str]]) -> None:
    assert await status(method, headers) == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
async def test_what_changes_nothing_may_be_asked_from_anywhere(method: str) -> None:
    assert await status(method, [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")]) == 200


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_where_nobody_signs_in_no_other_name_may_lead_here(method: str) -> None:
    """A browser calls a page of evil.example ours once that name leads to 127.0.0.1 (DNS rebinding)."""
    rebound = [("sec-fetch-site", "same-origin"), ("origin", "http://evil.example:8000")]
    assert await status(method, rebound, url="http://evil.example:8000", local_only=True, public=None) == 421
    assert await status(method, rebound[:1], url=HERE, local_only=True, public=None) == 200
