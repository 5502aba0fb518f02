"""A payment provider and carrier over HTTP, as a process of its own, with a ledger in a file.

It keeps the contract of docs/gateways.md, written a second time and apart from our client. It can be told to misbehave:
``POST /faults`` with ``{"method": "POST", "path": "payments", "faults": ["drop_after", "status:503"]}`` queues faults
for the next requests to that path; each of them is one of

- ``status:NNN``: answers so, without any effect (``status:429:7`` with ``Retry-After: 7``);
- ``drop_before``: closes the connection without any effect;
- ``drop_after``: has its effect, then closes the connection: the answer is lost;
- ``delay:SECONDS``: has its effect, then answers so much later;
- ``body:TEXT``: has its effect, then answers 200 with this text.

Every movement of money is a line of the ledger: what the customer's bank saw.
"""

import argparse
import asyncio
import contextlib
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

STATUSES = {200: "OK", 201: "Created", 401: "Unauthorized", 402: "Payment Required", 404: "Not Found"}
START_DEADLINE_SECONDS = 20.0


@dataclass
class Books:
    """What the provider knows; a restarted one reads it back from the ledger's folder."""

    folder: Path
    payments: dict[str, dict[str, Any]] = field(default_factory=dict)
    shipments: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def opened(cls, folder: Path) -> "Books":
        books = cls(folder)
        state = folder / "state.json"
        if state.exists():
            books.payments, books.shipments = json.loads(state.read_text())
        return books

    def save(self) -> None:
        new = self.folder / "state.json.new"
        new.write_text(json.dumps([self.payments, self.shipments]))
        new.replace(self.folder / "state.json")

    def enter(self, kind: str, payment: dict[str, Any]) -> None:
        entry = {"kind": kind} | {name: payment[name] for name in ("payment_id", "amount", "currency")}
        with (self.folder / "ledger.jsonl").open("a") as ledger:
            ledger.write(json.dumps(entry) + "\n")

    def charge(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        payment = self.payments.get(body["payment_id"])
        if payment is None:
            declined = body["payment_id"].startswith("decline-")
            payment = {name: body[name] for name in ("payment_id", "amount", "currency")}
            payment |= {"status": "declined", "reason": "insufficient_funds"} if declined else {"status": "charged"}
            self.payments[body["payment_id"]] = payment
            if not declined:
                self.enter("charge", payment)
        return (402 if payment["status"] == "declined" else 201), payment

    def refund(self, payment_id: str) -> tuple[int, dict[str, Any]]:
        unknown = {"payment_id": payment_id, "status": "voided", "amount": 0, "currency": "XXX"}
        payment = self.payments.setdefault(payment_id, unknown)
        if payment["status"] == "charged":
            self.enter("refund", payment)
            payment["status"] = "refunded"
        elif payment["status"] == "declined":
            payment["status"] = "voided"
        return 200, payment

    def prepare(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        shipment = self.shipments.setdefault(body["order_id"], {"package_id": f"pk-{body['order_id']}"})
        return 201, shipment

    def dispatch(self, order_id: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        shipment = self.shipments.setdefault(order_id, {"package_id": f"pk-{order_id}"})
        zip_code = body["address"].get("zip_code")
        if "tracking_id" not in shipment:
            if zip_code == "FAIL0" or (zip_code == "FLAKY" and body["attempt"] < 3):
                return 422, {"reason": "no_such_place"}
            shipment["tracking_id"] = f"tr-{order_id}"
        return 200, shipment

    def answer(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        match [method, *path.strip("/").split("/")]:
            case ["POST", "payments"]:
                return self.charge(body)
            case ["POST", "payments", payment_id, "refund"]:
                return self.refund(payment_id)
            case ["GET", "payments", payment_id] if payment_id in self.payments:
                return 200, self.payments[payment_id]
            case ["POST", "shipments"]:
                return self.prepare(body)
            case ["POST", "shipments", order_id, "dispatch"]:
                return self.dispatch(order_id, body)
        return 404, {}


class Server:
    """One connection, one request."""

    def __init__(self, books: Books, api_key: str) -> None:
        self.books = books
        self.api_key = api_key
        self.faults: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        self.requests: list[dict[str, Any]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            method, path, headers, body = await _request(reader)
            response = await self.respond(method, path, headers, body)
            if response is not None:
                writer.write(response)
                await writer.drain()
        writer.close()

    async def respond(self, method: str, path: str, headers: dict[str, str], body: dict[str, Any]) -> bytes | None:
        if path == "faults":
            self.faults[body["method"], body["path"]].extend(body["faults"])
            return _response(200, {})
        if path == "requests":
            return _response(200, {"requests": self.requests})
        if headers.get("authorization") != f"Bearer {self.api_key}":
            return _response(401, {})
        self.requests.append({"method": method, "path": path, "key": headers.get("idempotency-key"), "body": body})
        queued = self.faults[method, path]
        fault, _, argument = (queued.pop(0) if queued else "none").partition(":")
        if fault == "status":
            status, _, retry_after = argument.partition(":")
            return _response(int(status), {}, retry_after)
        return None if fault == "drop_before" else await self._with_effect(method, path, body, (fault, argument))

    async def _with_effect(self, method: str, path: str, body: dict[str, Any], fault: tuple[str, str]) -> bytes | None:
        status_code, answer = self.books.answer(method, path, body)
        self.books.save()
        match fault:
            case ("drop_after", _):
                return None
            case ("delay", seconds):
                await asyncio.sleep(float(seconds))
            case ("body", text):
                return _response(200, text)
        return _response(status_code, answer)


async def _request(reader: asyncio.StreamReader) -> tuple[str, str, dict[str, str], dict[str, Any]]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    method, path, _ = head[0].split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    content = await reader.readexactly(int(headers.get("content-length", "0")))
    return method, path.strip("/"), headers, json.loads(content) if content else {}


def _response(status: int, body: dict[str, Any] | str, retry_after: str = "") -> bytes:
    content = (body if isinstance(body, str) else json.dumps(body)).encode()
    lines = [
        f"HTTP/1.1 {status} {STATUSES.get(status, 'Status')}",
        "content-type: application/json",
        f"content-length: {len(content)}",
        "connection: close",
        *([f"retry-after: {retry_after}"] if retry_after else []),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + content


async def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--api-key", default="test-key")
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    server = Server(Books.opened(options.folder), options.api_key)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", options.port)
    port = listening.sockets[0].getsockname()[1]
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    await listening.serve_forever()


@dataclass(frozen=True, slots=True)
class RunningGateway:
    """A started server, for tests."""

    url: str
    api_key: str
    folder: Path
    process: "subprocess.Popen[str]"

    def ledger(self) -> list[dict[str, Any]]:
        """Every movement of money, in order."""
        path = self.folder / "ledger.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def moved(self, payment_id: str) -> list[str]:
        """The kinds of movement of one payment, in order."""
        return [entry["kind"] for entry in self.ledger() if entry["payment_id"] == payment_id]

    async def misbehave(self, method: str, path: str, *faults: str) -> None:
        """Queues faults for the next requests to a path."""
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.post(
                f"{self.url}/faults", json={"method": method, "path": path, "faults": list(faults)}
            )
        answer.raise_for_status()

    async def requests(self) -> list[dict[str, Any]]:
        """Every request that it took, in order."""
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.get(f"{self.url}/requests")
        requests: list[dict[str, Any]] = answer.json()["requests"]
        return requests


@asynccontextmanager
async def running_gateway(folder: Path, *, api_key: str = "test-key", port: int = 0) -> AsyncIterator[RunningGateway]:
    """Starts the server as a process; a second one on the same folder goes on with the same books."""
    command = [sys.executable, "-m", "tests.helpers.gateway_server", str(folder), "--api-key", api_key]
    process = subprocess.Popen(  # noqa: ASYNC220 # It starts in a millisecond, and is waited for in a thread.
        [*command, "--port", str(port)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(START_DEADLINE_SECONDS):
            line = await asyncio.to_thread(process.stdout.readline)
        assert line, "the gateway server ended before it listened"
        yield RunningGateway(f"http://127.0.0.1:{int(line)}", api_key, folder, process)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


if __name__ == "__main__":
    asyncio.run(_main())
