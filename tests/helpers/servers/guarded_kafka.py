"""A broker of a test's own that asks for a password and looks at rights, both of which the test can change."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from stack import Endpoints, processes
from stack.kafka import KafkaService
from stack.ports import HOST
from stack.progress import ProgressBoard
from stack.readiness import wait_until_ready
from stack.service import Start
from tests.helpers.system.processes import free_port

USER, PASSWORD = "orders", "what-the-bridge-says"
_GUARD = """\
listeners=PLAINTEXT://{host}:{port},SASL_PLAINTEXT://{host}:{guarded_port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port},SASL_PLAINTEXT://{host}:{guarded_port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT
sasl.enabled.mechanisms=PLAIN
listener.name.sasl_plaintext.plain.sasl.jaas.config=\
org.apache.kafka.common.security.plain.PlainLoginModule required user_{user}="{password}";
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users={superusers}
"""


class GuardedKafka:
    """A broker with an open door for the test, and a guarded one for the bridge.

    Args:
        folder: For its data.
        others: The other servers.
    """

    def __init__(self, folder: Path, others: Endpoints) -> None:
        self._port, self._guarded_port, self._controller_port = free_port(), free_port(), free_port()
        self.endpoints = replace(others, kafka_bootstrap_servers=f"{HOST}:{self._port}")
        """For the test: no password, every right."""
        (folder / "logs").mkdir()
        self._folder = folder
        self._service = KafkaService(folder, self._port, self._controller_port, self.endpoints)
        self._process: processes.ProcessIdentity | None = None

    @property
    def guarded_address(self) -> str:
        """For the bridge."""
        return f"{HOST}:{self._guarded_port}"

    @property
    def security(self) -> dict[str, Any]:
        """What the bridge says at the door."""
        return {
            "security_protocol": "SASL_PLAINTEXT",
            "sasl_mechanism": "PLAIN",
            "sasl_plain_username": USER,
            "sasl_plain_password": PASSWORD,
        }

    async def restart(self, *, password: str, allowed: bool) -> None:
        """Starts it, again where it runs, with another password and other rights of the bridge's user."""
        await asyncio.to_thread(self._restart, password, allowed)

    async def stop(self) -> None:
        """Ends it."""
        await asyncio.to_thread(self._stop)

    def _restart(self, password: str, allowed: bool) -> None:
        self._stop()
        with ProgressBoard(lambda _: None) as board:
            self._service.prepare(Start(board, threading.Event()))
        guard = _GUARD.format(
            host=HOST,
            port=self._port,
            guarded_port=self._guarded_port,
            controller_port=self._controller_port,
            user=USER,
            password=password,
            superusers="User:ANONYMOUS" + (f";User:{USER}" if allowed else ""),
        )
        properties = self._folder / "kafka" / "server.properties"
        # Of a property that is given twice, the last one counts.
        properties.write_text(properties.read_text() + guard)
        process = self._process = processes.start(self._service.launch(), self._service.log_path)
        wait_until_ready(self._service.check, lambda: process.find() is not None, self._service.start_patience_seconds)

    def _stop(self) -> None:
        if self._process is not None:
            # At once: what it has acknowledged outlives its process, and an orderly end takes seconds.
            processes.kill(self._process)


@asynccontextmanager
async def guarded_kafka(folder: Path, others: Endpoints) -> AsyncIterator[GuardedKafka]:
    """A broker that is not started yet, and stopped in the end."""
    kafka = GuardedKafka(folder, others)
    try:
        yield kafka
    finally:
        await kafka.stop()
