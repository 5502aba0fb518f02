"""Pages of metrics that are asked for while their process ends: each is answered whole, or not at all."""

import asyncio
import secrets
from collections import Counter

import pytest

from schemas.event_types import EventType
from stack.endpoints import Endpoints
from tests.helpers.messages.kafka_io import Outgoing
from tests.helpers.messages.messages import message_of
from tests.helpers.servers.proxy import Proxy
from tests.helpers.system.processes import OrdersProcess, free_port
from tests.helpers.system.system import OrderSystem, order_system


async def scrape(port: int) -> bytes:
    """All that came for one request."""
    read = b""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n")
        while more := await reader.read(65_536):
            read += more
        writer.close()
    except OSError:
        pass
    return read


def kind_of(read: bytes) -> str:
    """``whole``, ``none``, or what is wrong with an answer."""
    if not read:
        return "none"
    head, _, body = read.partition(b"\r\n\r\n")
    is_whole = head.startswith(b"HTTP/1.1 200") and f"Content-Length: {len(body)}\r\n".encode() in head
    return "whole" if is_whole else f"{len(read)} bytes: {read[:200]!r}"


async def ends_while_asked(system: OrderSystem, process: OrdersProcess, port: int) -> Counter[str]:
    """What came of the requests from the moment on in which the process was told to end."""
    seen: Counter[str] = Counter()

    async def ask() -> None:
        while process.exit_status is None:
            seen[kind_of(await scrape(port))] += 1
            await asyncio.sleep(0)

    async def is_up() -> bool:
        return kind_of(await scrape(port)) == "whole"

    await system.wait_until(is_up, 120, lambda: f"the page of {process.name}")
    asking = [asyncio.create_task(ask()) for _ in range(2)]
    await process.terminate()
    await asyncio.gather(*asking)
    return seen


async def test_while_a_process_ends_its_page_is_answered_whole_or_not_at_all(
    endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory
) -> None:
    ports = {name: free_port() for name in ("bridge", "worker", "api")}
    async with (
        Proxy(endpoints.temporal_host) as temporal,
        order_system(endpoints, tmp_path_factory.mktemp("end"), start=False) as system,
    ):
        bridge = system.start_bridge(
            BRIDGE_HEALTH_PORT=str(ports["bridge"]),
            BRIDGE_DRAIN_TIMEOUT_SECONDS="3",
            TEMPORAL_HOST=temporal.address,
        )
        others = [
            (system.start("worker", "worker", WORKER_HEALTH_PORT=str(ports["worker"])), ports["worker"]),
            (system.start("api", "api", API_PORT="0", API_HEALTH_PORT=str(ports["api"])), ports["api"]),
        ]
        await system.wait_until_bridges_own_partitions()
        temporal.stall()  # So that the bridge has something to wait for while it ends.
        message = message_of(EventType.ORDER_APPROVED, {"order_id": f"o-{secrets.token_hex(6)}"})
        topic = system.topic_of(EventType.ORDER_APPROVED)
        await system.produce([Outgoing(topic, message.value, message.key, message.headers)])

        async def is_held() -> bool:
            return b"\norders_bridge_records_held 1.0\n" in await scrape(ports["bridge"])

        await system.wait_until(is_held, 60, lambda: "a record whose call hangs")
        seen = await ends_while_asked(system, bridge, ports["bridge"])
        assert set(seen) <= {"whole", "none"}, seen
        assert seen["whole"] > 1, "as long as it drains, it is read"
        for process, port in others:
            seen = await ends_while_asked(system, process, port)
            assert set(seen) <= {"whole", "none"}, seen
