"""The OpenID provider: where its pages are and which keys it signs with, found by discovery and kept."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import structlog
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, Key, OKPKey, RSAKey

from orders.web.identity import refusals

ASK_AGAIN_SECONDS: Final = 10.0
"""Between two questions to the provider, whatever tokens come in: unknown key ids are easily made up."""
_DOCUMENT_BYTES_MAX: Final = 1024 * 1024
_KEYS_MAX: Final = 100
_RSA_BITS_MIN: Final = 2_048

_log = structlog.get_logger("orders.identity")


class ProviderError(Exception):
    """The provider did not answer, or not with what it should; the message is a sentence."""


@dataclass(frozen=True, slots=True)
class Discovered:
    """What the provider says of itself (OpenID Connect Discovery 1.0, section 3)."""

    authorization_endpoint: str
    token_endpoint: str
    userinfo_endpoint: str | None
    names_itself: bool
    """Whether it sends its name along with each code (RFC 9207)."""
    token_endpoint_auth_methods: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Known:
    discovered: Discovered
    keys: tuple[Key, ...]
    asked_at: float


class Provider:
    """Asks the provider as seldom as possible, and goes on with what it knows while the provider is away.

    Args:
        issuer: what the provider calls itself, in its document and in each token.
        http: asks; its time-out holds.
        refresh_seconds: how old the keys may be before they are fetched again.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        issuer: str,
        http: httpx.AsyncClient,
        *,
        refresh_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.issuer = issuer
        self._http = http
        self._refresh_seconds = refresh_seconds
        self._clock = clock
        self._known: _Known | None = None
        self._asked_at: float | None = None
        self._is_away = False
        self._asking: asyncio.Task[None] | None = None

    async def discovered(self) -> Discovered:
        """Where the provider's pages are.

        Raises:
            Problem: 503, the provider does not answer and never did.
        """
        if self._known is None:
            await self._ask()
        if self._known is None:
            raise refusals.provider_away(self._seconds_left())
        return self._known.discovered

    async def keys(self, key_id: str | None) -> tuple[Key, ...]:
        """The provider's keys of this id, or all of them where a token names none; none where there is no such key.

        Raises:
            Problem: 503, the key is not known and the provider does not answer.
        """
        if self._known is not None and self._clock() - self._known.asked_at > self._refresh_seconds:
            self._begin_to_ask()  # Nobody waits for it: what is known is good.
        found = self._find(key_id)
        if not found:
            await self._ask()
            found = self._find(key_id)
        if not found and (self._known is None or self._is_away):
            raise refusals.provider_away(self._seconds_left())
        return found

    async def close(self) -> None:
        """Ends a question that is under way."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    def _find(self, key_id: str | None) -> tuple[Key, ...]:
        keys = () if self._known is None else self._known.keys
        return keys if key_id is None else tuple(key for key in keys if key.kid == key_id)

    async def _ask(self) -> None:
        """Waits for a question that is under way, or puts one, unless one was put not long ago."""
        task = self._begin_to_ask()
        if task is not None:
            await asyncio.shield(task)

    def _begin_to_ask(self) -> asyncio.Task[None] | None:
        if self._asking is not None and not self._asking.done():
            return self._asking
        if self._asked_at is not None and self._seconds_left() > 0:
            return None
        self._asked_at = self._clock()
        self._asking = asyncio.create_task(self._fetch(), name="OpenID provider")
        return self._asking

    def _seconds_left(self) -> float:
        """How long until the provider may be asked again."""
        return 0.0 if self._asked_at is None else self._asked_at + ASK_AGAIN_SECONDS - self._clock()

    async def _fetch(self) -> None:
        asked_at = self._clock()
        try:
            document = await self._get(f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
            discovered, keys_address = _read(document, self.issuer)
            keys = _import_keys(await self._get(keys_address))
        except ProviderError as error:
            say = _log.debug if self._is_away else _log.warning
            say("identity.provider.lost", issuer=self.issuer, detail=str(error), keys_known=len(self._find(None)))
            self._is_away = True
            return
        if self._is_away or self._known is None:
            _log.info("identity.provider.answers", issuer=self.issuer, keys=len(keys))
        self._is_away = False
        self._known = _Known(discovered, keys, asked_at)

    async def _get(self, address: str) -> dict[str, Any]:
        """A JSON object from the provider.

        Raises:
            ProviderError: there is none.
        """
        try:
            async with self._http.stream("GET", address, headers={"Accept": "application/json"}) as response:
                if response.status_code != httpx.codes.OK:
                    raise ProviderError(f"{address} answers {response.status_code}")
                content = await _read_up_to(response, _DOCUMENT_BYTES_MAX)
            document = httpx.Response(200, content=content).json()
        except httpx.HTTPError as error:
            raise ProviderError(f"{address} does not answer ({type(error).__name__})") from error
        except ValueError as error:
            raise ProviderError(f"{address} does not answer with JSON") from error
        if not isinstance(document, dict):
            raise ProviderError(f"{address} does not answer with a JSON object")
        return document


async def _read_up_to(response: httpx.Response, bytes_max: int) -> bytes:
    content = bytearray()
    async for chunk in response.aiter_bytes():
        content += chunk
        if len(content) > bytes_max:
            raise ProviderError(f"{response.url} answers with more than {bytes_max} bytes")
    return bytes(content)


def _read(document: Mapping[str, Any], issuer: str) -> tuple[Discovered, str]:
    """What the document says, and where the keys are.

    Raises:
        ProviderError: it is not this provider's, or lacks what is needed.
    """
    if document.get("issuer") != issuer:
        raise ProviderError(
            f"what answers there calls itself {str(document.get('issuer'))[:200]!r}, and OIDC_ISSUER is {issuer!r}: "
            "they must be the same, to the last slash"
        )
    methods = document.get("token_endpoint_auth_methods_supported")
    discovered = Discovered(
        authorization_endpoint=_address(document, "authorization_endpoint", issuer),
        token_endpoint=_address(document, "token_endpoint", issuer),
        userinfo_endpoint=_address(document, "userinfo_endpoint", issuer) if "userinfo_endpoint" in document else None,
        names_itself=document.get("authorization_response_iss_parameter_supported") is True,
        # The default of the specification.
        token_endpoint_auth_methods=tuple(map(str, methods)) if isinstance(methods, list) else ("client_secret_basic",),
    )
    return discovered, _address(document, "jwks_uri", issuer)


def _address(document: Mapping[str, Any], name: str, issuer: str) -> str:
    value = document.get(name)
    parts = urlsplit(value) if isinstance(value, str) else None
    # What is asked over TLS must not send secrets, or fetch keys, in the clear.
    allowed = ("https",) if issuer.startswith("https:") else ("https", "http")
    if not isinstance(value, str) or parts is None or parts.scheme not in allowed or not parts.hostname:
        raise ProviderError(f"its document has no {' or '.join(allowed)} address as {name}")
    return value


def _import_keys(document: Mapping[str, Any]) -> tuple[Key, ...]:
    """The keys that signatures can be checked with; others are passed over.

    Raises:
        ProviderError: there are none.
    """
    entries = document.get("keys")
    keys = [key for one in (entries if isinstance(entries, list) else [])[:_KEYS_MAX] if (key := _import_key(one))]
    if not keys:
        raise ProviderError("its key set has no key that signatures can be checked with")
    return tuple(keys)


def _import_key(entry: object) -> Key | None:
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
        return None
    try:
        key = JWKRegistry.import_key(entry)
    except (JoseError, ValueError, TypeError) as error:
        _log.warning("identity.provider.key_unusable", error_type=type(error).__name__)
        return None
    # A symmetric key in a public document is no secret: whoever reads it could sign with it.
    if not isinstance(key, RSAKey | ECKey | OKPKey):
        return None
    if isinstance(key, RSAKey) and key.public_key.key_size < _RSA_BITS_MIN:
        return None
    return key
