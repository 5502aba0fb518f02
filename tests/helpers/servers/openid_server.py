"""A real OpenID provider as a process of its own: npm's certified `oidc-provider`, with keys that the test has too.

So a test gets good tokens from the provider itself, and makes every bad one with the provider's own key.
"""

import asyncio
import base64
import contextlib
import json
import re
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote_plus, urljoin

import httpx
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from joserfc.jwk import KeySet, RSAKey

from tests.helpers.node_packages import NODE, installed
from tests.helpers.system.waiting import patient_timeout

AUDIENCE: Final = "https://orders.example/api"
CLIENT_ID: Final = "console"
CLIENT_SECRET: Final = "canary-client-secret:with a colon"  # noqa: S105 - of the tests' own provider
_SOURCES: Final = Path(__file__).parent / "openid_provider"
_START_DEADLINE_SECONDS: Final = 30.0
_STEPS_MAX: Final = 20


def new_key(key_id: str) -> RSAKey:
    """A key of the provider's."""
    return RSAKey.generate_key(2048, {"kid": key_id, "use": "sig", "alg": "RS256"})


@dataclass(slots=True)
class OpenIdServer:
    """The provider; on the same port whenever it runs."""

    key: RSAKey
    port: int = 0
    token_seconds: int = 600
    roles_in_id_token: bool = False
    _process: "subprocess.Popen[bytes] | None" = field(default=None, init=False)

    @property
    def issuer(self) -> str:
        """What it calls itself."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def settings(self) -> dict[str, Any]:
        """What our settings must be to sign in here."""
        return {
            "oidc_issuer": self.issuer,
            "oidc_audience": AUDIENCE,
            "oidc_client_id": CLIENT_ID,
            "oidc_client_secret": CLIENT_SECRET,
            "oidc_scope": "openid roles",
        }

    async def start(self) -> None:
        """Starts it, with the key that it has now."""
        folder = await asyncio.to_thread(installed, _SOURCES)
        config = {
            "port": self.port,
            "jwks": KeySet([self.key]).as_dict(private=True),
            "client_secret": CLIENT_SECRET,
            "token_seconds": self.token_seconds,
            "roles_in_id_token": self.roles_in_id_token,
        }
        self._process = subprocess.Popen(  # noqa: ASYNC220 - it starts at once, and is waited for in a thread
            [NODE, folder / "provider.js"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(config).encode())
        self._process.stdin.close()
        async with patient_timeout(_START_DEADLINE_SECONDS):
            while not (line := await asyncio.to_thread(self._process.stdout.readline)).strip().isdigit():
                assert line, "the OpenID provider ended before it listened"
        self.port = int(line)

    def kill(self) -> None:
        """Ends it at once: connections are refused from now on."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            with contextlib.suppress(OSError):
                self._process.stdout.close()  # type: ignore[union-attr]
            self._process = None

    def freeze(self) -> None:
        """Stops it: connections are taken by the machine, and answered after `thaw`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Lets it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    async def access_token(self, client_id: str, audience: str = AUDIENCE) -> str:
        """A token that a program gets for itself (client credentials)."""
        form = {"grant_type": "client_credentials", "resource": audience, "scope": "orders"}
        async with httpx.AsyncClient() as http:
            answer = await http.post(f"{self.issuer}/token", data=form, auth=basic_auth(client_id))
        assert answer.status_code == httpx.codes.OK, answer.text
        return str(answer.json()["access_token"])

    def sign(
        self,
        changes: Mapping[str, Any] | None = None,
        header: Mapping[str, Any] | None = None,
        key: RSAKey | None = None,
    ) -> str:
        """A token as the provider makes them, but for the changes.

        Args:
            changes: of the claims; None takes a claim out.
            header: likewise of the header.
            key: what signs; None is the provider's.
        """
        now, signing = int(time.time()), key or self.key
        claims = {
            "iss": self.issuer,
            "aud": AUDIENCE,
            "sub": "job-approver",
            "iat": now,
            "exp": now + 600,
            "roles": ["approver"],
            **(changes or {}),
        }
        fields = {"alg": "RS256", "typ": "at+jwt", "kid": signing.kid, **(header or {})}
        return signed(
            {name: value for name, value in fields.items() if value is not None},
            {name: value for name, value in claims.items() if value is not None},
            signing,
        )


def signed(header: Mapping[str, Any], claims: Mapping[str, Any], key: RSAKey) -> str:
    """A token of any header and claims, also of those that no library makes; signed as RS256 is, whatever it says."""
    text = ".".join(encoded(json.dumps(part).encode()) for part in (header, claims))
    signature = key.private_key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())  # type: ignore[union-attr]
    return f"{text}.{encoded(signature)}"


def encoded(content: bytes) -> str:
    """The form in which a token's parts are written."""
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def basic_auth(client_id: str) -> httpx.BasicAuth:
    """A client's credentials, as RFC 6749 (2.3.1) has them encoded."""
    return httpx.BasicAuth(quote_plus(client_id), quote_plus(CLIENT_SECRET))


@asynccontextmanager
async def openid_server(**options: Any) -> AsyncIterator[OpenIdServer]:
    """A provider that runs while the block lasts."""
    server = OpenIdServer(new_key("key-1"), **options)
    try:
        await server.start()
        yield server
    finally:
        server.kill()


async def sign_in_at_provider(browser: httpx.AsyncClient, address: str, login: str, until: str) -> httpx.Response:
    """Does on the provider's own pages what a person does: names herself, consents, and is sent back.

    Args:
        browser: keeps cookies, and follows no redirects by itself.
        address: of the provider, that the console leads to.
        login: who signs in.
        until: the beginning of the address at which she has come back.

    Returns:
        The answer to the request for that address.
    """
    response = await browser.get(address)
    for _ in range(_STEPS_MAX):
        if str(response.url).startswith(until):
            return response
        if response.is_redirect:
            response = await browser.get(urljoin(str(response.url), response.headers["location"]))
            continue
        assert response.status_code == httpx.codes.OK, (response.status_code, response.text)
        action = re.search(r'<form[^>]*action="([^"]+)"', response.text)
        prompt = re.search(r'name="prompt" value="(\w+)"', response.text)
        assert action, response.text
        assert prompt, response.text
        form = {"prompt": prompt[1], "login": login, "password": "any"}
        response = await browser.post(urljoin(str(response.url), unescape(action[1])), data=form)
    raise AssertionError(f"the provider did not send the browser back within {_STEPS_MAX} steps")
