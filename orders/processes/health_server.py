"""Liveness, readiness and metrics over HTTP: what an orchestrator and Prometheus ask of each process.

Three fixed answers need no framework, which a bridge and a worker would load for nothing else: this reads one request
line, answers, and closes.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

import structlog

from orders.errors import WrongSettingsError
from orders.telemetry.metrics_page import CONTENT_TYPE, MetricsPage

LIVE_PATH: Final = "/livez"
READY_PATH: Final = "/readyz"
METRICS_PATH: Final = "/metrics"

_REQUEST_TIMEOUT_SECONDS: Final = 5.0
_LAST_ANSWERS_SECONDS: Final = 2.0
"""How long the end of a process waits for answers that are under way: one of 1,000 partitions takes a tenth of it."""
_REQUEST_LINE_MAX_BYTES: Final = 2_048
_CONNECTIONS_MAX: Final = 32
"""Of those that have not asked yet, and of those that are being answered: nobody's probes come by the dozen. Beyond it
the longest silent one is closed, so that whoever asks is answered however many others only hold a connection."""

_log = structlog.get_logger("orders.health")


@dataclass(frozen=True, slots=True)
class HealthAnswer:
    """An answer to one of the questions about health."""

    ok: bool
    reasons: tuple[str, ...] = ()
    """Why not, in words."""
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def body(self) -> bytes:
        """The answer as JSON."""
        return json.dumps({"ok": self.ok, "reasons": list(self.reasons), **self.details}).encode()


@dataclass(frozen=True, slots=True)
class HealthChecks:
    """What answers the questions. None may take longer than a few seconds."""

    live: Callable[[], HealthAnswer]
    """Whether the process turns; where not, it is to be replaced. That it answers at all says that its loop does."""
    ready: Callable[[], Awaitable[HealthAnswer]]
    """Whether it can do its work now."""
    metrics: MetricsPage | None = None
    """Its metrics; None for none."""


@asynccontextmanager
async def health_server(
    address: str, port: int, checks: HealthChecks, *, setting: str = "the health port"
) -> AsyncIterator[int]:
    """Answers while the block lasts.

    Args:
        address: to listen on.
        port: to listen on; 0 means not at all.
        checks: what to answer.
        setting: the port's setting, for the error.

    Yields:
        The port; 0 where it does not listen.

    Raises:
        WrongSettingsError: it cannot listen there.
    """
    if port == 0:
        yield 0
        return
    responder = _Responder(checks)
    try:
        server = await asyncio.start_server(responder.serve, address, port, limit=_REQUEST_LINE_MAX_BYTES)
    except OSError as error:
        raise WrongSettingsError(
            f"cannot listen on {address}:{port} ({error.strerror or error}): another process of ours may; "
            f"set {setting} to a free port, or to 0 for none"
        ) from error
    _log.info("health.listening", address=address, port=port)
    try:
        yield port
    finally:
        server.close()
        # Not wait_closed(): from Python 3.12 on it waits for all connections, and no silent one may delay our end.
        await responder.finish()


class _Responder:
    def __init__(self, checks: HealthChecks) -> None:
        self._checks = checks
        self._silent: dict[asyncio.StreamWriter, None] = {}
        """Those that have not asked yet, the longest silent one first."""
        self._failed: dict[str, type[Exception]] = {}
        """By what a check fails, as the log has it; until it does not."""
        self._answering = 0
        self._answered = asyncio.Event()
        self._answered.set()
        """Set while nobody is being answered."""

    async def finish(self) -> None:
        """Waits until those who have asked are answered, as long as that is soon; nobody is answered in half."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_ANSWERS_SECONDS):
                await self._answered.wait()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection: one request, one answer."""
        if len(self._silent) >= _CONNECTIONS_MAX:
            longest = next(iter(self._silent))
            del self._silent[longest]
            longest.transport.abort()
        self._silent[writer] = None
        try:
            async with asyncio.timeout(_REQUEST_TIMEOUT_SECONDS):
                method, target = await self._request(reader)
                self._silent.pop(writer, None)
                if self._answering < _CONNECTIONS_MAX:
                    await self._answer(method, target, writer)
        except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError):
            pass  # The other side went away, sends rubbish, or sends nothing.
        finally:
            self._silent.pop(writer, None)
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _request(self, reader: asyncio.StreamReader) -> tuple[str, str]:
        """The method and what is asked for."""
        method, _, rest = (await reader.readline()).decode("latin-1").partition(" ")
        target = rest.partition(" ")[0]
        while (await reader.readline()).strip():  # Headers: nothing in them concerns us.
            continue
        return method, target

    async def _answer(self, method: str, target: str, writer: asyncio.StreamWriter) -> None:
        self._answering += 1
        self._answered.clear()
        try:
            await self._write_answer(method, target.partition("?")[0], writer)
        finally:
            self._answering -= 1
            if not self._answering:
                self._answered.set()

    async def _write_answer(self, method: str, path: str, writer: asyncio.StreamWriter) -> None:
        status, body = await self._response(method, path)
        content_type = CONTENT_TYPE if path == METRICS_PATH and status is HTTPStatus.OK else "application/json"
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: {content_type}\r\n"
            f"Content-Length: {len(body)}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
        )
        writer.transport.set_write_buffer_limits(0)  # So that `drain` waits until all of it is on its way.
        writer.write(head.encode() + (b"" if method == "HEAD" else body))
        await writer.drain()

    async def _response(self, method: str, path: str) -> tuple[HTTPStatus, bytes]:
        paths = [LIVE_PATH, READY_PATH, *([METRICS_PATH] if self._checks.metrics is not None else [])]
        if path not in paths:
            return HTTPStatus.NOT_FOUND, HealthAnswer(ok=False, reasons=(f"ask {' or '.join(paths)}",)).body
        if method not in ("GET", "HEAD"):
            return HTTPStatus.METHOD_NOT_ALLOWED, HealthAnswer(ok=False, reasons=("ask by GET",)).body
        try:
            found = await self._found(path)
        except Exception as error:  # noqa: BLE001 - a check that fails is an answer: not healthy
            if self._failed.get(path) is not type(error):
                self._failed[path] = type(error)
                _log.warning("health.check.failed", path=path, exc_info=error)
            answer = HealthAnswer(ok=False, reasons=(f"the check failed: {type(error).__name__}",))
            return HTTPStatus.SERVICE_UNAVAILABLE, answer.body
        self._failed.pop(path, None)
        return found

    async def _found(self, path: str) -> tuple[HTTPStatus, bytes]:
        """What the check of a path finds."""
        if path == METRICS_PATH and self._checks.metrics is not None:
            return HTTPStatus.OK, await self._checks.metrics.read()
        answer = self._checks.live() if path == LIVE_PATH else await self._checks.ready()
        return HTTPStatus.OK if answer.ok else HTTPStatus.SERVICE_UNAVAILABLE, answer.body
