"""What a provider answers that is not what it should, and the keys that are not taken from it."""

import base64
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from structlog.testing import capture_logs

from orders.web.identity.provider import Provider
from orders.web.problems import Problem
from tests.helpers.messages.signing import public_jwk, signing_key

ISSUER = "https://id.example"
DISCOVERY = "/.well-known/openid-configuration"
DOCUMENT = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/authorize",
    "token_endpoint": f"{ISSUER}/token",
    "jwks_uri": f"{ISSUER}/keys",
}
GOOD = public_jwk(signing_key("good", "ES256"))


def provider(discovery: Response, keys: Response) -> Provider:
    async def tell(_request: Request) -> Response:
        return discovery

    async def tell_keys(_request: Request) -> Response:
        return keys

    app = Starlette(routes=[Route(DISCOVERY, tell), Route("/keys", tell_keys)])
    return Provider(ISSUER, httpx.AsyncClient(transport=httpx.ASGITransport(app)), refresh_seconds=300)


@pytest.mark.parametrize(
    ("discovery", "said"),
    [
        (PlainTextResponse("gone", 404), f"{ISSUER}{DISCOVERY} answers 404"),
        (PlainTextResponse("<html>"), f"{ISSUER}{DISCOVERY} does not answer with JSON"),
        (JSONResponse([]), f"{ISSUER}{DISCOVERY} does not answer with a JSON object"),
        (PlainTextResponse(" " * 1_048_577), f"{ISSUER}{DISCOVERY} answers with more than 1048576 bytes"),
        (JSONResponse({**DOCUMENT, "token_endpoint": 7}), "its document has no https address as token_endpoint"),
        (
            JSONResponse({**DOCUMENT, "jwks_uri": "http://id.example/keys"}),
            "its document has no https address as jwks_uri",
        ),
    ],
)
async def test_a_provider_whose_document_is_not_right_is_away_and_the_log_says_why(
    discovery: Response, said: str
) -> None:
    with capture_logs() as lines, pytest.raises(Problem) as refused:
        await provider(discovery, JSONResponse({"keys": [GOOD]})).discovered()
    assert refused.value.status == 503
    assert [(line["event"], line["detail"]) for line in lines] == [("identity.provider.lost", said)]


UNUSABLE = {
    "no key": "text",
    "to encrypt": {**GOOD, "use": "enc"},
    "broken": {"kty": "EC", "crv": "P-256"},
    "of no kind": {"kty": "none"},
    "weak": {"kty": "RSA", "n": base64.urlsafe_b64encode(b"\xff" * 128).decode().rstrip("="), "e": "AQAB"},
    "symmetric": {"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA"},
}


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
@pytest.mark.parametrize("name", UNUSABLE)
async def test_a_key_that_signatures_cannot_be_checked_with_is_passed_over(name: str) -> None:
    entries: list[Any] = [UNUSABLE[name], GOOD]
    known = await provider(JSONResponse(DOCUMENT), JSONResponse({"keys": entries})).keys(None)
    assert [key.kid for key in known] == ["good"]


@pytest.mark.parametrize("keys", [{}, {"keys": "none"}, {"keys": [UNUSABLE["to encrypt"]]}])
async def test_a_provider_without_a_key_is_away(keys: dict[str, Any]) -> None:
    with capture_logs() as lines, pytest.raises(Problem):
        await provider(JSONResponse(DOCUMENT), JSONResponse(keys)).keys(None)
    assert lines[-1]["detail"] == "its key set has no key that signatures can be checked with"
