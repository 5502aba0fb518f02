"""The two answers over HTTP, on a real socket."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from prometheus_client import CollectorRegistry, Gauge
from structlog.testing import capture_logs

from orders.errors import WrongSettingsError
from orders.processes.health_server import HealthAnswer, HealthChecks, health_server
from orders.telemetry.metrics_page import MetricsPage
from tests.helpers.system.processes import free_port
from tests.helpers.system.waiting import patient_timeout


class Told:
    """Checks that answer what the test tells them."""

    def __init__(self) -> None:
        self.live = HealthAnswer(ok=True)
        self.ready = HealthAnswer(ok=False, reasons=("temporal does not answer",), details={"partitions": 3})
        self.fails = False
        self.metrics: MetricsPage | None = None

    @property
    def checks(self) -> HealthChecks:
        async def ready() -> HealthAnswer:
            if self.fails:
                raise RuntimeError
            return self.ready

        return HealthChecks(lambda: self.live, ready, self.metrics)


@asynccontextmanager
async def served(told: Told) -> AsyncIterator[int]:
    async with health_server("127.0.0.1", free_port(), told.checks) as port:
        yield port


async def ask(port: int, request: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the answer; the server closes the connection after it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request.encode())
    async with patient_timeout(10):
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    status, *lines = head.decode().split("\r\n")
    return int(status.split()[1]), dict(line.lower().split(": ", 1) for line in lines), body


async def test_each_question_has_its_status_and_its_reasons() -> None:
    told = Told()
    async with served(told) as port:
        status, headers, body = await ask(port, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (status, json.loads(body)) == (200, {"ok": True, "reasons": []})
        assert (headers["content-type"], headers["content-length"]) == ("application/json", str(len(body)))
        status, _, body = await ask(port, "GET /readyz?verbose=1 HTTP/1.1\r\nHost: x\r\n\r\n")
        expected = {"ok": False, "reasons": ["temporal does not answer"], "partitions": 3}
        assert (status, json.loads(body)) == (503, expected)
        told.ready = HealthAnswer(ok=True)
        assert (await ask(port, "GET /readyz HTTP/1.0\r\n\r\n"))[0] == 200


async def test_a_head_request_has_no_body() -> None:
    async with served(Told()) as port:
        status, headers, body = await ask(port, "HEAD /livez HTTP/1.1\r\n\r\n")
    assert (status, body) == (200, b"")
    assert int(headers["content-length"]) > 0


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        ("GET / HTTP/1.1", 404),
        ("POST /livez HTTP/1.1", 405),
        ("nonsense", 404),
        ("GET " + "x" * 1_000 + " HTTP/1.1", 404),
    ],
)
async def test_other_requests_are_refused(request_line: str, status: int) -> None:
    async with served(Told()) as port:
        assert (await ask(port, f"{request_line}\r\n\r\n"))[0] == status


async def test_metrics_are_text_where_there_are_any_and_a_name_that_is_not_found_elsewhere() -> None:
    told = Told()
    async with served(told) as port:
        status, _, body = await ask(port, "GET /metrics HTTP/1.1\r\n\r\n")
        assert (status, json.loads(body)["reasons"]) == (404, ["ask /livez or /readyz"])
        told.metrics = MetricsPage(CollectorRegistry())
    async with served(told) as port:
        status, headers, body = await ask(port, "GET /metrics HTTP/1.1\r\n\r\n")
        assert (status, headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
        assert b"\npython_info{" in body
        status, _, body = await ask(port, "GET / HTTP/1.1\r\n\r\n")
        assert (status, json.loads(body)["reasons"]) == (404, ["ask /livez or /readyz or /metrics"])


async def test_a_scrape_that_is_under_way_at_the_end_of_its_process_is_answered_whole() -> None:
    """The process's loop ends as soon as the scrape has begun; what is not handed over by then is lost."""
    registry, port, told = CollectorRegistry(), free_port(), Told()
    for number in range(2_000):  # 10 MB: more than the machine takes of an answer that is read slowly.
        Gauge(f"orders_tested_{number}", "x" * 5_000, registry=registry)
    here, listens = asyncio.get_running_loop(), asyncio.Event()

    async def process() -> None:
        is_asked = asyncio.Event()

        async def refresh() -> None:
            is_asked.set()

        told.metrics = MetricsPage(registry, refresh=[refresh])
        async with health_server("127.0.0.1", port, told.checks):
            here.call_soon_threadsafe(listens.set)
            await is_asked.wait()

    ended = asyncio.create_task(asyncio.to_thread(asyncio.run, process()))
    await listens.wait()
    status, headers, body = await ask(port, "GET /metrics HTTP/1.1\r\n\r\n")
    assert (status, int(headers["content-length"])) == (200, len(body))
    await ended


async def test_a_scrape_that_takes_for_ever_holds_no_end_up_and_gets_no_half_of_an_answer() -> None:
    told, is_asked = Told(), asyncio.Event()

    async def refresh() -> None:
        is_asked.set()
        await asyncio.Event().wait()

    told.metrics = MetricsPage(refresh=[refresh])
    async with patient_timeout(60):
        async with served(told) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /metrics HTTP/1.1\r\n\r\n")
            await is_asked.wait()
        assert await reader.read() == b""
    writer.close()


async def test_metrics_that_cannot_be_read_are_an_error_and_not_an_empty_page() -> None:
    async def fail() -> None:
        raise RuntimeError

    told = Told()
    told.metrics = MetricsPage(refresh=[fail])
    async with served(told) as port:
        status, headers, body = await ask(port, "GET /metrics HTTP/1.1\r\n\r\n")
    assert (status, headers["content-type"]) == (503, "application/json")
    assert json.loads(body)["reasons"] == ["the check failed: RuntimeError"]


async def test_a_check_that_fails_is_an_answer_and_why_it_does_is_in_the_log_once() -> None:
    told = Told()
    with capture_logs() as lines:
        async with served(told) as port:
            for fails in (True, True, False, True):
                told.fails = fails
                status, _, body = await ask(port, "GET /readyz HTTP/1.1\r\n\r\n")
                assert status == 503
    assert json.loads(body)["reasons"] == ["the check failed: RuntimeError"]
    failed = [line for line in lines if line["event"] == "health.check.failed"]
    assert [(line["path"], type(line["exc_info"])) for line in failed] == [("/readyz", RuntimeError)] * 2


async def test_rubbish_and_silence_take_nothing_from_others() -> None:
    async with served(Told()) as port:
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(5)]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"x" * 100_000)  # No line end, and more than a line may have: closed unanswered.
        with pytest.raises(ConnectionError):
            await reader_end(reader)
        writer.close()
        assert (await ask(port, "GET /livez HTTP/1.1\r\n\r\n"))[0] == 200
        for _, one in silent:
            one.close()


async def reader_end(reader: asyncio.StreamReader) -> None:
    async with patient_timeout(10):
        if await reader.read() == b"":
            raise ConnectionResetError


async def test_any_number_of_silent_connections_leaves_those_who_ask_their_answers() -> None:
    async with served(Told()) as port:
        held = []
        for _ in range(4):
            held += [await asyncio.open_connection("127.0.0.1", port) for _ in range(32)]
            assert (await ask(port, "GET /livez HTTP/1.1\r\n\r\n"))[0] == 200

        first, _ = held[0]
        async with patient_timeout(30):
            with suppress(ConnectionResetError):
                assert await first.read() == b"", "the longest silent one made room"
        for _, writer in held:
            writer.close()


async def test_port_0_listens_nowhere_and_a_taken_port_is_said_with_its_setting() -> None:
    async with health_server("127.0.0.1", 0, Told().checks) as port:
        assert port == 0
    async with served(Told()) as port:
        with pytest.raises(WrongSettingsError, match=f"{port}.*BRIDGE_HEALTH_PORT"):
            async with health_server("127.0.0.1", port, Told().checks, setting="BRIDGE_HEALTH_PORT"):
                pass
