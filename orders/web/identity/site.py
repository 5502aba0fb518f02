"""Where this API is, as browsers see it: what a host, an origin and a cookie must be like. Pure."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import Scope

from orders.settings import Settings
from orders.settings.types import is_loopback

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_NEXT_CHARS_MAX: Final = 2_000
CONSOLE_PATH: Final = "/console"


@dataclass(frozen=True, slots=True)
class Site:
    """The addresses of one installation."""

    public_url: str | None
    """Where browsers reach it; None where that is known of this machine's browsers only."""
    is_production: bool

    @classmethod
    def of(cls, settings: Settings) -> "Site":
        """What the settings say."""
        return cls(settings.api_public_url, settings.is_production)

    def is_secure(self, connection: HTTPConnection) -> bool:
        """Whether the browser is reached by https, so that its cookies are to be kept off any other connection.

        In doubt it is: only where a browser on this machine says so itself, its cookies may go in the clear.
        """
        if self.public_url is not None:
            return self.public_url.startswith("https:")
        return self.is_production or connection.url.scheme == "https" or not is_local(connection.headers)

    def base_url(self, connection: HTTPConnection) -> str | None:
        """The address that the provider is to send the browser back to, without a slash at its end.

        A host that a request names counts only where it is this machine: of others only the setting is believed.
        """
        if self.public_url is not None:
            return self.public_url
        if not is_local(connection.headers):
            return None
        return f"{connection.url.scheme}://{connection.headers['host']}"

    def origins(self, scope: Scope) -> tuple[str, ...]:
        """The origins whose pages are ours: as the settings have it, and as the request itself names it."""
        host = Headers(scope=scope).get("host")
        asked = None if host is None else f"{scope.get('scheme', 'http')}://{host}"
        return tuple(origin for one in (self.public_url, asked) if one is not None and (origin := origin_of(one)))


def is_local(headers: Headers) -> bool:
    """Whether a request names this machine as its host, whoever resolved that name."""
    hosts = headers.getlist("host")
    origin = origin_of(f"http://{hosts[0]}") if len(hosts) == 1 else None
    return origin is not None and is_loopback(urlsplit(origin).hostname or "")


def origin_of(address: str) -> str | None:
    """The origin of an address (RFC 6454), with its port only where it is not the usual one; None of what has none."""
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + ("" if port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{port}")


def names_of(origin: str) -> frozenset[str]:
    """An origin in every way that browsers send it: one on this machine as localhost or 127.0.0.1, as it was typed."""
    parts = urlsplit(origin)
    hosts = ("127.0.0.1", "localhost") if is_loopback(parts.hostname or "") else ()
    port = f":{parts.port}" if parts.port else ""
    spelt = (origin, *(f"{parts.scheme}://{host}{port}" for host in hosts))
    return frozenset(named for one in spelt if (named := origin_of(one)) is not None)


@dataclass(frozen=True, slots=True)
class Cookie:
    """A cookie of ours: for this host alone, not for scripts, not for requests that other sites' pages make."""

    word: str

    def name(self, *, secure: bool) -> str:
        """The name.

        With the prefix a browser takes it only from this very host, over https, for every path (RFC 6265bis, 4.1.3.2).
        Over plain http, which is for this machine only, Chromium keeps it (156, seen 2026-11-25) and others do not.
        """
        return f"__Host-{self.word}" if secure else self.word

    def read(self, connection: HTTPConnection, *, secure: bool) -> str | None:
        """What the browser sent."""
        return connection.cookies.get(self.name(secure=secure))

    def write(self, response: Response, value: str, *, secure: bool, seconds: int) -> None:
        """Has the browser keep a value.

        Lax and not Strict: the provider sends the browser back by a link, with which Strict sends no cookie. What
        changes anything is refused for other sites' pages by `orders.web.identity.cross_site` in any case.
        """
        response.set_cookie(
            self.name(secure=secure), value, max_age=seconds, path="/", secure=secure, httponly=True, samesite="lax"
        )

    def delete(self, response: Response, *, secure: bool) -> None:
        """Has the browser forget it."""
        response.delete_cookie(self.name(secure=secure), path="/", secure=secure, httponly=True, samesite="lax")


SESSION_COOKIE: Final = Cookie("orders-session")
SIGN_IN_COOKIE: Final = Cookie("orders-sign-in")
"""While the browser is at the provider's."""


def safe_next(text: str | None) -> str:
    """Where to go on after signing in: a page of the console, whatever was asked for.

    Browsers take two slashes, backslashes and control characters for the beginning of another site's address, so
    nothing like that passes.
    """
    start = f"{CONSOLE_PATH}/"
    if text is None or not text.startswith((start, f"{CONSOLE_PATH}?")) or len(text) > _NEXT_CHARS_MAX:
        return start
    if "\\" in text or "//" in text.partition("?")[0] or not text.isprintable() or not text.isascii() or " " in text:
        return start
    if "/../" in text or "/./" in text or text.startswith(f"{start}sign-"):
        return start
    return text
