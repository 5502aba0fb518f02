"""Our processes on servers that demand TLS, with a namespace, a consumer group and a database of a test's own."""

import json
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.helpers.servers.secure.certificates import tls_settings
from tests.helpers.servers.secure.kafka import Listener
from tests.helpers.servers.secure.postgres import MUTUAL
from tests.helpers.servers.secure.rooms import SecureServers
from tests.helpers.system.processes import OrdersProcess, free_port, run_to_end
from tests.helpers.system.system import make_namespace


@dataclass(slots=True)
class SecuredSystem:
    """The settings that are right, and the processes that were started."""

    servers: SecureServers
    folder: Path
    settings: dict[str, str]
    processes: list[OrdersProcess] = field(default_factory=list)

    def start(self, name: str, *arguments: str, **changes: str) -> OrdersProcess:
        """Starts a process of ours.

        Args:
            name: what its log is called.
            arguments: of ``orders``.
            changes: of the settings.
        """
        process = OrdersProcess(name, arguments, {**self.settings, **changes}, self.folder, expect_end=True)
        self.processes.append(process)
        return process

    async def run(self, *arguments: str, status: int = 0, **changes: str) -> str:
        """Runs a command to its end, and returns what it says: its output, or its error where it fails."""
        ended = await run_to_end(arguments, {**self.settings, **changes}, self.folder)
        told = f"{arguments} left with {ended.returncode}\n{ended.stdout}{ended.stderr}\n{self.log_tails}"
        assert ended.returncode == status, told
        return ended.stdout if status == 0 else ended.stderr

    async def complete_an_order(
        self, *, upstream: Mapping[str, Any] | None = None, downstream: Mapping[str, Any] | None = None
    ) -> None:
        """Brings an order to its end: sends what upstream and an approver send, and reads what is published of it.

        Args:
            upstream: changes of the settings for who sends.
            downstream: the same for who reads what is published.
        """
        sends, reads = dict(upstream or {}), dict(downstream or {})
        order_id = f"o-{secrets.token_hex(6)}"
        await self.run("produce", "created", order_id, "--payment-id", f"p-{order_id}", **sends)
        await self.run("produce", "approved", order_id, **sends)
        await self.run("wait", order_id, "--state", "COMPLETED", "--timeout", "90")
        printed = await self.run("events", order_id, "--json", **reads)
        events = [json.loads(line) for line in printed.splitlines()]
        assert [event["sequence"] for event in events] == list(range(1, 9)), events

    @property
    def log_tails(self) -> str:
        """What the processes wrote last."""
        return "\n".join(process.log_tail for process in self.processes)


@asynccontextmanager
async def secured_system(servers: SecureServers, folder: Path) -> AsyncIterator[SecuredSystem]:
    """A system whose tables and topics are made, by mutual TLS, and no process of which runs yet."""
    tag = secrets.token_hex(4)
    await make_namespace(servers.open, f"secured-{tag}")
    settings = {
        "KAFKA_BOOTSTRAP_SERVERS": servers.kafka.address(Listener.MUTUAL),
        "TEMPORAL_HOST": servers.temporal_mutual.address.replace("127.0.0.1", "localhost"),
        "TEMPORAL_NAMESPACE": f"secured-{tag}",
        **servers.postgres.settings,
        "DB_NAME": MUTUAL,
        "BRIDGE_GROUP_ID": f"bridge-{tag}",
        "API_PORT": str(free_port()),
        "API_HEALTH_PORT": str(free_port()),
        **tls_settings(servers.certificates),
    }
    system = SecuredSystem(servers, folder, settings)
    try:
        await system.run("migrate")
        yield system
    finally:
        for process in system.processes:
            process.close()
