"""Signing in to the console at the OpenID provider: the code flow with PKCE (RFC 6749, 7636, 9700)."""

import base64
import binascii
import hmac
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final
from urllib.parse import quote_plus

import httpx
import structlog
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from orders.settings import Settings
from orders.web.identity.claims import Vouched, says_all, vouched
from orders.web.identity.provider import Discovered, Provider
from orders.web.identity.tokens import Expected, TokenError, read_token

UNDER_WAY_SECONDS: Final = 600
"""How long somebody may take at the provider's."""
_BYTES: Final = 32
_ANSWER_BYTES_MAX: Final = 256 * 1024
_ERROR_CODE: Final = re.compile(r"[a-z_]{1,50}")
_COOKIE_CHARS_MAX: Final = 4_000
"""What browsers keep of one cookie."""

_log = structlog.get_logger("orders.identity")


class SignInError(Exception):
    """Signing in at the provider came to nothing; the message is a sentence for the person who tried.

    Args:
        message: the sentence.
        status: of the page that shows it.
    """

    def __init__(self, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class UnderWay:
    """What a browser keeps while it is at the provider's.

    It is kept by the browser itself, in a cookie that scripts cannot read: so it is bound to the browser that began,
    and whatever process of ours the browser comes back to needs nothing of the one that sent it away.
    """

    state: str = field(repr=False)
    """Comes back with the code, and shows that the code is of this browser's own sign-in."""
    nonce: str = field(repr=False)
    """Comes back in the ID token, for the same reason."""
    verifier: str = field(repr=False)
    """PKCE's secret, without which nobody who has seen the code can use it."""
    go_on: str
    """The page to go on with."""

    def to_cookie(self) -> str:
        """The cookie's value."""
        return base64.urlsafe_b64encode(json.dumps(asdict(self)).encode()).decode()

    @classmethod
    def from_cookie(cls, value: str | None) -> "UnderWay | None":
        """What a cookie holds; None where it is not one of ours."""
        if value is None or len(value) > _COOKIE_CHARS_MAX:
            return None
        try:
            members = json.loads(base64.urlsafe_b64decode(value))
            under_way = cls(**members)
        except (binascii.Error, ValueError, TypeError, RecursionError):
            return None
        return under_way if all(isinstance(one, str) and one for one in members.values()) else None


class CodeFlow:
    """Sends browsers to the provider, and takes them back.

    Args:
        settings: the client's id and secret at the provider, and what claims mean.
        provider: the provider.
        http: asks it.
    """

    def __init__(self, settings: Settings, provider: Provider, http: httpx.AsyncClient) -> None:
        self._settings = settings
        self._provider = provider
        self._http = http
        self._client_id = settings.oidc_client_id or ""

    async def begin(self, *, redirect_uri: str, go_on: str) -> tuple[str, UnderWay]:
        """The provider's address for the browser, and what the browser is to keep.

        Raises:
            Problem: 503, the provider does not answer and never did.
        """
        discovered = await self._provider.discovered()
        state, nonce, verifier = (secrets.token_urlsafe(_BYTES) for _ in range(3))
        address = prepare_grant_uri(
            discovered.authorization_endpoint,
            client_id=self._client_id,
            response_type="code",
            redirect_uri=redirect_uri,
            scope=self._settings.oidc_scope,
            state=state,
            nonce=nonce,
            code_challenge=create_s256_code_challenge(verifier),
            code_challenge_method="S256",
        )
        return address, UnderWay(state, nonce, verifier, go_on)

    async def finish(self, answer: Mapping[str, str], under_way: UnderWay, *, redirect_uri: str) -> Vouched:
        """Who came back from the provider.

        Args:
            answer: the parameters with which the browser came back.
            under_way: what it kept.
            redirect_uri: the same as at the beginning.

        Raises:
            SignInError: it came to nothing.
            Problem: 503, the provider does not answer and never did.
        """
        discovered = await self._provider.discovered()
        code = _code_of(answer, under_way, issuer=self._provider.issuer, must_name_itself=discovered.names_itself)
        tokens = await self._exchange(discovered, code, under_way, redirect_uri)
        claims = await self._claims(tokens, under_way)
        if not says_all(claims, self._settings):
            claims = await self._with_userinfo(discovered, tokens, claims)
        who = vouched(claims, self._settings)
        if who is None:
            raise SignInError("The provider does not say who signed in.")
        return who

    async def _exchange(
        self, discovered: Discovered, code: str, under_way: UnderWay, redirect_uri: str
    ) -> dict[str, Any]:
        """The tokens for a code (RFC 6749, 4.1.3)."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": under_way.verifier,
        }
        secret = self._settings.oidc_client_secret
        auth: httpx.BasicAuth | None = None
        if secret is None:
            form["client_id"] = self._client_id
        elif "client_secret_basic" in discovered.token_endpoint_auth_methods:
            # Each is encoded before they are joined (RFC 6749, 2.3.1), or a colon within would part them.
            auth = httpx.BasicAuth(quote_plus(self._client_id), quote_plus(secret.get_secret_value()))
        else:
            form |= {"client_id": self._client_id, "client_secret": secret.get_secret_value()}
        request = self._http.build_request("POST", discovered.token_endpoint, data=form)
        return await self._answer_of(request, "took no code", auth=auth)

    async def _claims(self, tokens: Mapping[str, Any], under_way: UnderWay) -> dict[str, Any]:
        """What the ID token says (OpenID Connect Core 1.0, 3.1.3.7)."""
        expected = Expected(
            issuer=self._provider.issuer,
            audience=self._client_id,
            algorithms=self._settings.oidc_algorithm_names,
            types=("jwt", ""),
            leeway_seconds=self._settings.oidc_leeway_seconds,
        )
        id_token = tokens.get("id_token")
        if not isinstance(id_token, str):
            raise SignInError("The provider sent no ID token: OIDC_SCOPE needs openid.")
        try:
            claims = await read_token(id_token, expected, self._provider)
        except TokenError as error:
            _log.warning("identity.sign_in.refused", reason=str(error))
            raise SignInError(f"The provider's ID token {error}.") from None
        nonce, party = claims.get("nonce"), claims.get("azp", self._client_id)
        if not isinstance(nonce, str) or not _same(nonce, under_way.nonce) or party != self._client_id:
            raise SignInError("The provider's ID token is of another sign-in. Please sign in again.")
        if isinstance(claims["aud"], list) and len(claims["aud"]) > 1 and "azp" not in claims:
            raise SignInError("The provider's ID token is for several parties, and does not say for which first.")
        return claims

    async def _with_userinfo(
        self, discovered: Discovered, tokens: Mapping[str, Any], claims: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The claims with those that the provider tells on request only (OpenID Connect Core 1.0, 5.3)."""
        access_token = tokens.get("access_token")
        if discovered.userinfo_endpoint is None or not isinstance(access_token, str):
            return dict(claims)
        headers = {"Authorization": f"Bearer {access_token}"}
        request = self._http.build_request("GET", discovered.userinfo_endpoint, headers=headers)
        told = await self._answer_of(request, "does not tell about the person")
        if told.get("sub") != claims.get("sub"):
            raise SignInError("The provider tells about another person than the one who signed in.")
        return {**told, **claims}

    async def _answer_of(
        self, request: httpx.Request, otherwise: str, auth: httpx.BasicAuth | None = None
    ) -> dict[str, Any]:
        """A JSON object that the provider answers with.

        Raises:
            SignInError: it does not.
        """
        failed = SignInError(f"The provider {otherwise}. Please sign in again; the log says more.")
        try:
            response = await self._http.send(request, auth=auth)
            answer = response.json() if len(response.content) <= _ANSWER_BYTES_MAX else None
        except (httpx.HTTPError, ValueError) as error:
            # `from None`, and the type alone: requests to this address have secrets in them.
            _log.warning("identity.sign_in.failed", endpoint=request.url.path, error_type=type(error).__name__)
            raise failed from None
        if response.status_code != httpx.codes.OK or not isinstance(answer, dict):
            code = answer.get("error") if isinstance(answer, dict) else None
            _log.warning(
                "identity.sign_in.failed",
                endpoint=request.url.path,
                status=response.status_code,
                error=_error_code(code),
            )
            raise failed
        return answer


def _code_of(answer: Mapping[str, str], under_way: UnderWay, *, issuer: str, must_name_itself: bool) -> str:
    """The code with which the browser came back.

    Raises:
        SignInError: it came back with none, or not from this sign-in.
    """
    if not _same(answer.get("state", ""), under_way.state):
        raise SignInError("This answer is of another sign-in than this browser's last one. Please sign in again.")
    if answer.get("iss", None if must_name_itself else issuer) != issuer:
        raise SignInError("This answer is of another provider. Please sign in again.")
    if "error" in answer:
        denied = answer["error"] == "access_denied"
        _log.info("identity.sign_in.failed", error=_error_code(answer["error"]))
        raise SignInError("The provider did not let you in." if denied else "The provider could not sign you in.")
    code = answer.get("code", "")
    if not code:
        raise SignInError("The provider sent no code. Please sign in again.")
    return code


def _error_code(value: object) -> str:
    """An error's code for the log (RFC 6749, 5.2); a text that is none may be anything, and is not shown."""
    return value if isinstance(value, str) and _ERROR_CODE.fullmatch(value) else "unknown"


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(errors="replace"), other.encode(errors="replace"))
