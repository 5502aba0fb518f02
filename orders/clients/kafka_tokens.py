"""Tokens of an OpenID provider by which Kafka lets us in (SASL OAUTHBEARER): asked for, kept, and renewed in time."""

import asyncio
import json
import time
from typing import Any, Final

import aiokafka.conn
import httpx
import structlog
from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import SaslAuthenticationFailed

from orders.clients.mistakes import TokenNotGivenError
from orders.clients.tls_files import KAFKA_OAUTH, RenewedContext
from orders.settings import Settings
from orders.settings.secret_files import present_secret

_TIMEOUT_SECONDS: Final = 5.0
_RENEWED_AT: Final = 0.8
"""Part of its life after which a token is not used for a new connection any more, as Kafka's own client has it."""
_LIFE_WITHOUT_A_WORD_SECONDS: Final = 60.0
"""Taken for a token's life where the provider says nothing of it."""
_REFUSED_SECONDS: Final = 10.0
"""How long a token that Kafka refuses is kept, as every connection may be refused, and the provider is not flooded."""

_log = structlog.get_logger("orders.kafka_tokens")


class ProviderTokens(AbstractTokenProvider):  # type: ignore[misc]  # aiokafka ships no types.
    """A token for each new connection: the one that is kept, or a new one when that has used up most of its life.

    Kafka ends a connection when its token does (`connections.max.reauth.ms`), and aiokafka opens another one: with a
    new token. One that Kafka refuses, as it does when the provider has taken its keys back, is replaced soon. The
    client's secret is read again for each question, where it stands in a file.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._asking = asyncio.Lock()
        self._token = ""
        self._asked_at = self._good_until = 0.0

    async def token(self) -> str:
        """The token.

        Raises:
            TokenNotGivenError: the provider gives none.
        """
        async with self._asking:
            if time.monotonic() >= self._good_until:
                asked_at = time.monotonic()
                self._token, life_seconds = await self._ask()
                self._asked_at, self._good_until = asked_at, asked_at + life_seconds * _RENEWED_AT
                _log.info("kafka.token.renewed", life_seconds=life_seconds)
            return self._token

    def refused(self) -> None:
        """Notes that Kafka has refused a connection with the token."""
        self._good_until = min(self._good_until, self._asked_at + _REFUSED_SECONDS)

    async def _ask(self) -> tuple[str, float]:
        settings = self._settings
        form = {"grant_type": "client_credentials"}
        if settings.kafka_oauth_scope:
            form["scope"] = settings.kafka_oauth_scope
        if settings.kafka_oauth_audience:
            # Providers know one or the other (RFC 8707 has the second), and leave alone what they do not know.
            form |= {"audience": settings.kafka_oauth_audience, "resource": settings.kafka_oauth_audience}
        secret = present_secret(settings, "kafka_oauth_client_secret") or ""
        try:
            async with httpx.AsyncClient(
                timeout=_TIMEOUT_SECONDS, trust_env=False, verify=RenewedContext(settings, KAFKA_OAUTH)
            ) as http:
                answer = await http.post(
                    str(settings.kafka_oauth_token_url),
                    data=form,
                    auth=httpx.BasicAuth(_encoded(settings.kafka_oauth_client_id or ""), _encoded(secret)),
                )
        except httpx.HTTPError as error:
            raise TokenNotGivenError(f"it cannot be reached: {type(error).__name__}") from error
        return _token_of(answer)


def _encoded(text: str) -> str:
    """As RFC 6749 (2.3.1) has client credentials in the Basic scheme."""
    return str(httpx.QueryParams({"": text}))[1:]


def _token_of(answer: httpx.Response) -> tuple[str, float]:
    try:
        body: dict[str, Any] = answer.json()
        if answer.status_code != httpx.codes.OK:
            # The provider's code alone, such as invalid_client (RFC 6749, 5.2).
            raise TokenNotGivenError(
                f"it answers {answer.status_code}, {str(body.get('error', 'without a reason'))[:80]!r}"
            )
        return str(body["access_token"]), float(body.get("expires_in", _LIFE_WITHOUT_A_WORD_SECONDS))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TokenNotGivenError(f"it answers {answer.status_code}, and not as RFC 6749 has it") from error


class _CheckedAuthenticator(aiokafka.conn.OAuthAuthenticator):  # type: ignore[misc]  # aiokafka ships no types.
    """Looks at the server's answer, which aiokafka 0.14 takes for a yes whatever it says.

    A refusal is a document in that answer; the error itself comes only after the client's next word (RFC 7628, 3.2.3).
    """

    async def step(self, payload: bytes | None) -> tuple[bytes, bool] | None:
        """See aiokafka."""
        if payload:
            if isinstance(self._sasl_oauth_token_provider, ProviderTokens):
                self._sasl_oauth_token_provider.refused()
            raise SaslAuthenticationFailed(f"the token was refused: {_status_of(payload)}")
        step: tuple[bytes, bool] | None = await super().step(payload)
        return step


def _status_of(payload: bytes) -> str:
    try:
        return str(json.loads(payload)["status"])[:80]
    except (ValueError, KeyError, TypeError):
        return "without a reason"


def check_answers_to_tokens() -> None:
    """Has every connection of aiokafka in this process notice that its token was refused."""
    aiokafka.conn.OAuthAuthenticator = _CheckedAuthenticator
