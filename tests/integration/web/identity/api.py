"""A small application on a real port that asks our gate who comes, and a browser for it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import httpx
from fastapi import Depends, FastAPI
from sqlalchemy import URL
from starlette.requests import Request
from starlette.responses import StreamingResponse

from orders.clients.opened import Clients, open_clients
from orders.operations.api_keys import CreatedKey, create_key
from orders.roles import Role
from orders.settings import Settings
from orders.web.handlers import answer_errors_as_problems
from orders.web.identity import Gate, Identity, identify, install, open_gate, requires
from orders.web.middleware import Guarded
from orders.web.server import listening_socket, serve
from stack.endpoints import Endpoints

SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}
"""What a browser says of a page's own forms."""


def settings_for(endpoints: Endpoints, database: URL, **changes: Any) -> Settings:
    """Settings of an API on a free port, where everybody shows who he is unless the changes say otherwise."""
    values = {name.lower(): value for name, value in endpoints.as_environment().items()}
    ours = {"db_name": database.database, "api_port": 0, "api_identity": "required", "db_connect_timeout_seconds": 5}
    return Settings(_env_file=None, **{**values, **ours, **changes})


def make_app(gate: Gate) -> FastAPI:
    """Two routes: who am I, and what needs a role."""
    app = FastAPI()
    answer_errors_as_problems(app)

    @app.get("/who")
    async def who(identity: Annotated[Identity, Depends(identify)]) -> dict[str, Any]:
        return _told(identity)

    @app.post("/approve")
    async def approve(identity: Annotated[Identity, Depends(requires(Role.APPROVER))]) -> dict[str, Any]:
        return _told(identity)

    @app.get("/stream")
    async def stream(request: Request, identity: Annotated[Identity, Depends(identify)]) -> StreamingResponse:
        async def parts() -> AsyncIterator[str]:
            yield "begun, "
            await gate.until_refused(request, identity)
            yield "ended"

        return StreamingResponse(parts())

    install(app, gate)
    app.add_middleware(Guarded, requests_max=1_000)
    return app


def _told(identity: Identity) -> dict[str, Any]:
    return {
        "name": identity.name,
        "roles": sorted(identity.roles),
        "via": identity.via,
        "caller_id": identity.caller_id,
    }


@dataclass(slots=True)
class RunningApi:
    """The application, as a caller reaches it."""

    url: str
    settings: Settings
    clients: Clients
    gate: Gate
    http: httpx.AsyncClient
    """A program: it keeps no cookies."""

    async def who(self, credential: str | None = None) -> httpx.Response:
        """Asks who one is."""
        return await self.http.get("/who", headers=bearer(credential))

    async def approve(self, credential: str | None = None, headers: Mapping[str, str] | None = None) -> httpx.Response:
        """Does what needs the role of an approver."""
        return await self.http.post("/approve", headers={**bearer(credential), **(headers or {})})

    async def key(self, name: str = "shop", role: Role = Role.APPROVER) -> CreatedKey:
        """A new key."""
        return await create_key(self.clients, name=name, role=role, expires_at=None)

    @asynccontextmanager
    async def browser(self, host: str = "127.0.0.1") -> AsyncIterator[httpx.AsyncClient]:
        """Keeps cookies, says for which site it asks, and follows no redirects, so that a test sees each."""
        base = self.url.replace("127.0.0.1", host)
        async with httpx.AsyncClient(base_url=base, headers=SAME_ORIGIN, timeout=20) as client:
            yield client


def bearer(credential: str | None) -> dict[str, str]:
    """The header that shows a key or token."""
    return {} if credential is None else {"Authorization": f"Bearer {credential}"}


async def sign_in_by_key(browser: httpx.AsyncClient, key: str, go_on: str = "/console/") -> httpx.Response:
    """Sends the form of the page."""
    return await browser.post("/console/sign-in", data={"api_key": key, "next": go_on})


@asynccontextmanager
async def running_api(settings: Settings) -> AsyncIterator[RunningApi]:
    """The application on a real port while the block lasts."""
    stop = asyncio.Event()
    with listening_socket(settings) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        async with open_clients(settings, lasting=True) as clients, open_gate(clients) as gate:
            serving = asyncio.create_task(serve(make_app(gate), settings, listening, stop))
            try:
                async with httpx.AsyncClient(base_url=url, timeout=20) as http:
                    yield RunningApi(url, settings, clients, gate, http)
            finally:
                stop.set()
                await serving
