"""Everything by which callers are known, for one process: opened once, and asked at each request."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from http import HTTPStatus
from typing import Final

import httpx
import structlog
from starlette.requests import HTTPConnection

from orders.clients.key_store import KeyStore
from orders.clients.opened import Clients
from orders.errors import UnreachableError, WrongSettingsError
from orders.operations.key_text import is_meant_as_key
from orders.settings.types import span
from orders.web.identity import refusals
from orders.web.identity.code_flow import CodeFlow
from orders.web.identity.keys import KeyChecker, identity_of_key
from orders.web.identity.provider import Provider
from orders.web.identity.rates import CallerRates, FailedTries
from orders.web.identity.sessions import Sessions
from orders.web.identity.site import SESSION_COOKIE, Site
from orders.web.identity.tokens import TokenChecker
from orders.web.identity.who import DEVELOPMENT, Identity
from orders.web.problems import Problem

_NO_ADDRESS: Final = "unknown"
"""Of a connection that has none, as by a socket file."""
_PROVIDER_CONNECTIONS_MAX: Final = 20
LOOK_AGAIN_SECONDS: Final = 30.0
"""How long a stream may go on at most whose caller would no longer be let in."""

_log = structlog.get_logger("orders.identity")


class Gate:
    """Tells who sends a request. Make one with `open_gate`."""

    def __init__(self, clients: Clients, provider: Provider | None, http: httpx.AsyncClient) -> None:
        settings = clients.settings
        remembered = span(settings.api_key_cache_seconds)
        self.site = Site.of(settings)
        self.is_open = settings.is_open_to_everybody
        """Whether whoever shows no identity may do everything."""
        self._clients = clients
        self._rates = CallerRates(settings.api_caller_requests_per_minute)
        tries = FailedTries(settings.api_failed_sign_ins_per_minute)
        self.keys = KeyChecker(clients, tries, lasts=remembered)
        self.sessions = Sessions(
            clients,
            tries,
            idle=span(settings.session_idle_seconds),
            lasts=span(settings.session_max_seconds),
            remembered=remembered,
        )
        self.code_flow: CodeFlow | None = None
        """None where the console is signed in to by key only."""
        self._tokens: TokenChecker | None = None
        if provider is not None:
            self._tokens = TokenChecker(settings, provider, tries)
            if settings.oidc_client_id is not None:
                self.code_flow = CodeFlow(settings, provider, http)

    async def identity(self, connection: HTTPConnection) -> Identity:
        """Who sends a request.

        Where there is an Authorization header, it counts alone: a wrong key is refused, whatever the cookie says.

        Raises:
            Problem: 401, nobody who is known; 429, too often; 503, what would tell does not answer.
            UnreachableError: Postgres does not answer, and who it is is not remembered.
        """
        identity = await self.identity_if_any(connection)
        if identity is None:
            raise refusals.nobody()
        await self._rates.count(identity)
        return identity

    async def identity_if_any(self, connection: HTTPConnection) -> Identity | None:
        """Who sends a request, without counting the request; None where it shows nobody."""
        sent = connection.headers.getlist("authorization")
        if sent:
            return await self._of_credential(sent, address_of(connection))
        cookie = SESSION_COOKIE.read(connection, secure=self.site.is_secure(connection))
        if cookie is not None:
            identity = await self.sessions.identity(cookie, address_of(connection))
            if identity is not None:
                return identity
        return DEVELOPMENT if self.is_open else None

    async def _of_credential(self, sent: list[str], address: str) -> Identity:
        scheme, _, credential = sent[0].strip().partition(" ")
        credential = credential.strip()
        if len(sent) > 1 or scheme.lower() != "bearer" or not credential:
            raise refusals.credential("one header is sent, as Authorization: Bearer and an API key or a token")
        if is_meant_as_key(credential):
            return identity_of_key(await self.keys.check(credential, address))
        if self._tokens is None:
            raise refusals.credential("what was sent is no API key, and no OpenID provider's tokens are taken here")
        return await self._tokens.check(credential, address)

    async def until_refused(self, connection: HTTPConnection, identity: Identity) -> None:
        """Returns once a request that goes on for long, as a stream does, would no longer be let in.

        Its key was revoked or has expired, its token has expired, or its session has ended: what comes on a stream is
        no request of a person, and keeps no session from ending. Looked at every `LOOK_AGAIN_SECONDS`.

        Args:
            connection: the request.
            identity: who it was let in for.
        """
        while True:
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
            try:
                if not await self._goes_on(connection, identity):
                    return
            except UnreachableError:
                continue  # It cannot be told now.
            except Problem as problem:
                if problem.status == HTTPStatus.UNAUTHORIZED:
                    return

    async def _goes_on(self, connection: HTTPConnection, identity: Identity) -> bool:
        if identity.via == "development":
            return True
        if identity.via == "session":
            cookie = SESSION_COOKIE.read(connection, secure=self.site.is_secure(connection))
            return cookie is not None and await self.sessions.goes_on(cookie)
        now = await self._of_credential(connection.headers.getlist("authorization"), address_of(connection))
        return now.roles >= identity.roles

    async def check_somebody_may_enter(self) -> None:
        """Says at the start who may do what, and refuses to start where that is nobody.

        Raises:
            WrongSettingsError: in production there is neither a provider nor a key, so that every request would be
            refused.
        """
        settings = self._clients.settings
        if self.is_open:
            _log.warning(
                "identity.open_to_everybody",
                detail="DEVELOPMENT: whoever reaches this API may do everything, as `development`. "
                "API_IDENTITY=required has everybody show who they are",
                listens_on=settings.api_host,
            )
            return
        ways = (
            ["api_key"] + ([] if self._tokens is None else ["token"]) + ([] if self.code_flow is None else ["sign_in"])
        )
        _log.info("identity.required", ways=ways, issuer=settings.oidc_issuer)
        if self._tokens is None and not await self._is_any_key():
            sentence = (
                "nobody can use the API: there is no API key that is good, and OIDC_ISSUER is not set. "
                "Make a key with `orders api-keys create NAME --role operator`, or set OIDC_ISSUER and OIDC_AUDIENCE"
            )
            if settings.is_production:
                raise WrongSettingsError(sentence)
            _log.warning("identity.nobody_may_enter", detail=sentence)

    async def _is_any_key(self) -> bool:
        try:
            async with self._clients.database() as engine:
                return await KeyStore(engine).any_usable()
        except UnreachableError:
            return True  # It cannot be told; requests with a key are answered 503 until it can.


def address_of(connection: HTTPConnection) -> str:
    """Where a request comes from, as far as the server believes the proxies before it."""
    return _NO_ADDRESS if connection.client is None else connection.client.host


@asynccontextmanager
async def open_gate(clients: Clients) -> AsyncIterator[Gate]:
    """The gate for as long as the block lasts; neither Postgres nor the provider is spoken to before somebody comes.

    Args:
        clients: lead to the database; their settings say who may enter.
    """
    settings = clients.settings
    async with AsyncExitStack() as resources:
        # Redirects are not followed: where the provider's pages are stands in its document, and tokens go nowhere else.
        http = await resources.enter_async_context(
            httpx.AsyncClient(
                timeout=settings.oidc_timeout_seconds,
                follow_redirects=False,
                limits=httpx.Limits(max_connections=_PROVIDER_CONNECTIONS_MAX),
            )
        )
        provider = None
        if settings.oidc_issuer is not None:
            provider = Provider(settings.oidc_issuer, http, refresh_seconds=settings.oidc_keys_refresh_seconds)
            resources.push_async_callback(provider.close)
        yield Gate(clients, provider, http)
