"""Keeps pages of other sites from acting through a browser that is signed in, or that runs beside a development API.

A browser sends its cookies, and reaches this machine's loopback, for any page that asks it to. It says for which
site's page it sends a request (Sec-Fetch-Site), and older ones name the page's origin. Programs send neither, and have
no such cookies.
"""

from collections.abc import Mapping
from typing import Final

import structlog
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from orders.web.identity import refusals
from orders.web.identity.site import Site, is_local, origin_of
from orders.web.problems import Problem, Respond, as_document

_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""They change nothing (RFC 9110, 9.2.1), and what they answer other sites' pages cannot read."""
_OURS: Final = frozenset({"same-origin", "none"})
"""A page of ours, or the person herself, as by a bookmark. Not same-site: a neighbour in one domain is another."""

_log = structlog.get_logger("orders.identity")


class CrossSiteGuard:
    """Refuses what a page of another site sends; pure ASGI, so that whatever it wraps hears of disconnects.

    Args:
        app: what serves the requests.
        site: which addresses are ours.
        local_only: whether a request must name this machine as its host. Where nobody has to sign in, a page of another
            site could otherwise have its own name lead here (DNS rebinding), and would count as ours.
        guests: paths that pages of other origins may use too, with those. Nothing under them changes anything.
        respond: makes the answer that tells of a refusal.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        site: Site,
        local_only: bool,
        guests: Mapping[str, frozenset[str]] | None = None,
        respond: Respond = as_document,
    ) -> None:
        self._app = app
        self._respond = respond
        self._guests = dict(guests or {})
        self._site = site
        self._local_only = local_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        refusal = self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, send)
            return
        _log.warning("identity.request.refused", code=refusal.code, method=scope["method"])
        response = await self._respond(Request(scope, receive), refusal)
        await response(scope, receive, send)

    def _refusal(self, scope: Scope) -> Problem | None:
        headers = Headers(scope=scope)
        if self._local_only and not is_local(headers):
            return refusals.foreign_host()
        if scope["method"] in _SAFE_METHODS or self._is_guest(scope, headers) or self._is_ours(scope, headers):
            return None
        return refusals.cross_site(self._site.origins(scope))

    def _is_guest(self, scope: Scope, headers: Headers) -> bool:
        named = headers.getlist("origin")
        return len(named) == 1 and origin_of(named[0]) in self._guests.get(scope["path"], frozenset())

    def _is_ours(self, scope: Scope, headers: Headers) -> bool:
        fetched_for = headers.getlist("sec-fetch-site")
        if fetched_for:
            return all(one in _OURS for one in fetched_for)
        named = headers.getlist("origin")
        if not named:
            return True
        ours = self._site.origins(scope)
        return all(origin_of(one) in ours for one in named)
