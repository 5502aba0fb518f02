"""``orders demo --console``: everything on this machine, and orders that wait for a person."""

import asyncio
import secrets

from orders.cli.common import console
from orders.cli.rendering.safe_markup import safe_markup
from orders.cli.rendering.trouble_line import trouble_line
from orders.clients.opened import open_clients
from orders.clients.topic_stream import topic_batches
from orders.local.demo.troubles import Troubles
from orders.local.demo.waiting import made_up_orders, send_orders
from orders.local.servers import LocalServers, local_servers, processes
from orders.local.terminal import Terminal
from orders.processes.running import stop_on_signals

APPROVAL_TIMEOUT_SECONDS = 900.0
"""Long enough to look around."""
STOP_TIMEOUT_SECONDS = 90.0


def show_console() -> None:
    """Starts everything, places orders, says where to click, and goes on until Ctrl-C."""
    terminal = Terminal(console())
    with local_servers(terminal, with_api=True) as servers:
        asyncio.run(_run(servers, terminal))


async def _run(servers: LocalServers, terminal: Terminal) -> None:
    stop = asyncio.Event()
    troubles = Troubles(
        servers.settings, lambda sentence, is_over: terminal.say(trouble_line(sentence, is_over=is_over))
    )
    supervisor = processes(
        servers,
        terminal,
        log_dir=servers.log_dir / "demo",
        quiet=True,
        with_api=True,
        also=troubles.take_line,
        ORDER_APPROVAL_TIMEOUT_SECONDS=f"{APPROVAL_TIMEOUT_SECONDS:g}",
    )
    with stop_on_signals(stop, within_seconds=STOP_TIMEOUT_SECONDS):
        supervising = asyncio.create_task(supervisor.run(stop), name="supervisor")
        placing = asyncio.create_task(_place(servers, terminal, troubles), name="orders")
        await asyncio.wait([supervising, placing], return_when=asyncio.FIRST_COMPLETED)
        stop.set()
        placing.cancel()
        await asyncio.wait([supervising, placing])
        supervising.result()  # Raises where a process was given up.
        if not placing.cancelled():
            placing.result()


async def _place(servers: LocalServers, terminal: Terminal, troubles: Troubles) -> None:
    """Sends the orders, says where to click, and watches how they go on until it is cancelled."""
    orders = made_up_orders(secrets.token_hex(2))
    topic = servers.settings.kafka_topic_order_events
    async with (
        open_clients(servers.settings, note=lambda sentence: terminal.say(safe_markup(sentence))) as clients,
        topic_batches(clients, topic, follow=True, from_end=True) as batches,
    ):
        await send_orders(clients, orders)
        terminal.say(
            f"\n{len(orders)} orders were sent to Kafka, and wait {APPROVAL_TIMEOUT_SECONDS / 60:g} min for somebody "
            f"to approve them:\n[bold]{servers.api_url}/console/[/bold]\n"
            "Approve one, or select several; cancel one with a reason; open one to follow it to its end. "
            "Ctrl-C ends everything.\n"
        )
        async for batch in batches:
            for record in batch:
                troubles.went_on((record.key or b"").decode(errors="replace"))
