"""Addresses and cookies: what counts as this machine, as one origin, as a page of ours."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response

from orders.web.identity.site import SESSION_COOKIE, Site, is_local, names_of, origin_of, safe_next

PUBLIC = Site("https://orders.example", is_production=True)


def request(host: str, scheme: str = "http") -> Request:
    return Request(
        {
            "type": "http",
            "method": "GET",
            "scheme": scheme,
            "path": "/",
            "query_string": b"",
            "headers": [(b"host", host.encode())],
            "server": ("127.0.0.1", 8000),
        }
    )


@pytest.mark.parametrize(
    "page", ["/console/", "/console/orders/o-1", "/console/orders?state=PAID&after=a%2Fb", "/console?x=1"]
)
def test_signing_in_goes_on_with_the_page_that_was_asked_for(page: str) -> None:
    assert safe_next(page) == page


@pytest.mark.parametrize(
    "elsewhere",
    [
        None,
        "",
        "/",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "https://evil.example/console/",
        "https:evil.example",
        "javascript:alert(1)",
        "/console//evil.example",
        "/console/\\evil.example",
        "/console/\t/evil.example",
        "/console/\r\nSet-Cookie: a=b",
        "/console/../../evil",
        "/consolé",
        "/console.evil.example",
        "/console@evil.example",
        "/console/sign-out",
        "/console/sign-in?next=/console/",
        " /console/",
        "/console/" + "x" * 3_000,
    ],
)
def test_signing_in_goes_nowhere_else(elsewhere: str | None) -> None:
    assert safe_next(elsewhere) == "/console/"


@given(st.text(max_size=60))
def test_whatever_is_asked_for_signing_in_stays_in_the_console(text: str) -> None:
    for asked in (text, f"/console{text}", f"/console/{text}"):
        page = safe_next(asked)
        assert page.startswith(("/console/", "/console?"))
        assert page.isascii()
        assert page.isprintable()
        assert "\\" not in page
        assert "//" not in page.partition("?")[0]


@pytest.mark.parametrize(
    ("address", "origin"),
    [
        ("https://orders.example", "https://orders.example"),
        ("https://orders.example:443/console?x#y", "https://orders.example"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("HTTP://LOCALHOST:80/", "http://localhost"),
        ("http://[::1]:8000/", "http://[::1]:8000"),
        ("null", None),
        ("file:///etc", None),
        ("http://", None),
        ("http://host:port/", None),
        ("http://[::1", None),
        ("chrome-extension://abc", None),
    ],
)
def test_an_origin_is_scheme_host_and_port(address: str, origin: str | None) -> None:
    assert origin_of(address) == origin


OURS = ["localhost", "LOCALHOST:8000", "127.0.0.1:8000", "127.1.2.3", "[::1]:8000", "a.localhost"]
OTHERS = ["orders.example", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.1", "0.0.0.0:8000", "", "[::1"]


@pytest.mark.parametrize("host", OURS)
def test_this_machine_is_known_by_its_names(host: str) -> None:
    assert is_local(Headers({"host": host}))


@pytest.mark.parametrize("host", OTHERS)
def test_any_other_host_is_not_this_machine(host: str) -> None:
    assert not is_local(Headers({"host": host}))


def test_a_request_with_two_hosts_or_none_names_no_machine() -> None:
    assert not is_local(Headers(raw=[(b"host", b"localhost"), (b"host", b"localhost")]))
    assert not is_local(Headers({}))


@pytest.mark.parametrize(
    ("site", "host", "scheme", "secure"),
    [
        (Site(None, is_production=False), "127.0.0.1:8000", "http", False),
        (Site(None, is_production=False), "localhost:8000", "http", False),
        (Site(None, is_production=False), "localhost:8000", "https", True),
        (Site(None, is_production=False), "orders.example", "http", True),
        (Site(None, is_production=True), "127.0.0.1:8000", "http", True),
        (Site("http://localhost:8000", is_production=False), "localhost:8000", "http", False),
        (PUBLIC, "127.0.0.1:8000", "http", True),
    ],
)
def test_cookies_go_in_the_clear_on_this_machine_alone(site: Site, host: str, scheme: str, secure: bool) -> None:
    assert site.is_secure(request(host, scheme)) is secure


def test_the_provider_sends_browsers_back_to_no_host_that_a_request_made_up() -> None:
    nowhere = Site(None, is_production=False)
    assert nowhere.base_url(request("evil.example")) is None
    assert nowhere.base_url(request("127.0.0.1:8123")) == "http://127.0.0.1:8123"
    assert PUBLIC.base_url(request("evil.example")) == "https://orders.example"


def written(*, secure: bool) -> list[str]:
    response = Response()
    SESSION_COOKIE.write(response, "value", secure=secure, seconds=60)
    return sorted(part.strip().lower() for part in response.headers["set-cookie"].split(";"))


def test_a_session_s_cookie_is_for_this_host_and_no_script_s() -> None:
    everywhere = ["httponly", "max-age=60", "path=/", "samesite=lax"]
    assert written(secure=True) == sorted([*everywhere, "__host-orders-session=value", "secure"])
    assert written(secure=False) == sorted([*everywhere, "orders-session=value"])


@pytest.mark.parametrize(
    ("origin", "names"),
    [
        ("http://127.0.0.1:8233", {"http://127.0.0.1:8233", "http://localhost:8233"}),
        ("http://localhost:8080", {"http://127.0.0.1:8080", "http://localhost:8080"}),
        ("https://Temporal.example:443", {"https://temporal.example"}),
        ("https://temporal.example:8443", {"https://temporal.example:8443"}),
    ],
)
def test_an_origin_on_this_machine_has_two_names_and_any_other_has_one(origin: str, names: set[str]) -> None:
    assert names_of(origin) == names
