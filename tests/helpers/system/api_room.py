"""The API's process for a test, and what one asks it with."""

import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from tests.helpers.system.processes import OrdersProcess
from tests.helpers.system.system import OrderSystem
from tests.helpers.system.waiting import assert_eventually

ANSWER_SECONDS = 60.0
"""Longer than the longest wait that a request may ask for."""
IN_PROGRESS = "orders_http_requests_in_progress "


@dataclass(slots=True)
class ApiRoom:
    """An API that serves, and a client of it."""

    system: OrderSystem
    process: OrdersProcess
    http: httpx.AsyncClient
    health_port: str | None
    """Where it has been told to say how it is."""

    async def requests_in_progress(self) -> int:
        """How many requests are being served."""
        async with httpx.AsyncClient() as http:
            lines = (await http.get(f"http://127.0.0.1:{self.health_port}/metrics")).text.splitlines()
        return next(int(float(line.removeprefix(IN_PROGRESS))) for line in lines if line.startswith(IN_PROGRESS))

    async def wait_until_served(self, requests: int) -> None:
        """Waits until so many are under way."""

        async def are() -> bool:
            return await self.requests_in_progress() == requests

        await assert_eventually(are, ANSWER_SECONDS, lambda: f"{requests} requests\n{self.process.log_tail}")

    async def start_order(self, **fields: Any) -> str:
        """Starts an order, and returns its id once it waits for approval."""
        order_id = new_order_id()
        body = {"payment_id": f"p-{order_id}", **fields}
        answer = await self.http.post(f"/orders/{order_id}/start", json=body, headers={"Prefer": "wait=30"})
        assert answer.status_code == 201, answer.text

        async def waits() -> bool:
            row = await self.http.get(f"/orders/{order_id}")
            return bool(row.status_code == 200 and row.json()["state"] == "VALIDATED")

        await assert_eventually(waits, ANSWER_SECONDS, lambda: f"{order_id} to wait\n{self.process.log_tail}")
        return order_id

    async def signal(self, order_id: str, name: str, body: Any = None, **headers: str) -> httpx.Response:
        """Sends one of the signals, and waits for its outcome unless the headers say otherwise."""
        content = None if body is None else json.dumps(body)
        sent = {"Prefer": "wait=30", **({"Content-Type": "application/json"} if content else {})}
        given = {header.replace("_", "-"): value for header, value in headers.items()}
        return await self.http.post(f"/orders/{order_id}/signals/{name}", content=content, headers={**sent, **given})


def new_order_id() -> str:
    """An id that no other test has."""
    return f"api-{secrets.token_hex(6)}"


def problem_of(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem that an answer is; fails unless it is this one."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert (problem["status"], problem["code"], problem["type"]) == (status, code, f"/problems/{code}"), problem
    assert problem["title"]
    assert problem["detail"]
    assert problem["what_to_do"]
    assert "Traceback" not in answer.text
    return problem


@asynccontextmanager
async def open_api(system: OrderSystem, **settings: str) -> AsyncIterator[ApiRoom]:
    """Starts the API on a free port, with the system's settings and these, and ends it by SIGTERM."""
    process = system.start("api", "api", expect_end=False, API_PORT="0", **settings)
    await process.wait_until_logged('"api.started"')
    address = next(
        line["address"] for line in map(json.loads, process.log.splitlines()) if line.get("event") == "api.started"
    )
    async with httpx.AsyncClient(base_url=address, timeout=ANSWER_SECONDS) as http:
        yield ApiRoom(system, process, http, settings.get("API_HEALTH_PORT"))
    if process.exit_status is None:
        await process.terminate()
