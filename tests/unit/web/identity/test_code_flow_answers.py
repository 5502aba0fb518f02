"""What a provider may answer when a browser comes back from it, and how it is asked: every token is really signed."""

import base64
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from orders.settings import Settings
from orders.web.identity.code_flow import CodeFlow, SignInError
from orders.web.identity.provider import Provider
from tests.helpers.servers.openid_server import CLIENT_ID, new_key, signed

ISSUER = "https://id.example"
BACK = "https://orders.example/console/sign-in/back"
KEY = new_key("key-1")


@dataclass
class Answers:
    """A provider, and what it was asked."""

    claims: dict[str, Any] = field(default_factory=dict)
    """Changes of the ID token's claims; None takes one out."""
    header: dict[str, Any] = field(default_factory=dict)
    tokens: dict[str, Any] = field(default_factory=dict)
    """Changes of what is given for a code; None takes one out."""
    person: dict[str, Any] = field(default_factory=lambda: {"sub": "s-1", "name": "Ada", "roles": ["approver"]})
    authentication: list[str] = field(default_factory=lambda: ["client_secret_basic"])
    asked: list[tuple[Mapping[str, str], str | None]] = field(default_factory=list)
    """Each question for tokens: its form, and how the client said who it is."""
    nonce: str = ""

    def app(self) -> Starlette:
        async def discovery(_request: Request) -> JSONResponse:
            places = {
                f"{name}_endpoint": f"{ISSUER}/{name}" for name in ("authorization", "token", "userinfo")
            }  # fmt: skip
            known = {"issuer": ISSUER, "jwks_uri": f"{ISSUER}/keys", **places}
            return JSONResponse({**known, "token_endpoint_auth_methods_supported": self.authentication})

        async def keys(_request: Request) -> JSONResponse:
            return JSONResponse({"keys": [KEY.as_dict(private=False)]})

        async def token(request: Request) -> JSONResponse:
            form = {name: str(value) for name, value in (await request.form()).items()}
            self.asked.append((form, request.headers.get("Authorization")))
            return JSONResponse(without_none({"access_token": "t", "id_token": self.id_token(), **self.tokens}))

        async def userinfo(_request: Request) -> JSONResponse:
            return JSONResponse(self.person)

        routes = {"/.well-known/openid-configuration": discovery, "/keys": keys, "/userinfo": userinfo}
        return Starlette(
            routes=[
                *(Route(path, tell) for path, tell in routes.items()),
                Route("/token", token, methods=["POST"]),
            ]
        )

    def id_token(self) -> str:
        now = int(time.time())
        claims = {"iss": ISSUER, "aud": CLIENT_ID, "sub": "s-1", "iat": now, "exp": now + 60, "nonce": self.nonce}
        header = {"alg": "RS256", "kid": "key-1", **self.header}
        return signed(header, without_none({**claims, **self.claims}), KEY)


def without_none(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


async def name_of_who_comes_back(answers: Answers, *, secret: str | None = None) -> str:
    settings = Settings(
        _env_file=None,
        oidc_issuer=ISSUER,
        oidc_audience="https://orders.example/api",
        oidc_client_id=CLIENT_ID,
        oidc_name_claim="name",
    ).model_copy(update={"oidc_client_secret": None if secret is None else SecretStr(secret)})
    async with httpx.AsyncClient(transport=httpx.ASGITransport(answers.app())) as http:
        flow = CodeFlow(settings, Provider(ISSUER, http, refresh_seconds=300), http)
        _, under_way = await flow.begin(redirect_uri=BACK, go_on="/console/")
        answers.nonce = under_way.nonce
        came_back = {"state": under_way.state, "code": "c-1"}
        return (await flow.finish(came_back, under_way, redirect_uri=BACK)).name


async def test_a_name_that_the_id_token_lacks_is_asked_for() -> None:
    assert await name_of_who_comes_back(Answers()) == "Ada"
    assert await name_of_who_comes_back(Answers(claims={"name": "Grace", "roles": []}, person={})) == "Grace"


async def test_where_nothing_more_can_be_asked_for_the_subject_is_the_name() -> None:
    assert await name_of_who_comes_back(Answers(tokens={"access_token": None})) == "s-1"


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        (Answers(tokens={"id_token": None}), "The provider sent no ID token: OIDC_SCOPE needs openid."),
        (Answers(tokens={"id_token": 7}), "The provider sent no ID token: OIDC_SCOPE needs openid."),
        (Answers(header={"kid": 7}), "The provider's ID token has a kid that is no text."),
        (Answers(claims={"exp": 1}), "The provider's ID token has expired: get a new one."),
        (
            Answers(claims={"nonce": "another"}),
            "The provider's ID token is of another sign-in. Please sign in again.",
        ),
        (
            Answers(claims={"azp": "another"}),
            "The provider's ID token is of another sign-in. Please sign in again.",
        ),
        (
            Answers(claims={"aud": [CLIENT_ID, "another"]}),
            "The provider's ID token is for several parties, and does not say for which first.",
        ),
        (
            Answers(person={"sub": "s-2", "name": "Eve"}),
            "The provider tells about another person than the one who signed in.",
        ),
        (
            Answers(claims={"sub": "s\n1", "name": "Ada", "roles": []}),
            "The provider does not say who signed in.",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_whoever_the_provider_does_not_vouch_for_is_told_why(answers: Answers, sentence: str) -> None:
    with pytest.raises(SignInError) as refused:
        await name_of_who_comes_back(answers)
    assert (str(refused.value), refused.value.status) == (sentence, 400)


async def test_a_token_for_several_parties_that_names_us_first_is_taken() -> None:
    assert await name_of_who_comes_back(Answers(claims={"aud": [CLIENT_ID, "another"], "azp": CLIENT_ID})) == "Ada"


async def test_the_client_says_who_it_is_in_the_way_that_the_provider_takes() -> None:
    secret = "a colon: within"  # noqa: S105 -- of nobody
    public, basic, post = Answers(), Answers(), Answers(authentication=["client_secret_post"])
    await name_of_who_comes_back(public)
    await name_of_who_comes_back(basic, secret=secret)
    await name_of_who_comes_back(post, secret=secret)

    ((form, header),) = public.asked
    assert (form["client_id"], header) == (CLIENT_ID, None)
    assert "client_secret" not in form
    ((form, header),) = basic.asked
    assert header == "Basic " + base64.b64encode(f"{CLIENT_ID}:a+colon%3A+within".encode()).decode()
    assert {"client_id", "client_secret"}.isdisjoint(form)
    ((form, header),) = post.asked
    assert (form["client_id"], form["client_secret"], header) == (CLIENT_ID, secret, None)
    assert form["code_verifier"]
