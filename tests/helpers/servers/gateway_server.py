"""A payment provider and carrier over HTTP, as a process of its own, with books in a file (`gateway_books`).

It keeps the contract of docs/gateways.md, written a second time and apart from our client. It can be told to misbehave:
``POST /faults`` with ``{"method": "POST", "path": "payments", "faults": ["drop_after", "status:503"]}`` queues faults
for the next requests to that path, and ``POST /weather`` with ``{"share": 0.3, "faults": [...], "seed": 7}`` lets that
share of all requests suffer one of them. Each fault is one of

- ``status:NNN``: answers so, without any effect (``status:429:7`` with ``Retry-After: 7``);
- ``drop_before``: closes the connection without any effect;
- ``drop_after``: has its effect, then closes the connection: the answer is lost;
- ``delay:SECONDS``: has its effect, then answers so much later;
- ``late:SECONDS``: closes the connection, and has its effect so much later;
- ``trickle:SECONDS``: has its effect, then answers byte by byte over so long;
- ``body:TEXT``: has its effect, then answers 200 with this text.

As the embedded sandbox's, a ``payment_id`` that starts ``slow-`` is charged and its first answer lost.
"""

import argparse
import asyncio
import contextlib
import json
import random
import signal
import ssl
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import httpx

from tests.helpers.checker.evidence import LedgerEntry, ShipmentRow
from tests.helpers.servers.gateway_books import Books, ledger_of, shipments_of
from tests.helpers.system.waiting import patient_timeout

STATUSES = {200: "OK", 201: "Created", 401: "Unauthorized", 402: "Payment Required", 404: "Not Found"}
START_DEADLINE_SECONDS = 20.0
REQUESTS_KEPT_MAX = 10_000


class Weather:
    """Which share of the requests suffers, and from what."""

    def __init__(self, share: float = 0.0, faults: tuple[str, ...] = (), seed: int = 0) -> None:
        self._share = share
        self._faults = faults
        self._rng = random.Random(seed)  # noqa: S311 -- reproducible on purpose

    def fault(self) -> str:
        """The next request's fault; ``none`` for most."""
        return self._rng.choice(self._faults) if self._rng.random() < self._share else "none"


class Server:
    """One connection, one request."""

    def __init__(self, books: Books, api_key: str) -> None:
        self.books = books
        self.api_key = api_key
        self.faults: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        self.weather = Weather()
        self.injected: Counter[str] = Counter()
        self.requests: list[dict[str, Any]] = []
        self._late: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            method, path, headers, body = await _request(reader)
            response = self._control(path, body)
            if response is not None:
                writer.write(response)
            else:
                await self._answer(writer, method, path, headers, body)
            await writer.drain()
        writer.close()

    def _control(self, path: str, body: dict[str, Any]) -> bytes | None:
        """What a test says or asks; None for a request to the provider."""
        match path:
            case "faults":
                self.faults[body["method"], body["path"]].extend(body["faults"])
            case "weather":
                self.weather = Weather(body["share"], tuple(body["faults"]), body["seed"])
            case "requests":
                return _response(200, {"requests": self.requests})
            case "injected":
                return _response(200, dict(self.injected))
            case _:
                return None
        return _response(200, {})

    async def _answer(
        self, writer: asyncio.StreamWriter, method: str, path: str, headers: dict[str, str], body: dict[str, Any]
    ) -> None:
        if headers.get("authorization") != f"Bearer {self.api_key}":
            writer.write(_response(401, {}))
            return
        told = {"key": headers.get("idempotency-key"), "traceparent": headers.get("traceparent"), "body": body}
        self.requests.append({"method": method, "path": path, **told})
        del self.requests[:-REQUESTS_KEPT_MAX]
        fault, _, argument = self._fault(method, path, body).partition(":")
        if fault != "none":
            self.injected[f"{fault} {argument}".strip()] += 1
        match fault:
            case "status":
                status, _, retry_after = argument.partition(":")
                writer.write(_response(int(status), {}, retry_after))
            case "drop_before":
                return
            case "late":
                self._let_happen_later(float(argument), method, path, body)
            case _:
                response = _response(*self.books.answer(method, path, body))
                await _send(writer, response, fault, argument)

    def _fault(self, method: str, path: str, body: dict[str, Any]) -> str:
        queued = self.faults[method, path]
        if queued:
            return queued.pop(0)
        payment_id = str(body.get("payment_id"))
        if (method, path) == ("POST", "payments") and payment_id.startswith("slow-"):
            return "none" if payment_id in self.books.payments else "drop_after"
        return self.weather.fault()

    def _let_happen_later(self, seconds: float, method: str, path: str, body: dict[str, Any]) -> None:
        async def happen() -> None:
            await asyncio.sleep(seconds)
            self.books.answer(method, path, body)
            self.injected["happened late"] += 1

        task = asyncio.create_task(happen())
        self._late.add(task)
        task.add_done_callback(self._late.discard)


async def _send(writer: asyncio.StreamWriter, response: bytes, fault: str, argument: str) -> None:
    """Answers, as a fault that comes after the effect lets it."""
    match fault:
        case "drop_after":
            return
        case "delay":
            await asyncio.sleep(float(argument))
        case "body":
            response = _response(200, argument)
        case "trickle":
            for byte in response:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(float(argument) / len(response))
            return
    writer.write(response)


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


@dataclass(slots=True)
class RunningGateway:
    """A server as a process, for tests."""

    folder: Path
    api_key: str
    port: int = 0
    """0 until it listens for the first time; the same ever after."""
    _process: "subprocess.Popen[str] | None" = field(default=None, init=False)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Starts it; with the books and on the port that it had before."""
        command = [sys.executable, "-m", __spec__.name, str(self.folder), "--api-key", self.api_key]
        self._process = subprocess.Popen(  # noqa: ASYNC220 # It starts in a millisecond, and is waited for in a thread.
            [*command, "--port", str(self.port)], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        async with patient_timeout(START_DEADLINE_SECONDS):
            line = await asyncio.to_thread(self._process.stdout.readline)
        assert line, "the gateway server ended before it listened"
        self.port = int(line)

    def kill(self) -> None:
        """Ends it at once, as a crash: connections are refused from now on."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            if self._process.stdout is not None:
                self._process.stdout.close()

    def freeze(self) -> None:
        """Stops it: requests are taken by the machine, and worked on after `thaw`, whoever has given up by then."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Lets it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def ledger(self) -> tuple[LedgerEntry, ...]:
        """Every movement of money, oldest first."""
        return ledger_of(self.folder)

    def shipments(self) -> tuple[ShipmentRow, ...]:
        """What the carrier has of each order."""
        return shipments_of(self.folder)

    def moved(self, payment_id: str) -> list[str]:
        """The kinds of movement of one payment, in order."""
        return [entry.kind for entry in self.ledger() if entry.payment_id == payment_id]

    async def misbehave(self, method: str, path: str, *faults: str) -> None:
        """Queues faults for the next requests to a path."""
        await self._tell("faults", {"method": method, "path": path, "faults": list(faults)})

    async def weather(self, share: float, *faults: str, seed: int = 0) -> None:
        """Lets this share of all requests suffer one of the faults; 0 for good weather."""
        await self._tell("weather", {"share": share, "faults": list(faults), "seed": seed})

    async def requests(self) -> list[dict[str, Any]]:
        """Every request that it took since its start, in order."""
        requests: list[dict[str, Any]] = (await self._tell("requests"))["requests"]
        return requests

    async def paths_about(self, payment_id: str) -> list[str]:
        """The requests about one payment, in order: ``GET payments/ID``."""
        about = [one for one in await self.requests() if payment_id in json.dumps([one["path"], one["body"]])]
        return [f"{one['method']} {one['path'].replace(payment_id, 'ID')}" for one in about]

    async def injected(self) -> Counter[str]:
        """How often it misbehaved since its start, by kind."""
        return Counter(await self._tell("injected"))

    async def _tell(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        async with httpx.AsyncClient(trust_env=False, verify=_tls()) as client:
            answer = await client.post(f"{self.url}/{path}", json=body or {})
        answer.raise_for_status()
        told: dict[str, Any] = answer.json()
        return told


@cache
def _tls() -> ssl.SSLContext:
    """Never used, as all is plain HTTP; but without it each client would read all certificates of the machine."""
    return ssl.create_default_context()


@asynccontextmanager
async def running_gateway(folder: Path, *, api_key: str = "test-key", port: int = 0) -> AsyncIterator[RunningGateway]:
    """Starts the server as a process; a second one on the same folder goes on with the same books."""
    gateway = RunningGateway(folder, api_key, port)
    try:
        await gateway.start()
        yield gateway
    finally:
        gateway.kill()


if __name__ == "__main__":
    asyncio.run(_main())
