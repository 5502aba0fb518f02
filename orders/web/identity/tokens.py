"""A provider's tokens: algorithm, type, signature, issuer, audience and times are checked, what is cheapest first."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

import structlog
from joserfc import jwt
from joserfc.errors import ExpiredTokenError, InvalidClaimError, JoseError, MissingClaimError
from joserfc.jwk import Key
from joserfc.jws import extract_compact
from joserfc.jwt import JWTClaimsRegistry

from orders.settings import Settings
from orders.signatures.algorithm import OneAlgorithm
from orders.web.identity import refusals
from orders.web.identity.claims import Vouched, vouched
from orders.web.identity.provider import Provider
from orders.web.identity.rates import FailedTries
from orders.web.identity.who import Identity

TOKEN_CHARS_MAX: Final = 16 * 1024
"""Longer than any header that servers take; bounds what is decoded."""
_TRIED: Final = "token"

_log = structlog.get_logger("orders.identity")


class TokenError(Exception):
    """A token is of no use; the message is a sentence that shows nothing of it."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What a token must say."""

    issuer: str
    audience: str
    algorithms: Collection[str]
    types: Collection[str]
    """In small letters, without ``application/``; "" where a token may have none."""
    leeway_seconds: float


async def read_token(text: str, expected: Expected, provider: Provider) -> dict[str, Any]:
    """The claims of a token that is good.

    Raises:
        TokenError: it is not.
        Problem: 503, the provider's key is needed and the provider does not answer.
    """
    header = _header_of(text)
    algorithm, kind, key_id = header.get("alg"), header.get("typ", ""), header.get("kid")
    if algorithm not in expected.algorithms:
        raise TokenError("is signed with an algorithm that is not allowed here (OIDC_ALGORITHMS)")
    if not isinstance(kind, str) or kind.lower().removeprefix("application/") not in expected.types:
        wanted = " or ".join(sorted(expected.types)) or "another one"
        raise TokenError(f"is of a type that is not taken here, which takes {wanted}")
    if key_id is not None and not isinstance(key_id, str):
        raise TokenError("has a kid that is no text")
    keys = [key for key in await provider.keys(key_id) if key.get("alg", algorithm) == algorithm]
    if len(keys) != 1:
        # Without a key's id a token is taken only where there is no choice.
        raise TokenError("is signed with a key that the provider does not publish, or names none of several")
    return _verified(text, keys[0], str(algorithm), expected)


def _header_of(text: str) -> dict[str, Any]:
    if len(text) > TOKEN_CHARS_MAX:
        raise TokenError(f"is longer than {TOKEN_CHARS_MAX} characters")
    try:
        header = extract_compact(text.encode("ascii")).headers()
    except (JoseError, ValueError, TypeError):
        raise TokenError("is neither an API key nor a signed token (JWT)") from None
    return dict(header)


def _verified(text: str, key: Key, algorithm: str, expected: Expected) -> dict[str, Any]:
    registry = OneAlgorithm(algorithm)
    claims_wanted = JWTClaimsRegistry(
        leeway=int(expected.leeway_seconds),
        iss={"essential": True, "value": expected.issuer},
        aud={"essential": True, "value": expected.audience},
        exp={"essential": True},
        sub={"essential": True},
    )
    try:
        claims = jwt.decode(text, key, algorithms=[algorithm], registry=registry).claims
        claims_wanted.validate(claims)
    except ExpiredTokenError:
        raise TokenError("has expired: get a new one") from None
    except MissingClaimError:
        raise TokenError("lacks one of iss, aud, exp and sub") from None
    except InvalidClaimError as error:
        raise TokenError(_WRONG_CLAIMS.get(error.claim, "has a claim that is not as it must be")) from None
    except (JoseError, ValueError, TypeError):
        raise TokenError("has a signature that is not the provider's") from None
    return claims


_WRONG_CLAIMS: Final = {
    "iss": "is of another provider than OIDC_ISSUER",
    "aud": "is for another service: its audience is not OIDC_AUDIENCE",
    "nbf": "is not good yet: one of the two clocks is wrong",
    "iat": "was issued in the future: one of the two clocks is wrong",
}


class TokenChecker:
    """Tells who sends a request with a token.

    Args:
        settings: what tokens must say.
        provider: has the keys.
        tries: counts tokens that are of no use.
    """

    def __init__(self, settings: Settings, provider: Provider, tries: FailedTries) -> None:
        self._settings = settings
        self._provider = provider
        self._tries = tries
        self._expected = Expected(
            issuer=provider.issuer,
            audience=settings.oidc_audience or "",
            algorithms=settings.oidc_algorithm_names,
            types=settings.oidc_token_type_names,
            leeway_seconds=settings.oidc_leeway_seconds,
        )

    async def check(self, text: str, address: str) -> Identity:
        """The caller to whom a token belongs, also one who has no role here.

        Args:
            text: what was sent.
            address: of whoever sent it.

        Raises:
            Problem: 401, it is of no use; 429, that was so too often; 503, the provider is needed and does not answer.
        """
        try:
            who = await self._vouched(text)
        except TokenError as error:
            _log.info("identity.token.refused", reason=str(error))
            await self._tries.count(address, _TRIED)
            raise refusals.credential(f"the token {error}") from None
        return identity_of(who)

    async def _vouched(self, text: str) -> Vouched:
        who = vouched(await read_token(text, self._expected, self._provider), self._settings)
        if who is None:
            raise TokenError("has no sub that can name whom it is about")
        return who


def identity_of(who: Vouched) -> Identity:
    """The caller for whom a provider vouches with a token."""
    roles = frozenset() if who.role is None else who.role.included
    return Identity(who.name, roles, "token", who.caller_id)
