"""Tokens of a real provider: its own are good, and whatever is wrong with one is told."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import httpx
import pytest

from tests.helpers.servers.openid_server import CLIENT_ID, OpenIdServer, encoded, new_key
from tests.integration.web.identity.api import RunningApi, running_api

STRANGER = new_key("key-1")
"""A key that calls itself as the provider's does."""


async def detail(api: RunningApi, token: str, status: int = 401) -> str:
    answer = await api.who(token)
    assert answer.status_code == status, answer.text
    assert answer.json()["code"] == "not_signed_in"
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
    assert token[:20] not in answer.text
    return str(answer.json()["detail"])


def unsigned(header: dict[str, Any], claims: dict[str, Any], signature: bytes = b"") -> str:
    return ".".join(map(encoded, (json.dumps(header).encode(), json.dumps(claims).encode(), signature)))


async def test_the_provider_s_token_lets_its_owner_in_with_the_roles_it_names(
    api_with_provider: RunningApi, provider: OpenIdServer
) -> None:
    approver, viewer = await provider.access_token("job-approver"), await provider.access_token("job-viewer")
    who = await api_with_provider.who(approver)
    assert who.status_code == 200, who.text
    assert who.json() == {
        "name": "job-approver",
        "roles": ["approver", "viewer"],
        "via": "token",
        "caller_id": "token:job-approver",
    }
    assert (await api_with_provider.approve(approver)).status_code == 200
    refused = await api_with_provider.approve(viewer)
    assert (refused.status_code, refused.json()["code"]) == (403, "not_allowed")


async def test_somebody_who_is_known_and_has_no_role_here_may_do_nothing(
    api_with_provider: RunningApi, provider: OpenIdServer
) -> None:
    nobody = await provider.access_token("job-nobody")
    assert (await api_with_provider.who(nobody)).json()["roles"] == []
    refused = await api_with_provider.approve(nobody)
    assert refused.status_code == 403
    assert "no role here" in refused.json()["detail"]


async def test_the_same_token_made_by_hand_is_good_so_that_the_bad_ones_differ_by_what_is_bad(
    api_with_provider: RunningApi, provider: OpenIdServer
) -> None:
    assert (await api_with_provider.who(provider.sign())).status_code == 200
    several = provider.sign({"aud": ["https://other.example", "https://orders.example/api"]})
    assert (await api_with_provider.who(several)).status_code == 200
    within_leeway = provider.sign({"exp": int(time.time()) - 10, "nbf": int(time.time()) + 10})
    assert (await api_with_provider.who(within_leeway)).status_code == 200
    assert (await api_with_provider.who(provider.sign(header={"typ": "application/AT+JWT"}))).status_code == 200
    assert (await api_with_provider.who(provider.sign(header={"x-of-the-provider": 1}))).status_code == 200


@pytest.mark.parametrize(
    ("changes", "header", "words"),
    [
        ({"exp": 1_000_000_000}, {}, "has expired"),
        ({"exp": None}, {}, "lacks one of iss, aud, exp and sub"),
        ({"exp": "tomorrow"}, {}, "a claim that is not as it must be"),
        ({"exp": float("inf")}, {}, "a claim that is not as it must be"),
        ({"exp": float("nan")}, {}, "a claim that is not as it must be"),
        ({"nbf": 32_000_000_000}, {}, "is not good yet"),
        ({"iat": 32_000_000_000}, {}, "issued in the future"),
        ({"aud": "https://other.example"}, {}, "audience is not OIDC_AUDIENCE"),
        ({"aud": []}, {}, "audience is not OIDC_AUDIENCE"),
        ({"aud": None}, {}, "lacks one of"),
        ({"aud": "https://orders.example/api/"}, {}, "audience"),
        ({"iss": "https://other.example"}, {}, "another provider than OIDC_ISSUER"),
        ({"iss": None}, {}, "lacks one of"),
        ({"sub": None}, {}, "lacks one of"),
        ({"sub": ""}, {}, "claim"),
        ({"sub": 7}, {}, "claim"),
        ({"sub": "a\u202eb"}, {}, "has no sub that can name whom it is about"),
        ({}, {"typ": "JWT"}, "type that is not taken here, which takes at+jwt"),
        ({}, {"typ": None}, "type that is not taken here"),
        ({}, {"typ": "logout+jwt"}, "type that is not taken here"),
        ({}, {"kid": "key-of-nobody"}, "a key that the provider does not publish"),
        ({}, {"alg": "RS384"}, "algorithm that is not allowed"),
        ({}, {"crit": ["exp"]}, "signature"),
    ],
)
async def test_a_token_with_one_thing_wrong_is_refused_and_told_why(
    api_with_provider: RunningApi, provider: OpenIdServer, changes: dict[str, Any], header: dict[str, Any], words: str
) -> None:
    assert words in await detail(api_with_provider, provider.sign(changes, header))


async def test_a_token_of_no_algorithm_is_refused_with_and_without_a_signature(
    api_with_provider: RunningApi, provider: OpenIdServer
) -> None:
    good = provider.sign().split(".")
    claims = json.loads(base64.urlsafe_b64decode(good[1] + "=="))
    for algorithm in ("none", "None", "NONE", "", None):
        header = {"alg": algorithm, "typ": "at+jwt", "kid": "key-1"}
        for signature in (b"", b"signature"):
            await detail(api_with_provider, unsigned(header, claims, signature))


async def test_a_token_signed_with_the_public_key_as_if_it_were_a_secret_is_refused(
    api_with_provider: RunningApi, provider: OpenIdServer
) -> None:
    """The best-known mistake of such checks: HS256 with what the provider publishes as the shared secret."""
    good = provider.sign().split(".")
    header = {"alg": "HS256", "typ": "at+jwt", "kid": "key-1"}
    text = f"{unsigned(header, {}).split('.')[0]}.{good[1]}"
    published = (await _published_keys(provider))["keys"][0]
    secrets = (
        provider.key.as_pem(private=False),
        provider.key.as_der(private=False),
        json.dumps(published).encode(),
        base64.urlsafe_b64decode(published["n"] + "=="),
    )
    for secret in secrets:
        signature = hmac.new(secret, text.encode(), hashlib.sha256).digest()
        forged = f"{text}.{encoded(signature)}"
        assert "algorithm that is not allowed" in await detail(api_with_provider, forged)


async def _published_keys(provider: OpenIdServer) -> dict[str, Any]:
    async with httpx.AsyncClient() as http:
        published: dict[str, Any] = (await http.get(f"{provider.issuer}/jwks")).json()
    return published


async def test_a_token_signed_by_a_stranger_or_changed_afterwards_is_refused(
    api_with_provider: RunningApi, provider: OpenIdServer
) -> None:
    assert "signature" in await detail(api_with_provider, provider.sign(key=STRANGER))
    # Longer than a header may be; a token that brings its own key along is judged by the provider's all the same.
    own_key = {"jwk": STRANGER.as_dict(private=False)}
    await detail(api_with_provider, provider.sign(header=own_key, key=STRANGER))
    elsewhere = {"jku": "http://127.0.0.1:1/keys"}
    assert "signature" in await detail(api_with_provider, provider.sign(header=elsewhere, key=STRANGER))
    header, claims, signature = provider.sign().split(".")
    operator = encoded(base64.urlsafe_b64decode(claims + "==").replace(b'"approver"', b'"operator"'))
    assert "signature" in await detail(api_with_provider, f"{header}.{operator}.{signature}")


@pytest.mark.parametrize("text", ["a.b.c", "....", "a.b", "e30.e30.e30", "x" * 20_000, "eyJhbGciOiJSUzI1NiJ9.e30."])
async def test_what_is_no_token_is_refused(api_with_provider: RunningApi, text: str) -> None:
    await detail(api_with_provider, text)


async def test_an_id_token_which_only_says_who_signed_in_is_no_access_token(
    api_with_provider: RunningApi, provider: OpenIdServer
) -> None:
    await detail(api_with_provider, provider.sign({"aud": CLIENT_ID, "nonce": "n"}, {"typ": "JWT"}))
    await detail(api_with_provider, provider.sign({"aud": CLIENT_ID, "nonce": "n"}))


async def test_a_provider_with_other_names_for_types_and_roles_is_understood(
    api_with_provider: RunningApi, provider: OpenIdServer
) -> None:
    changes = {
        "oidc_token_types": "JWT",
        "oidc_roles_claim": "realm_access.roles",
        "oidc_role_names": "order-admins=operator",
        "oidc_name_claim": "email",
    }
    known = {**provider.settings, **changes}
    settings = api_with_provider.settings.model_copy(update=known)
    async with running_api(settings) as api:
        claims = {"realm_access": {"roles": ["order-admins"]}, "email": "anna@example.com"}
        who = await api.who(provider.sign(claims, {"typ": "JWT"}))
        assert who.json() == {
            "name": "anna@example.com",
            "roles": ["approver", "operator", "viewer"],
            "via": "token",
            "caller_id": "token:job-approver",
        }
